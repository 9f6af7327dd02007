"""A container's timeout and a variant's routing, from boto3 to the replica."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from tests.end_to_end import processes
from tests.end_to_end.conftest import Platform
from tidemill.sdk.train import train

pytestmark = [pytest.mark.slow, pytest.mark.serial]


@pytest.fixture(scope="module")
def endpoint(platform: Platform) -> str:
    rows = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    job = train("kmeans", rows, k=3, connection=platform.connection).wait(quiet=True)
    client = platform.connection.client("sagemaker")
    told = client.describe_training_job(TrainingJobName=job.name)
    container = {
        "Image": told["AlgorithmSpecification"]["TrainingImage"],
        "ModelDataUrl": job.artifact,
        "Environment": {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "1"},
    }
    client.create_model(
        ModelName="hasty", ExecutionRoleArn=told["RoleArn"], PrimaryContainer=container
    )
    variant = {
        "VariantName": "one",
        "ModelName": "hasty",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
        "RoutingConfig": {"RoutingStrategy": "RANDOM"},
    }
    client.create_endpoint_config(EndpointConfigName="hasty", ProductionVariants=[variant])
    client.create_endpoint(EndpointName="hasty", EndpointConfigName="hasty")
    waiter = client.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="hasty", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    [described] = client.describe_endpoint_config(EndpointConfigName="hasty")["ProductionVariants"]
    assert described["RoutingConfig"] == {"RoutingStrategy": "RANDOM"}
    return "hasty"


def test_an_answer_has_as_long_as_the_container_s_environment_says(
    platform: Platform, endpoint: str
) -> None:
    runtime = platform.connection.client("sagemaker-runtime")

    def ask() -> Any:
        answer = runtime.invoke_endpoint(EndpointName=endpoint, Body=b"1,2", ContentType="text/csv")
        return answer["Body"].read()

    right = ask()
    [replica] = processes.of("replica", platform.home)
    replica.suspend()
    try:
        with pytest.raises(ClientError, match="ModelError.*timed out.*: 1 s") as raised:
            ask()
    finally:
        replica.resume()
    assert raised.value.response["OriginalStatusCode"] == 0
    assert ask() == right, "the late answer goes to nobody"
