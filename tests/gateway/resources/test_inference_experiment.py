"""Inference experiments through unmodified boto3."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.gateway.conftest import ACCOUNT, Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import ROLE, model, variant
from tests.gateway.resources.test_hosting import VALIDATION, stand
from tidemill.control.inference_experiment import KIND, Experiments

TOMORROW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


def model_variant(name: str, model: str = "mill", count: int = 1) -> dict[str, Any]:
    real = {"InstanceType": "ml.m5.large", "InstanceCount": count}
    return {
        "VariantName": name,
        "ModelName": model,
        "InfrastructureConfig": {
            "InfrastructureType": "RealTimeInference",
            "RealTimeInferenceConfig": real,
        },
    }


def experiment(name: str = "try", percentage: int = 50, **changes: Any) -> dict[str, Any]:
    shadow = {"ShadowModelVariantName": "dark", "SamplingPercentage": percentage}
    return {
        "Name": name,
        "Type": "ShadowMode",
        "RoleArn": ROLE,
        "EndpointName": "mill",
        "ModelVariants": [model_variant("main"), model_variant("dark", count=2)],
        "ShadowModeConfig": {"SourceModelVariantName": "main", "ShadowModelVariants": [shadow]},
        "Schedule": {"StartTime": TOMORROW, "EndTime": TOMORROW + timedelta(days=2)},
        **changes,
    }


@pytest.fixture
def trying(sagemaker: Any, gateway: Gateway, region: str) -> Any:
    """A client of a region with an endpoint ``mill`` that is InService."""
    sagemaker.create_model(**model("mill"))
    sagemaker.create_endpoint_config(
        EndpointConfigName="mill", ProductionVariants=[variant("main")]
    )
    sagemaker.create_endpoint(EndpointName="mill", EndpointConfigName="mill")
    stand(gateway, region, "InService")
    return sagemaker


def test_an_experiment_comes_back_as_it_was_sent(trying: Any, region: str) -> None:
    arn = trying.create_inference_experiment(**experiment(Description="two"))
    arn = arn["InferenceExperimentArn"]
    assert arn == f"arn:aws:sagemaker:{region}:{ACCOUNT}:inference-experiment/try"
    told = trying.describe_inference_experiment(Name="try")
    for member in ("Name", "Type", "RoleArn", "Schedule", "ShadowModeConfig"):
        assert told[member] == experiment()[member]
    assert (told["Arn"], told["Status"], told["Description"]) == (arn, "Creating", "two")
    assert [v.pop("Status") for v in told["ModelVariants"]] == ["Creating", "Creating"]
    assert told["ModelVariants"] == experiment()["ModelVariants"]
    assert told["EndpointMetadata"] == {
        "EndpointName": "mill",
        "EndpointConfigName": "mill",
        "EndpointStatus": "InService",
    }
    [listed] = trying.list_inference_experiments(StatusEquals="Creating")["InferenceExperiments"]
    assert (listed["Name"], listed["Schedule"]) == ("try", told["Schedule"])
    assert trying.list_inference_experiments(StatusEquals="Running")["InferenceExperiments"] == []
    with refused("ConflictException", "in status Creating"):
        trying.delete_inference_experiment(Name="try")


def test_the_endpoint_is_updated_and_left_as_it_is_asked_for(
    trying: Any, gateway: Gateway, region: str
) -> None:
    trying.create_inference_experiment(**experiment())
    duty = Experiments(gateway.verbs)
    duty.tick(gateway.verbs.clock())
    told = trying.describe_endpoint(EndpointName="mill")
    pending = told["PendingDeploymentSummary"]
    [dark] = pending["ShadowProductionVariants"]
    assert (dark["VariantName"], dark["DesiredInstanceCount"]) == ("dark", 2)
    config = trying.describe_endpoint_config(EndpointConfigName=pending["EndpointConfigName"])
    assert config["ShadowProductionVariants"][0]["InitialVariantWeight"] == 0.0
    duty.tick(gateway.verbs.clock())
    assert trying.describe_inference_experiment(Name="try")["Status"] == "Creating"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"EndpointName": "other"}, "Could not find endpoint"),
        ({"ModelVariants": [model_variant("main")]}, "ShadowModelVariantName dark"),
        ({"ModelVariants": [model_variant("x"), model_variant("dark")]}, "does not name: x"),
        ({"ModelVariants": [model_variant("dark", "none")]}, "Could not find model"),
        ({"ModelVariants": [model_variant("dark", count=0)]}, "InstanceCount of dark"),
        ({"Schedule": {"StartTime": TOMORROW, "EndTime": TOMORROW}}, "after StartTime"),
        ({"Schedule": {"EndTime": TOMORROW + timedelta(days=31)}}, "30 days"),
    ],
)
def test_what_cannot_be_tried_is_refused(trying: Any, changes: dict[str, Any], words: str) -> None:
    with refused(VALIDATION, words):
        trying.create_inference_experiment(**experiment(**changes))


def test_names_are_taken_once_and_so_are_endpoints(trying: Any) -> None:
    trying.create_inference_experiment(**experiment())
    with refused("ResourceInUse", "Cannot create already existing inference experiment"):
        trying.create_inference_experiment(**experiment())
    with refused(VALIDATION, "has the inference experiment try already"):
        trying.create_inference_experiment(**experiment("another"))
    with refused("ResourceNotFound", "Could not find inference experiment"):
        trying.describe_inference_experiment(Name="another")


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ({"main": "Remove"}, "must leave a production variant"),
        ({"main": "Remove", "dark": "Retain"}, "must leave a production variant"),
        ({"main": "Promote"}, "Only the shadow variant can be promoted"),
        ({"other": "Remove"}, "has no variant other"),
    ],
)
def test_something_must_be_left_in_production(
    trying: Any, actions: dict[str, str], words: str
) -> None:
    trying.create_inference_experiment(**experiment())
    with refused(VALIDATION, words):
        trying.stop_inference_experiment(Name="try", ModelVariantActions=actions)


@pytest.fixture
def created(trying: Any, gateway: Gateway, region: str) -> Any:
    """A client of a region with an experiment ``try`` that is Created."""
    trying.create_inference_experiment(**experiment())
    put(gateway, region, "Created")
    return trying


def put(gateway: Gateway, region: str, status: str) -> None:
    gateway.verbs.change(KIND, region, "try", lambda row: replace(row, status=status))


def test_what_is_changed_is_deployed_if_it_must_be(
    created: Any, gateway: Gateway, region: str
) -> None:
    end = TOMORROW + timedelta(days=3)
    created.update_inference_experiment(Name="try", Description="new", Schedule={"EndTime": end})
    told = created.describe_inference_experiment(Name="try")
    assert (told["Status"], told["Description"]) == ("Created", "new")
    assert told["Schedule"] == {"StartTime": TOMORROW, "EndTime": end}
    mode = experiment(percentage=7)["ShadowModeConfig"]
    created.update_inference_experiment(
        Name="try", ShadowModeConfig=mode, ModelVariants=[model_variant("dark", count=3)]
    )
    told = created.describe_inference_experiment(Name="try")
    assert (told["Status"], told["ShadowModeConfig"]) == ("Updating", mode)
    assert told["ModelVariants"][1].pop("Status") == "Updating"
    assert told["ModelVariants"][1] == model_variant("dark", count=3)
    with refused("ConflictException", "in status Updating"):
        created.start_inference_experiment(Name="try")
    put(gateway, region, "Created")
    with refused(VALIDATION, "does not have: other"):
        created.update_inference_experiment(Name="try", ModelVariants=[model_variant("other")])


def test_it_is_started_stopped_and_forgotten(created: Any, gateway: Gateway, region: str) -> None:
    created.start_inference_experiment(Name="try")
    assert created.describe_inference_experiment(Name="try")["Status"] == "Starting"
    put(gateway, region, "Running")
    created.stop_inference_experiment(
        Name="try",
        ModelVariantActions={"main": "Remove", "dark": "Promote"},
        DesiredModelVariants=[model_variant("dark", count=4)],
        DesiredState="Cancelled",
        Reason="enough",
    )
    told = created.describe_inference_experiment(Name="try")
    assert (told["Status"], told["StatusReason"]) == ("Stopping", "enough")
    assert [v["Status"] for v in told["ModelVariants"]] == ["Deleting", "Updating"]
    put(gateway, region, "Cancelled")
    told = created.describe_inference_experiment(Name="try")
    assert [v["Status"] for v in told["ModelVariants"]] == ["Deleted", "InService"]
    created.delete_inference_experiment(Name="try")
    assert created.list_inference_experiments()["InferenceExperiments"] == []
    assert created.describe_endpoint(EndpointName="mill")["EndpointStatus"] == "InService"
