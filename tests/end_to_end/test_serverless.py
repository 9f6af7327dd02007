"""Serverless endpoints through boto3: gone when idle, and no request is lost to that."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.end_to_end import processes
from tests.end_to_end.conftest import Platform, start, tidemill
from tidemill.sdk.train import train

pytestmark = [pytest.mark.slow, pytest.mark.serial]
ROLE = "arn:aws:iam::123456789012:role/any"
NAME, MOST, CALLERS, KILLS = "now-and-then", 40, 40, 3
OK = "OK"
BOUNDS = {"MemorySizeInMB": 1024, "MaxConcurrency": MOST}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One whose serverless endpoints are idle soon."""
    home = tmp_path_factory.mktemp("home")
    try:
        yield start(home, {"TIDEMILL_SERVERLESS_IDLE_SECONDS": "1"})
    finally:
        tidemill("down", "--home", str(home))


@pytest.fixture(scope="module")
def sagemaker(platform: Platform) -> Any:
    """A client, with a serverless endpoint that is InService."""
    points = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    job = train("kmeans", points, k=2, connection=platform.connection).wait(quiet=True)
    client = platform.connection.client("sagemaker")
    told = client.describe_training_job(TrainingJobName=job.name)
    container = {
        "Image": told["AlgorithmSpecification"]["TrainingImage"],
        "ModelDataUrl": told["ModelArtifacts"]["S3ModelArtifacts"],
    }
    client.create_model(ModelName=NAME, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "AllTraffic", "ModelName": NAME, "ServerlessConfig": BOUNDS}
    client.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    until(lambda: client.describe_endpoint(EndpointName=NAME)["EndpointStatus"] == "InService")
    [shown] = client.describe_endpoint(EndpointName=NAME)["ProductionVariants"]
    assert shown["CurrentServerlessConfig"] == BOUNDS
    return client


@pytest.fixture(scope="module")
def invoke(platform: Platform) -> Callable[[], str]:
    """Asks once, without trying again, and gives the code of the error, or OK."""
    connection = platform.connection
    runtime = boto3.client(
        "sagemaker-runtime",
        endpoint_url=connection.url,
        region_name=connection.region,
        aws_access_key_id=connection.access_key_id,
        aws_secret_access_key=connection.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=2 * CALLERS),
    )

    def ask() -> str:
        try:
            runtime.invoke_endpoint(EndpointName=NAME, Body=b"1,2\n", ContentType="text/csv")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return OK

    return ask


def until(true: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + 60
    while not (answer := true()):
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)
    return answer


def idle(platform: Platform) -> None:
    """Wait until no process is left of the endpoint."""
    until(lambda: not processes.of("replica", platform.home))


def test_callers_at_once_wake_it_from_zero_and_none_fails(
    platform: Platform, sagemaker: Any, invoke: Callable[[], str]
) -> None:
    idle(platform)
    [shown] = sagemaker.describe_endpoint(EndpointName=NAME)["ProductionVariants"]
    assert shown["CurrentInstanceCount"] == 0
    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(lambda _: invoke(), range(CALLERS)))
    assert answers == [OK] * CALLERS


def test_what_is_beyond_its_concurrency_is_throttled(
    platform: Platform, sagemaker: Any, invoke: Callable[[], str]
) -> None:
    assert invoke() == OK
    for process in processes.of("replica", platform.home):
        process.suspend()
    with ThreadPoolExecutor(2 * CALLERS) as callers:
        asked = [callers.submit(invoke) for _ in range(MOST + 10)]
        until(lambda: sum(one.done() for one in asked) == 10)
        for process in processes.of("replica", platform.home):
            process.resume()
        answers = Counter(one.result() for one in asked)
    assert answers == {OK: MOST, "ThrottlingException": 10}


def test_killing_the_only_replica_loses_no_request(
    platform: Platform, sagemaker: Any, invoke: Callable[[], str]
) -> None:
    over = False

    def load() -> set[str]:
        answers = set()
        while not over:
            answers.add(invoke())
        return answers

    with ThreadPoolExecutor(4) as callers:
        asked = [callers.submit(load) for _ in range(4)]
        for _ in range(KILLS):
            assert invoke() == OK
            until(lambda: processes.kill("replica", platform.home))
        over = True
        assert [one.result() for one in asked] == [{OK}] * 4


def test_how_long_a_first_replica_takes_is_a_metric(platform: Platform, sagemaker: Any) -> None:
    asked = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "ModelSetupTime",
        "Dimensions": [
            {"Name": "EndpointName", "Value": NAME},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        "StartTime": datetime.now(UTC) - timedelta(minutes=5),
        "EndTime": datetime.now(UTC) + timedelta(minutes=5),
        "Period": 3600,
        "Statistics": ["SampleCount", "Minimum"],
    }
    cloudwatch = platform.connection.client("cloudwatch")
    told = until(lambda: cloudwatch.get_metric_statistics(**asked)["Datapoints"])
    assert told[0]["Unit"] == "Microseconds"
    assert told[0]["SampleCount"] >= 1
    assert told[0]["Minimum"] > 1000
