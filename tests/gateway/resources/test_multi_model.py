"""Multi-model models and endpoint configs through unmodified boto3."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.failing import refused
from tests.gateway.requests import model, variant

CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://mill/captured",
    "CaptureOptions": [{"CaptureMode": "Input"}],
}
QUEUED = {"OutputConfig": {"S3OutputPath": "s3://mill/out"}}


def many(name: str = "mill", **more: object) -> dict[str, Any]:
    request = model(name)
    request["PrimaryContainer"] |= {"ModelDataUrl": "s3://mill/m/", "Mode": "MultiModel", **more}
    return request


def test_a_multi_model_model_comes_back_as_it_was_sent(sagemaker: Any) -> None:
    request = many(MultiModelConfig={"ModelCacheSetting": "Disabled"})
    sagemaker.create_model(**request)
    told = sagemaker.describe_model(ModelName="mill")
    assert told["PrimaryContainer"] == request["PrimaryContainer"]


@pytest.mark.parametrize(
    ("member", "value"), [("DataCaptureConfig", CAPTURE), ("AsyncInferenceConfig", QUEUED)]
)
def test_what_multi_model_endpoints_do_not_have_is_refused(
    sagemaker: Any, member: str, value: Any
) -> None:
    sagemaker.create_model(**many())
    asked = {"EndpointConfigName": "mill", "ProductionVariants": [variant("v")]}
    with refused("ValidationException", f"have no {member}"):
        sagemaker.create_endpoint_config(**asked, **{member: value})
    idle = {"DataCaptureConfig": {**CAPTURE, "EnableCapture": False}}
    sagemaker.create_endpoint_config(**asked, **idle)


def test_a_serverless_endpoint_has_one_model(sagemaker: Any) -> None:
    sagemaker.create_model(**many())
    cold = {
        "VariantName": "v",
        "ModelName": "mill",
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
    }
    with refused("ValidationException", "multi-model"):
        sagemaker.create_endpoint_config(EndpointConfigName="mill", ProductionVariants=[cold])
