"""Serverless endpoint configs and endpoints through unmodified boto3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import IMAGE, model, variant

VALIDATION = "ValidationException"
BOUNDS = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}


def serverless(**changes: Any) -> dict[str, Any]:
    return {"VariantName": "one", "ModelName": "mill", "ServerlessConfig": {**BOUNDS, **changes}}


@pytest.fixture
def client(sagemaker: Any) -> Any:
    sagemaker.create_model(**model("mill"))
    return sagemaker


def config(client: Any, *variants: dict[str, Any], **more: Any) -> None:
    client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[*variants], **more)


def served(client: Any, gateway: Gateway, region: str, **changes: Any) -> None:
    """An endpoint ``e`` of a config ``c`` that is InService."""
    config(client, serverless(**changes))
    client.create_endpoint(EndpointName="e", EndpointConfigName="c")
    stand(gateway, region, "InService")


def stand(gateway: Gateway, region: str, status: str) -> None:
    gateway.verbs.change("endpoint", region, "e", lambda row: replace(row, status=status))


def test_a_serverless_config_comes_back_as_it_was_sent(client: Any) -> None:
    config(client, serverless(ProvisionedConcurrency=5))
    told = client.describe_endpoint_config(EndpointConfigName="c")
    assert told["ProductionVariants"] == [serverless(ProvisionedConcurrency=5)]


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (serverless(MemorySizeInMB=1500), "must be a multiple of 1024; got 1500"),
        (serverless(MemorySizeInMB=7168), "memorySizeInMB"),
        (serverless(MaxConcurrency=201), "maxConcurrency"),
        (serverless(ProvisionedConcurrency=6), "at most its MaxConcurrency, 5; got 6"),
        ({**serverless(), "InstanceType": "ml.m5.large"}, "ServerlessConfig and InstanceType"),
        ({**serverless(), "InitialInstanceCount": 1}, "has no instances"),
    ],
)
def test_bounds_are_those_of_aws(client: Any, sent: dict[str, Any], why: str) -> None:
    with refused(VALIDATION, why):
        config(client, sent)


def test_what_serverless_endpoints_do_not_have(client: Any) -> None:
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 20,
        "DestinationS3Uri": "s3://mill/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    later = {"OutputConfig": {"S3OutputPath": "s3://mill/out"}}
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    for more, why in (
        ({"DataCaptureConfig": capture}, "no DataCaptureConfig"),
        ({"AsyncInferenceConfig": later}, "no AsyncInferenceConfig"),
        ({"ShadowProductionVariants": [variant("shadow")]}, "ShadowProductionVariants"),
        ({"VpcConfig": vpc}, "no VpcConfig"),
        ({"EnableNetworkIsolation": True}, "no EnableNetworkIsolation"),
    ):
        with refused(VALIDATION, why):
            config(client, serverless(), **more)
    with refused(VALIDATION, "must have one production variant; got 2"):
        config(client, serverless(), variant("two"))


def test_models_of_several_kinds_are_refused(client: Any) -> None:
    several = model("several")
    del several["PrimaryContainer"]
    client.create_model(**several, Containers=[{"Image": IMAGE}, {"Image": IMAGE}])
    many = {"Image": IMAGE, "ModelDataUrl": "s3://models/all/", "Mode": "MultiModel"}
    client.create_model(**model("many", PrimaryContainer=many))
    for name in ("several", "many"):
        with refused(VALIDATION, f"Model {name} has several containers or is a multi-model one"):
            config(client, {**serverless(), "ModelName": name})


def test_an_endpoint_tells_its_bounds(client: Any, gateway: Gateway, region: str) -> None:
    served(client, gateway, region)
    [told] = client.describe_endpoint(EndpointName="e")["ProductionVariants"]
    assert told["CurrentInstanceCount"] == 0
    assert "DesiredInstanceCount" not in told
    assert told["DesiredServerlessConfig"] == BOUNDS
    change = {"MaxConcurrency": 9, "ProvisionedConcurrency": 3}
    client.update_endpoint_weights_and_capacities(
        EndpointName="e",
        DesiredWeightsAndCapacities=[{"VariantName": "one", "ServerlessUpdateConfig": change}],
    )
    told = client.describe_endpoint(EndpointName="e")
    assert told["EndpointStatus"] == "Updating"
    assert told["ProductionVariants"][0]["DesiredServerlessConfig"] == {**BOUNDS, **change}


def test_changes_that_can_not_be(client: Any, gateway: Gateway, region: str) -> None:
    served(client, gateway, region)

    def change(**wanted: Any) -> None:
        client.update_endpoint_weights_and_capacities(
            EndpointName="e", DesiredWeightsAndCapacities=[{"VariantName": "one", **wanted}]
        )

    with refused(VALIDATION, "is serverless, and has no DesiredInstanceCount"):
        change(DesiredInstanceCount=2)
    with refused(VALIDATION, "at most its MaxConcurrency, 5"):
        change(ServerlessUpdateConfig={"ProvisionedConcurrency": 6})
    fixed = [variant("one")]
    client.create_endpoint_config(EndpointConfigName="fixed", ProductionVariants=fixed)
    client.create_endpoint(EndpointName="fixed", EndpointConfigName="fixed")
    gateway.verbs.change("endpoint", region, "fixed", lambda row: replace(row, status="InService"))
    with refused(VALIDATION, "can not be updated to a serverless endpoint config"):
        client.update_endpoint(EndpointName="fixed", EndpointConfigName="c")
    client.update_endpoint(EndpointName="e", EndpointConfigName="fixed")
