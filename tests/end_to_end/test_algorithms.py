"""Every built-in through boto3: a job, an endpoint, an answer, and a job that goes on from it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.exceptions import WaiterError

from tests.end_to_end.conftest import Platform
from tidemill import registry
from tidemill.data.recordio.encode import records

pytestmark = pytest.mark.slow
BUCKET = "algorithms"
ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
DRAWS = np.random.default_rng(0)
POINTS = (DRAWS.normal(size=(400, 6)) + DRAWS.integers(0, 3, (400, 1)) * 4).astype(np.float32)
LABELS = (POINTS[:, 0] > POINTS[:, 0].mean()).astype(np.float32)
COUNTS = DRAWS.poisson(0.7, (400, 6)).astype(np.float32)
SENTENCES = [
    f"__label__{kind} " + " ".join(DRAWS.choice(words, 8))
    for _ in range(150)
    for kind, words in (
        ("tea", ["kettle", "leaf", "cup", "pot", "steep", "milk"]),
        ("sea", ["wave", "salt", "tide", "boat", "wind", "milk"]),
    )
]


@dataclass(frozen=True)
class Sample:
    """One algorithm's job. ask: a request · answered: whether its answer is as it should be"""

    hyperparameters: Mapping[str, str]
    body: bytes
    answered: Callable[[Any], object]
    metrics: tuple[str, ...] = ()
    content_type: str = "application/x-recordio-protobuf"
    test: str | None = "test"
    ask: Any = field(default_factory=lambda: {"instances": [{"features": POINTS[0].tolist()}]})


def recordio(features: np.ndarray, labels: np.ndarray | None = None) -> bytes:
    return b"".join(records(features, labels))


def csv(labels: np.ndarray, features: np.ndarray) -> bytes:
    rows = np.column_stack([labels, features]).tolist()
    return "".join(",".join(f"{v:.6g}" for v in row) + "\n" for row in rows).encode()


SAMPLES = {
    "blazingtext": Sample(
        {"mode": "supervised", "epochs": "20", "vector_dim": "10", "min_count": "1"},
        "\n".join(SENTENCES).encode(),
        lambda said: said[0]["label"] == ["__label__sea"] and said[0]["prob"][0] > 0.5,
        ("train:accuracy", "validation:accuracy"),
        content_type="text/plain",
        test="validation",
        ask={"instances": ["salt wave on the boat"]},
    ),
    "factorization-machines": Sample(
        {
            "feature_dim": "6",
            "num_factors": "2",
            "predictor_type": "binary_classifier",
            "epochs": "3",
        },
        recordio(POINTS, LABELS),
        lambda said: set(said["predictions"][0]) == {"score", "predicted_label"},
        ("test:binary_classification_accuracy", "test:binary_f_beta"),
    ),
    "kmeans": Sample(
        {"feature_dim": "6", "k": "3"},
        recordio(POINTS),
        lambda said: set(said["predictions"][0]) == {"closest_cluster", "distance_to_cluster"},
        ("test:msd",),
    ),
    "knn": Sample(
        {"feature_dim": "6", "k": "5", "sample_size": "300", "predictor_type": "classifier"},
        recordio(POINTS, LABELS),
        lambda said: said["predictions"] == [{"predicted_label": float(LABELS[0])}],
        ("test:accuracy",),
    ),
    "lda": Sample(
        {"feature_dim": "6", "num_topics": "3", "mini_batch_size": "400"},
        recordio(COUNTS),
        lambda said: abs(sum(said["predictions"][0]["topic_mixture"]) - 1) < 1e-4,
        ("test:pwll",),
        ask={"instances": [{"features": COUNTS[0].tolist()}]},
    ),
    "linear-learner": Sample(
        {"feature_dim": "6", "predictor_type": "binary_classifier", "mini_batch_size": "50"},
        recordio(POINTS, LABELS),
        lambda said: set(said["predictions"][0]) == {"score", "predicted_label"},
        ("test:binary_classification_accuracy",),
    ),
    "pca": Sample(
        {"feature_dim": "6", "num_components": "2", "mini_batch_size": "100"},
        recordio(POINTS),
        lambda said: len(said["projections"][0]["projection"]) == 2,
    ),
    "randomcutforest": Sample(
        {"feature_dim": "6", "num_trees": "50"},
        recordio(POINTS, (DRAWS.random(len(POINTS)) < 0.05).astype(np.float32)),
        lambda said: said["scores"][0]["score"] > 0,
        ("test:f1",),
    ),
    "xgboost": Sample(
        {"num_round": "5", "objective": "binary:logistic", "eval_metric": "auc,logloss"},
        csv(LABELS, POINTS),
        lambda said: 0 <= said["predictions"][0]["score"] <= 1,
        ("train:auc", "validation:auc", "validation:logloss"),
        content_type="text/csv",
        test="validation",
    ),
}


@pytest.fixture(scope="module")
def client(platform: Platform) -> Callable[[str], Any]:
    def make(service: str) -> Any:
        connection = platform.connection
        return boto3.client(
            service,
            endpoint_url=connection.url,
            aws_access_key_id=connection.access_key_id,
            aws_secret_access_key=connection.secret_access_key,
            region_name="us-east-1",
        )

    make("s3").create_bucket(Bucket=BUCKET)
    return make


def image(algorithm: str) -> str:
    return f"382416733822.dkr.ecr.us-east-1.amazonaws.com/{algorithm}:1"


def channel(name: str, uri: str, content_type: str) -> dict[str, Any]:
    place = {"S3DataType": "S3Prefix", "S3Uri": uri}
    return {
        "ChannelName": name,
        "ContentType": content_type,
        "DataSource": {"S3DataSource": place},
    }


def train(sagemaker: Any, algorithm: str, name: str, channels: list[dict[str, Any]]) -> Any:
    """DescribeTrainingJob of a job that completed."""
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": image(algorithm), "TrainingInputMode": "File"},
        RoleArn=ROLE,
        HyperParameters=SAMPLES[algorithm].hyperparameters,
        InputDataConfig=channels,
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    with contextlib.suppress(WaiterError):  # of a failed job, whose reason says more
        waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    job = sagemaker.describe_training_job(TrainingJobName=name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    return job


def ask(client: Callable[[str], Any], algorithm: str, name: str, model_uri: str) -> Any:
    """The JSON answer of an endpoint that is there for one request."""
    sagemaker, variant = client("sagemaker"), {"VariantName": "one", "InitialInstanceCount": 1}
    container = {"Image": image(algorithm), "ModelDataUrl": model_uri}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[{**variant, "ModelName": name, "InstanceType": "ml.m5.large"}],
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    answer = client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name,
        ContentType="application/json",
        Accept="application/json",
        Body=json.dumps(SAMPLES[algorithm].ask),
    )
    said = json.load(answer["Body"])
    sagemaker.delete_endpoint(EndpointName=name)
    return said


def test_every_built_in_has_a_sample() -> None:
    assert set(registry.names()) <= set(SAMPLES)


@pytest.mark.parametrize("algorithm", registry.names())
def test_a_built_in_trains_answers_and_goes_on(
    algorithm: str, client: Callable[[str], Any]
) -> None:
    sample, sagemaker = SAMPLES[algorithm], client("sagemaker")
    client("s3").put_object(Bucket=BUCKET, Key=f"{algorithm}/rows", Body=sample.body)
    rows = f"s3://{BUCKET}/{algorithm}/rows"
    names = ["train", *([sample.test] if sample.test else [])]
    channels = [channel(name, rows, sample.content_type) for name in names]
    job = train(sagemaker, algorithm, f"{algorithm}-first", channels)
    measured = {m["MetricName"] for m in job.get("FinalMetricDataList", [])}
    assert set(sample.metrics) <= measured
    first = job["ModelArtifacts"]["S3ModelArtifacts"]
    said = ask(client, algorithm, f"{algorithm}-first", first)
    assert sample.answered(said), said
    earlier = channel("model", first, "application/x-sagemaker-model")
    for name, given in (("later", [*channels, earlier]), ("same", [earlier])):
        job = train(sagemaker, algorithm, f"{algorithm}-{name}", given)
        again = ask(
            client, algorithm, f"{algorithm}-{name}", job["ModelArtifacts"]["S3ModelArtifacts"]
        )
        assert sample.answered(again), again
    assert again == said, "without new rows the model is the same"
