"""Endpoints that learn, from unmodified boto3 and the feedback's path."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from tests.end_to_end import processes
from tests.end_to_end.conftest import Platform
from tidemill.sdk.endpoint import DeploymentFailed, Endpoint
from tidemill.sdk.train import train
from tidemill.sdk.training_job import TrainingJob

pytestmark = [pytest.mark.slow, pytest.mark.serial]
ROLE = "arn:aws:iam::123456789012:role/any"
DRAWS = np.random.default_rng(0)
KILLS = {3: "replica", 6: "leader of learning", 9: "replica", 12: "control plane"}
LOSS = "binary_classification_cross_entropy_objective"


def draw(count: int, turn: float = 0.0) -> tuple[Any, Any]:
    """Rows of two features and their labels; the line between these turns round."""
    rows = DRAWS.normal(size=(count, 2)).astype(np.float32)
    side = rows @ [np.cos(turn), np.sin(turn)]
    return rows, (side + 0.2 * DRAWS.normal(size=count) > 0).astype(np.float32)


@pytest.fixture(scope="module")
def job(platform: Platform) -> TrainingJob:
    rows, labels = draw(100)
    return train(
        "linear-learner",
        (rows, labels),
        predictor_type="binary_classifier",
        num_models=2,
        epochs=5,
        mini_batch_size=20,
        connection=platform.connection,
    ).wait(quiet=True)


def create(platform: Platform, job: TrainingJob, name: str, **environment: str) -> Endpoint:
    client = platform.connection.client("sagemaker")
    told = job.describe()
    container = {
        "Image": told["AlgorithmSpecification"]["TrainingImage"],
        "ModelDataUrl": told["ModelArtifacts"]["S3ModelArtifacts"],
        "Environment": {"TIDEMILL_LEARN": "true", **environment},
    }
    client.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": 2,
        "InstanceType": "ml.m5.large",
    }
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return Endpoint(name, platform.connection)


def csv(row: Any) -> bytes:
    return b",".join(b"%.6g" % v for v in row)


class Load(threading.Thread):
    """Asks without a pause until it is told to stop. slowest: seconds · failed: what was said"""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._runtime = endpoint.connection.client("sagemaker-runtime")
        self._name = endpoint.name
        self._over = threading.Event()
        self.answered, self.slowest = 0, 0.0
        self.failed: list[str] = []

    def run(self) -> None:
        while not self._over.is_set():
            begun = time.perf_counter()
            try:
                self._runtime.invoke_endpoint(
                    EndpointName=self._name, ContentType="text/csv", Body=b"1,2"
                )["Body"].read()
                self.answered += 1
            except ClientError as error:
                self.failed.append(str(error))
            self.slowest = max(self.slowest, time.perf_counter() - begun)

    def stop(self) -> None:
        self._over.set()
        self.join()


def settled(endpoint: Endpoint, rows: int) -> dict[str, Any]:
    """What is told once so many rows are learned, and nothing waits."""
    deadline = time.monotonic() + 30
    while True:
        told = endpoint.learning()
        if told["RowsLearned"] >= rows and not told["BytesWaiting"]:
            return told
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


def metrics(platform: Platform) -> list[dict[str, Any]]:
    """Once there are any; control looks every two seconds."""
    client = platform.connection.client("cloudwatch")
    deadline = time.monotonic() + 20
    while not (found := client.list_metrics(Namespace="Tidemill/Learning")["Metrics"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return list(found)


def test_a_drifting_concept_is_followed(platform: Platform, job: TrainingJob) -> None:
    """Labels come by inference id and as rows, while replicas are killed: all are learned once."""
    platform.connection.client("s3").create_bucket(Bucket="learned")
    asked = {
        "TIDEMILL_LEARN_SECONDS": "0.2",
        "TIDEMILL_LEARN_OUTPUT": "s3://learned/here",
        "TIDEMILL_LEARN_HALF_LIFE": "60",
    }
    endpoint = create(platform, job, "drifting", **asked).wait(quiet=True)
    runtime = platform.connection.client("sagemaker-runtime")
    load = Load(endpoint)
    load.start()
    accepted = 0
    for step in range(16):
        rows, labels = draw(30, turn=min(1.5, step / 2))
        answered = {}
        for row, label in zip(rows[:5], labels[:5], strict=True):
            answer = runtime.invoke_endpoint(
                EndpointName="drifting", ContentType="text/csv", Body=csv(row)
            )
            headers = answer["ResponseMetadata"]["HTTPHeaders"]
            answered[headers["x-amzn-sagemaker-inference-id"]] = float(label)
        accepted += endpoint.feedback(by_id=answered)
        accepted += endpoint.feedback((rows[5:], labels[5:]))
        if step % 5 == 0:
            settled(endpoint, accepted)
        if step in KILLS:
            assert processes.kill(KILLS[step], platform.home)
    told = settled(endpoint, accepted)
    load.stop()
    assert load.failed == []
    assert load.answered > 100
    assert told["RowsLearned"] == accepted == 16 * 30
    assert told["Version"] > 3
    validated = told["ProgressiveValidation"]
    assert validated["Current"][LOSS] < 0.9 * validated["Original"][LOSS]
    listed = platform.connection.client("s3").list_objects_v2(Bucket="learned")
    keys = [item["Key"] for item in listed["Contents"]]
    newest = f"here/drifting/AllTraffic-1/version-{told['Version']:06d}/model.tar.gz"
    assert newest in keys
    measured = {(m["MetricName"], len(m["Dimensions"])) for m in metrics(platform)}
    assert {("RowsLearned", 2), ("Version", 2), (LOSS, 3)} <= measured
    with pytest.raises(ClientError, match="remembers no answer"):
        endpoint.feedback(by_id={"nobody": 1})
    endpoint.delete()


def test_what_can_not_learn_fails_with_the_reason(platform: Platform, job: TrainingJob) -> None:
    endpoint = create(platform, job, "wrong", TIDEMILL_LEARN_SECONDS="soon")
    with pytest.raises(DeploymentFailed, match="TIDEMILL_LEARN_SECONDS must be a number"):
        endpoint.wait(quiet=True)
    with pytest.raises(ClientError, match="wrong"):
        endpoint.learning()
    endpoint.delete()
