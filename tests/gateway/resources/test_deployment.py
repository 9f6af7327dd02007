"""Deployment guardrails through unmodified boto3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import model, variant
from tidemill.store.base import Row

VALIDATION = "ValidationException"
PERCENT = {"Type": "CAPACITY_PERCENT", "Value": 10}


@pytest.fixture
def hosted(sagemaker: Any, gateway: Gateway, region: str) -> Any:
    """A client of a region with an endpoint ``mill`` in service, and a config ``next``."""
    sagemaker.create_model(**model("mill"))
    for name, count in (("mill", 1), ("next", 4)):
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant(InitialInstanceCount=count)]
        )
    sagemaker.create_endpoint(EndpointName="mill", EndpointConfigName="mill")
    gateway.verbs.create("alarm", region, "errors", {}, "OK")
    gateway.verbs.change("endpoint", region, "mill", in_service)
    return sagemaker


def in_service(row: Row) -> Row:
    state = {k: v for k, v in row.document["state"].items() if k not in ("pending", "rollout")}
    state["variants"] = [
        {**v, "current_weight": v["weight"], "current_count": v["count"]} for v in state["variants"]
    ]
    return replace(row, status="InService", document={**row.document, "state": state})


def blue_green(kind: str = "ALL_AT_ONCE", wait: int = 0, **sizes: Any) -> dict[str, Any]:
    more = {k: sizes.pop(k) for k in list(sizes) if k.endswith("InSeconds")}
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **sizes}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **more}}


def rolling(value: int, kind: str = "INSTANCE_COUNT", **more: Any) -> dict[str, Any]:
    size = {"Type": kind, "Value": value}
    policy = {"MaximumBatchSize": size, "WaitIntervalInSeconds": 10, **more}
    return {"RollingUpdatePolicy": policy}


def alarms(*names: str) -> dict[str, Any]:
    return {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in names]}}


def update(client: Any, deployment: dict[str, Any] | None = None, **more: Any) -> None:
    if deployment is not None:
        more["DeploymentConfig"] = deployment
    client.update_endpoint(EndpointName="mill", EndpointConfigName="next", **more)


@pytest.mark.parametrize(
    ("deployment", "said"),
    [
        (blue_green("CANARY"), "of type CANARY must have CanarySize"),
        (blue_green("CANARY", LinearStepSize=PERCENT), "of type CANARY must have CanarySize"),
        (blue_green(CanarySize=PERCENT), "CanarySize is for traffic routing of type CANARY"),
        (
            blue_green("CANARY", CanarySize={"Type": "INSTANCE_COUNT", "Value": 3}),
            "CanarySize must be from 0% to 50% of the variant's total instance count (4)",
        ),
        (
            blue_green("LINEAR", LinearStepSize={"Type": "CAPACITY_PERCENT", "Value": 9}),
            "LinearStepSize must be from 10% to 50%",
        ),
        (rolling(3), "MaximumBatchSize must be from 5% to 50%"),
        (
            blue_green(wait=600, MaximumExecutionTimeoutInSeconds=600),
            "MaximumExecutionTimeoutInSeconds must be larger than the total waiting time",
        ),
        ({**blue_green(), **rolling(1)}, "either BlueGreenUpdatePolicy or RollingUpdatePolicy"),
        (alarms("errors", "nobody"), "Could not find the CloudWatch alarm(s) nobody"),
        (blue_green(wait=3601), "less than or equal to 3600"),
    ],
)
def test_a_deployment_that_cannot_be_is_refused(
    hosted: Any, deployment: dict[str, Any], said: str
) -> None:
    with refused(VALIDATION, said):
        update(hosted, deployment)
    assert hosted.describe_endpoint(EndpointName="mill")["EndpointStatus"] == "InService"


def test_a_deployment_is_written_down_as_it_was_asked_for(
    hosted: Any, gateway: Gateway, region: str
) -> None:
    asked = {
        **blue_green("CANARY", 60, CanarySize=PERCENT, TerminationWaitInSeconds=30),
        **alarms("errors"),
    }
    update(hosted, asked)
    told = hosted.describe_endpoint(EndpointName="mill")
    assert told["LastDeploymentConfig"] == asked
    summary = told["PendingDeploymentSummary"]
    assert summary["EndpointConfigName"] == "next"
    assert summary["StartTime"] is not None
    [coming] = summary["ProductionVariants"]
    assert (coming["CurrentWeight"], coming["DesiredWeight"]) == (0.0, 1.0)
    assert (coming["CurrentInstanceCount"], coming["DesiredInstanceCount"]) == (0, 4)
    assert [s["Status"] for s in coming["VariantStatus"]] == ["Creating"]
    rollout = gateway.verbs.describe("endpoint", region, "mill").document["state"]["rollout"]
    assert rollout["deployment"] == {
        "kind": "CANARY",
        "step": {"unit": "CAPACITY_PERCENT", "value": 10},
        "back": None,
        "wait": 60,
        "termination": 30,
        "timeout": None,
        "alarms": ["errors"],
    }


@pytest.mark.parametrize(
    ("stage", "old", "new"),
    [
        ("ActivatingTraffic", None, "ActivatingTraffic"),
        ("Baking", None, "Baking"),
        ("Deleting", "Deleting", None),
        ("RollingBack", "Updating", "Deleting"),
    ],
)
def test_the_state_of_a_rollout_is_told(
    hosted: Any, gateway: Gateway, region: str, stage: str, old: str | None, new: str | None
) -> None:
    update(hosted, blue_green("CANARY", 60, CanarySize=PERCENT))

    def moved(row: Row) -> Row:
        state = row.document["state"]
        rollout = {**state["rollout"], "stage": stage, "share": 0.25, "since": 100.0}
        return replace(row, document={**row.document, "state": {**state, "rollout": rollout}})

    gateway.verbs.change("endpoint", region, "mill", moved)
    told = hosted.describe_endpoint(EndpointName="mill")
    [blue] = told["ProductionVariants"]
    [green] = told["PendingDeploymentSummary"]["ProductionVariants"]
    assert (blue["CurrentWeight"], green["CurrentWeight"]) == (0.75, 0.25)
    for found, word in ((blue, old), (green, new)):
        statuses = [
            (s["Status"], s["StartTime"].timestamp()) for s in found.get("VariantStatus", [])
        ]
        assert statuses == ([(word, 100.0)] if word else [])


def test_the_last_deployment_may_be_used_again(hosted: Any, gateway: Gateway, region: str) -> None:
    def rollout() -> Any:
        return gateway.verbs.describe("endpoint", region, "mill").document["state"]["rollout"]

    update(hosted, rolling(1, RollbackMaximumBatchSize=PERCENT))
    assert rollout()["deployment"]["back"] == {"unit": "CAPACITY_PERCENT", "value": 10}
    gateway.verbs.change("endpoint", region, "mill", in_service)
    update(hosted)
    assert rollout()["deployment"]["kind"] == "ALL_AT_ONCE"
    gateway.verbs.change("endpoint", region, "mill", in_service)
    update(hosted, RetainDeploymentConfig=True)
    assert rollout()["deployment"]["kind"] == "ROLLING"
    told = hosted.describe_endpoint(EndpointName="mill")
    assert "RollingUpdatePolicy" in told["LastDeploymentConfig"]


def test_a_deployment_given_at_creation_is_kept_for_later(
    hosted: Any, gateway: Gateway, region: str
) -> None:
    with refused(VALIDATION, "must have CanarySize"):
        hosted.create_endpoint(
            EndpointName="other", EndpointConfigName="mill", DeploymentConfig=blue_green("CANARY")
        )
    hosted.create_endpoint(
        EndpointName="other", EndpointConfigName="mill", DeploymentConfig=rolling(1)
    )
    gateway.verbs.change("endpoint", region, "other", in_service)
    hosted.update_endpoint(
        EndpointName="other", EndpointConfigName="next", RetainDeploymentConfig=True
    )
    state = gateway.verbs.describe("endpoint", region, "other").document["state"]
    assert state["rollout"]["deployment"]["kind"] == "ROLLING"


def test_an_endpoint_that_rolls_back_is_busy(hosted: Any, gateway: Gateway, region: str) -> None:
    gateway.verbs.change("endpoint", region, "mill", lambda row: replace(row, status="RollingBack"))
    with refused(VALIDATION, "Cannot update in-progress endpoint"):
        update(hosted)
