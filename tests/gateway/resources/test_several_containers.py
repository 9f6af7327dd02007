"""Models of several containers, as CreateModel takes them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import IMAGE, ROLE, variant
from tests.gateway.resources.test_transform_job import request as transform
from tidemill.control import model
from tidemill.control.plan.fleet import from_document

VALIDATION = "ValidationException"
DIRECT = {"InferenceExecutionConfig": {"Mode": "Direct"}}
MANY = {"Mode": "MultiModel"}


def several(*changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A request with a container for each of the changes."""
    containers = [
        {"Image": IMAGE, "ModelDataUrl": f"s3://mill/{number}.tar.gz", **change}
        for number, change in enumerate(changes)
    ]
    return {"ModelName": "mill", "ExecutionRoleArn": ROLE, "Containers": containers, **more}


def test_containers_come_back_as_they_were_sent(
    sagemaker: Any, gateway: Gateway, region: str
) -> None:
    cached = {"MultiModelConfig": {"ModelCacheSetting": "Disabled"}, "Environment": {"A": "b"}}
    sent = several({"ContainerHostname": "one"}, {"ContainerHostname": "two", **cached}, **DIRECT)
    sagemaker.create_model(**sent)
    told = sagemaker.describe_model(ModelName="mill")
    assert {name: told[name] for name in sent} == sent
    made = model.spec(gateway.verbs.describe("model", region, "mill"))
    first, second = made.containers
    assert (made.execution, first.hostname, second.hostname) == ("Direct", "one", "two")
    assert (first.cache, second.cache, second.environment) == (True, False, {"A": "b"})
    assert (second.mode, second.model_uri) == ("SingleModel", "s3://mill/1.tar.gz")


@pytest.mark.parametrize("count", [1, 15])
def test_up_to_fifteen_containers_are_one_model(sagemaker: Any, count: int) -> None:
    sagemaker.create_model(**several(*[{}] * count))


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (several(*[{}] * 16), "Member must have length less than or equal to 15"),
        (several(*[{"ContainerHostname": "one"}] * 2), "got 'one' more than once"),
        (several({"ContainerHostname": "one"}, {}), "for none; got 1 of 2"),
        (several({}, {}, **DIRECT), "each with a ContainerHostname; got 0 of them"),
        (several({"ContainerHostname": "one"}, **DIRECT), "two containers or more"),
        (
            several({"ContainerHostname": "a", **MANY}, {"ContainerHostname": "b"}, **DIRECT),
            "not with Direct execution",
        ),
        (several(MANY, MANY), "Mode MultiModel is for one container"),
        (several({"Mode": "Mixed"}), "SingleModel, MultiModel"),
    ],
)
def test_what_is_no_model_is_refused(sagemaker: Any, sent: dict[str, Any], said: str) -> None:
    with refused(VALIDATION, said):
        sagemaker.create_model(**sent)


def test_replicas_and_routes_are_told_of_all_containers(
    sagemaker: Any, gateway: Gateway, region: str
) -> None:
    slow = {"Environment": {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "90"}}
    hosts = [{"ContainerHostname": "one"}, {"ContainerHostname": "two", **slow}]
    sagemaker.create_model(**several(*hosts, **DIRECT))
    sagemaker.create_endpoint_config(EndpointConfigName="mill", ProductionVariants=[variant()])
    sagemaker.create_endpoint(EndpointName="mill", EndpointConfigName="mill")
    row = gateway.verbs.describe("endpoint", region, "mill")
    state = from_document(row.document["state"])
    [deployed] = state.variants
    assert (deployed.problem, deployed.targets, deployed.timeout) == ("", ("one", "two"), 90.0)
    assert state.to_document()["variants"][0]["containers"][1]["hostname"] == "two"


def test_what_transforms_answers_in_turn(sagemaker: Any, gateway: Gateway, region: str) -> None:
    sagemaker.create_model(**several({}, {}))
    sagemaker.create_transform_job(**transform())
    told = gateway.verbs.describe("transform_job", region, "job").document["spec"]
    assert [c["model_uri"] for c in told["containers"]] == [f"s3://mill/{i}.tar.gz" for i in (0, 1)]
    assert told["container"] == told["containers"][0]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (
            several({"ContainerHostname": "a"}, {"ContainerHostname": "b"}, **DIRECT),
            "no record says which container",
        ),
        (several(MANY), "no record says which model"),
        ({"ModelName": "mill", "ExecutionRoleArn": ROLE}, "must have a container"),
    ],
)
def test_what_does_not_answer_in_turn_transforms_nothing(
    sagemaker: Any, sent: dict[str, Any], said: str
) -> None:
    sagemaker.create_model(**sent)
    with refused(VALIDATION, said):
        sagemaker.create_transform_job(**transform())
