"""Batch transform through unmodified boto3 and the published SageMaker SDK."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from tests.end_to_end import processes
from tests.end_to_end.conftest import Platform
from tests.end_to_end.test_capture import run
from tidemill.sdk.train import train

pytestmark = pytest.mark.slow
ROLE = "arn:aws:iam::123456789012:role/any"
POINTS = np.random.default_rng(0).normal(size=(600, 2)).astype(np.float32)
SDK = """
from sagemaker import Session
from sagemaker.transformer import Transformer
transformer = Transformer(
    "two", 1, "ml.m5.large", strategy="SingleRecord", assemble_with="Line", accept="text/csv",
    output_path="s3://batch/sdk", sagemaker_session=Session(default_bucket="batch"),
)
transformer.transform(
    "s3://batch/in/", content_type="text/csv", split_type="Line", input_filter="$[1:]",
    output_filter="$[0,-1]", join_source="Input", wait=False,
)
print(transformer.latest_transform_job.name)
"""


@pytest.fixture(scope="module")
def model(platform: Platform) -> str:
    """A model of two clusters, and three objects of rows that begin with a name."""
    job = train("kmeans", POINTS, k=2, connection=platform.connection).wait(quiet=True)
    client = platform.connection.client("sagemaker")
    told = client.describe_training_job(TrainingJobName=job.name)
    container = {
        "Image": told["AlgorithmSpecification"]["TrainingImage"],
        "ModelDataUrl": told["ModelArtifacts"]["S3ModelArtifacts"],
    }
    client.create_model(ModelName="two", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    s3 = platform.connection.client("s3")
    s3.create_bucket(Bucket="batch")
    for part in range(3):
        s3.put_object(Bucket="batch", Key=f"in/part-{part}.csv", Body="".join(rows(part)).encode())
    return "two"


def rows(part: int) -> list[str]:
    return [f"row-{i},{x:.6f},{y:.6f}\n" for i, (x, y) in enumerate(POINTS[part::3])]


def transform(client: Any, name: str, output: str, **changes: Any) -> None:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://batch/in/"}}
    request = {
        "TransformJobName": name,
        "ModelName": "two",
        "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": output, "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
        "DataProcessing": {"InputFilter": "$[1:]", "JoinSource": "Input"},
    }
    client.create_transform_job(**{**request, **changes})


def wait(client: Any, name: str) -> dict[str, Any]:
    waiter = client.get_waiter("transform_job_completed_or_stopped")
    waiter.wait(TransformJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    told: dict[str, Any] = client.describe_transform_job(TransformJobName=name)
    return told


def test_each_row_is_written_with_its_answer(platform: Platform, model: str) -> None:
    client, s3 = platform.connection.client("sagemaker"), platform.connection.client("s3")
    transform(client, "join", "s3://batch/out")
    told = wait(client, "join")
    assert told["TransformJobStatus"] == "Completed"
    assert told["CreationTime"] <= told["TransformStartTime"] <= told["TransformEndTime"]
    for part in range(3):
        body = s3.get_object(Bucket="batch", Key=f"out/part-{part}.csv.out")["Body"].read()
        lines = body.decode().splitlines()
        assert [line.rsplit(",", 2)[0] + "\n" for line in lines] == rows(part)
        assert {line.split(",")[3] for line in lines} <= {"0", "1", "0.0", "1.0"}
    [listed] = client.list_transform_jobs(NameContains="join")["TransformJobSummaries"]
    assert listed["TransformJobStatus"] == "Completed"
    streams = platform.connection.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix="join/"
    )
    assert len(streams["logStreams"]) == 2


def test_the_published_sdk_transforms(platform: Platform, model: str) -> None:
    name = run(SDK, platform).splitlines()[-1]
    wait(platform.connection.client("sagemaker"), name)
    s3 = platform.connection.client("s3")
    body = s3.get_object(Bucket="batch", Key="sdk/part-1.csv.out")["Body"].read().decode()
    assert [line.split(",")[0] for line in body.splitlines()] == [f"row-{i}" for i in range(200)]
    assert all(line.count(",") == 1 for line in body.splitlines())


def test_one_bad_record_costs_its_object_and_fails_the_job(platform: Platform, model: str) -> None:
    client, s3 = platform.connection.client("sagemaker"), platform.connection.client("s3")
    for name, body in {"a": b"x,1,2\n", "b": b"x,1\n", "c": b"x,3,4\n"}.items():
        s3.put_object(Bucket="batch", Key=f"bad/{name}", Body=body)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://batch/bad/"}}
    inputs = {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"}
    transform(client, "bad", "s3://batch/bad-out", TransformInput=inputs)
    until = time.monotonic() + 30
    told = client.describe_transform_job(TransformJobName="bad")
    while told["TransformJobStatus"] == "InProgress":
        assert time.monotonic() < until
        time.sleep(0.1)
        told = client.describe_transform_job(TransformJobName="bad")
    assert told["TransformJobStatus"] == "Failed"
    assert "s3://batch/bad/b" in told["FailureReason"]
    found = s3.list_objects_v2(Bucket="batch", Prefix="bad-out/")["Contents"]
    assert [o["Key"] for o in found] == ["bad-out/a.out", "bad-out/c.out"]


def test_a_job_that_is_stopped_ends_as_stopped(platform: Platform, model: str) -> None:
    client = platform.connection.client("sagemaker")
    transform(client, "stopped", "s3://batch/stopped")
    client.stop_transform_job(TransformJobName="stopped")
    assert wait(client, "stopped")["TransformJobStatus"] == "Stopped"


@pytest.mark.serial
def test_a_worker_that_is_killed_comes_back_and_goes_on(platform: Platform, model: str) -> None:
    client, s3 = platform.connection.client("sagemaker"), platform.connection.client("s3")
    for part in range(6):
        s3.put_object(Bucket="batch", Key=f"many/{part}", Body=b"x,1,2\n" * 50_000)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://batch/many/"}}
    inputs = {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"}
    single = {"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1}}
    changes = {"TransformInput": inputs, "BatchStrategy": "SingleRecord", **single}
    transform(client, "killed", "s3://batch/killed", **changes)
    until = time.monotonic() + 30
    while "Contents" not in s3.list_objects_v2(Bucket="batch", Prefix="killed/"):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert processes.kill("transform worker", platform.home) == 1
    assert wait(client, "killed")["TransformJobStatus"] == "Completed"
    bodies = {
        s3.get_object(Bucket="batch", Key=f"killed/{part}.out")["Body"].read() for part in range(6)
    }
    assert len(bodies) == 1
    assert bodies.pop().count(b"\n") == 50_000
