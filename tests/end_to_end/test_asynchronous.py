"""Asynchronous endpoints through boto3: what was acknowledged is answered, whatever is killed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from tests.end_to_end import processes
from tests.end_to_end.conftest import Platform, start
from tidemill.sdk.train import train
from tidemill.spec.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.serial]
ROLE = "arn:aws:iam::123456789012:role/any"
REQUESTS = 200
ASKED = {
    "OutputConfig": {"S3OutputPath": "s3://later/answers", "S3FailurePath": "s3://later/failures"},
    "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2},
}


@pytest.fixture(scope="module")
def endpoint(platform: Platform) -> str:
    """An asynchronous endpoint of two replicas, and its bucket with an input."""
    points = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    job = train("kmeans", points, k=2, connection=platform.connection).wait(quiet=True)
    client = platform.connection.client("sagemaker")
    told = client.describe_training_job(TrainingJobName=job.name)
    container = {
        "Image": told["AlgorithmSpecification"]["TrainingImage"],
        "ModelDataUrl": told["ModelArtifacts"]["S3ModelArtifacts"],
    }
    client.create_model(ModelName="later", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    s3 = platform.connection.client("s3")
    s3.create_bucket(Bucket="later")
    s3.put_object(Bucket="later", Key="input.csv", Body=b"1,2\n")
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "later",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 2,
    }
    client.create_endpoint_config(
        EndpointConfigName="later", ProductionVariants=[variant], AsyncInferenceConfig=ASKED
    )
    client.create_endpoint(EndpointName="later", EndpointConfigName="later")
    waiter = client.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="later", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert client.describe_endpoint(EndpointName="later")["AsyncInferenceConfig"] == ASKED
    return "later"


def keys(s3: Any, prefix: str) -> list[str]:
    listing = s3.list_objects_v2(Bucket="later", Prefix=prefix)
    return [found["Key"] for found in listing.get("Contents", [])]


def wait_for(s3: Any, prefix: str, number: int) -> list[str]:
    until = time.monotonic() + 60
    while len(found := keys(s3, prefix)) < number:
        assert time.monotonic() < until, f"{len(found)} of {number} objects"
        time.sleep(0.1)
    return found


def test_a_missing_input_is_a_failure_and_a_sync_request_is_refused(
    platform: Platform, endpoint: str
) -> None:
    runtime = platform.connection.client("sagemaker-runtime")
    s3 = platform.connection.client("s3")
    answer = runtime.invoke_endpoint_async(
        EndpointName=endpoint, InputLocation="s3://later/nothing.csv", InferenceId="lost"
    )
    assert answer["FailureLocation"] == "s3://later/failures/lost-error.out"
    wait_for(s3, "failures/", 1)
    told = s3.get_object(Bucket="later", Key="failures/lost-error.out")["Body"].read()
    assert b"nothing.csv" in told
    with pytest.raises(ClientError, match="InvokeEndpointAsync") as refusal:
        runtime.invoke_endpoint(EndpointName=endpoint, Body=b"1,2\n", ContentType="text/csv")
    assert refusal.value.response["Error"]["Code"] == "ValidationError"


def backlog(platform: Platform, endpoint: str, metric: str) -> float:
    """The newest value of a metric of the queue, or -1."""
    now = datetime.now(UTC)
    told = platform.connection.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
        StartTime=now - timedelta(minutes=2),
        EndTime=now + timedelta(minutes=1),
        Period=10,
        Statistics=["Maximum"],
    )["Datapoints"]
    newest = max(told, key=lambda point: point["Timestamp"], default={"Maximum": -1.0})
    return float(newest["Maximum"])


def test_requests_wait_while_there_is_no_replica_and_until_one_is_back(
    platform: Platform, endpoint: str
) -> None:
    client = platform.connection.client("sagemaker")
    scaling = platform.connection.client("application-autoscaling")
    s3 = platform.connection.client("s3")
    variant = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }

    def count() -> int:
        told = client.describe_endpoint(EndpointName=endpoint)
        [one] = told["ProductionVariants"]
        return one["CurrentInstanceCount"] if told["EndpointStatus"] == "InService" else -1

    def until(ask: Callable[[], bool]) -> None:
        give_up = time.monotonic() + 30
        while not ask():
            assert time.monotonic() < give_up, "waited in vain"
            time.sleep(0.1)

    scaling.register_scalable_target(**variant, MinCapacity=0, MaxCapacity=2)
    none = {"VariantName": "AllTraffic", "DesiredInstanceCount": 0}
    client.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[none]
    )
    until(lambda: count() == 0)
    platform.connection.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName=endpoint,
        InputLocation="s3://later/input.csv",
        ContentType="text/csv",
        InferenceId="patient",
        Filename="patient.out",
        S3OutputPathExtension="zero",
    )
    until(lambda: backlog(platform, endpoint, "HasBacklogWithoutCapacity") == 1)
    assert keys(s3, "answers/zero/") == []
    scaling.register_scalable_target(**variant, MinCapacity=2)
    wait_for(s3, "answers/zero/", 1)
    until(lambda: count() == 2)
    s3.delete_object(Bucket="later", Key="answers/zero/patient.out")
    scaling.deregister_scalable_target(**variant)


def test_killing_everything_loses_no_request(platform: Platform, endpoint: str) -> None:
    runtime = platform.connection.client("sagemaker-runtime")
    promised = set()
    for number in range(REQUESTS):
        if number == REQUESTS // 2:
            for process in processes.of("replica", platform.home):
                process.suspend()  # so that many wait when all is killed
        answer = runtime.invoke_endpoint_async(
            EndpointName=endpoint,
            InputLocation="s3://later/input.csv",
            ContentType="text/csv",
            InferenceId=f"n-{number}",
        )
        promised.add(answer["OutputLocation"])
    waiting = len(os.listdir(Home(platform.home).asynchronous))
    assert waiting >= REQUESTS // 2
    for part in ("supervisor", "router", "control plane", "replica", "replica"):
        assert processes.kill(part, platform.home) == 1
    s3 = start(platform.home).connection.client("s3")
    found = wait_for(s3, "answers/", REQUESTS)
    assert {f"s3://later/{key}" for key in found} == promised
    assert [key for key in keys(s3, "failures/") if "/n-" in key] == []
    bodies = {s3.get_object(Bucket="later", Key=key)["Body"].read() for key in found}
    assert len(bodies) == 1  # of one model and one input
    assert len(bodies.pop().splitlines()) == 1
    assert os.listdir(Home(platform.home).asynchronous) == []
