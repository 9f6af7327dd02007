"""Every input mode through boto3: the same rows make the same model, however they come."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.end_to_end.conftest import Platform
from tidemill.data.recordio.encode import records

pytestmark = pytest.mark.slow
BUCKET = "modes"
ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
DRAWS = np.random.default_rng(0)
POINTS = (DRAWS.normal(size=(900, 4)) + DRAWS.integers(0, 3, (900, 1)) * 4).astype(np.float32)
LABELS = (POINTS[:, 0] > POINTS[:, 0].mean()).astype(np.float32)
PARTS = 6
SETTINGS: dict[str, dict[str, str]] = {
    "kmeans": {"k": "3", "feature_dim": "4", "epochs": "2", "mini_batch_size": "100"},
    "linear-learner": {
        "feature_dim": "4", "predictor_type": "binary_classifier", "mini_batch_size": "50",
        "epochs": "2", "num_models": "2",
    },
    "blazingtext": {
        "mode": "supervised", "epochs": "20", "vector_dim": "10", "min_count": "1",
        "early_stopping": "False",
    },
}  # fmt: skip
COUNT = "Number of Records Since Last Reset"
RECORDIO, CSV = "application/x-recordio-protobuf", "text/csv"


def csv(table: np.ndarray) -> bytes:
    return "".join(",".join(f"{v:.9g}" for v in row) + "\n" for row in table.tolist()).encode()


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

    s3 = make("s3")
    s3.create_bucket(Bucket=BUCKET)
    table = np.column_stack([LABELS, POINTS])
    names = [f"part-{i}" for i in range(PARTS)]
    for name, part in zip(names, np.array_split(table, PARTS), strict=True):
        rows = b"".join(records(part[:, 1:], part[:, 0]))
        for key, body in {
            f"pbr/{name}.pbr": rows,
            f"pbr-01/{name}.pbr": b"what a prefix of pbr would bring too",
            f"csv/{name}.csv": csv(part),
            f"gz/{name}.csv": gzip.compress(csv(part)),
        }.items():
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    manifest = [{"prefix": f"s3://{BUCKET}/csv/"}, *(f"{name}.csv" for name in names)]
    s3.put_object(Bucket=BUCKET, Key="lists/csv.manifest", Body=json.dumps(manifest).encode())
    lines = [{"rows-ref": f"s3://{BUCKET}/csv/{name}.csv", "size": 1} for name in names]
    body = "\n".join(json.dumps(line) for line in lines).encode()
    s3.put_object(Bucket=BUCKET, Key="lists/augmented.json", Body=body)
    return make


def channel(
    key: str, content_type: str | None, *, source: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    place = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{key}", **(source or {})}
    return {
        "ChannelName": "train",
        **({"ContentType": content_type} if content_type else {}),
        "DataSource": {"S3DataSource": place},
        **more,
    }


def run(
    client: Callable[[str], Any],
    name: str,
    algorithm: str,
    mode: str,
    *channels: dict[str, Any],
    instances: int = 1,
) -> dict[str, Any]:
    """DescribeTrainingJob of a job that completed."""
    sagemaker = client("sagemaker")
    image = f"382416733822.dkr.ecr.us-east-1.amazonaws.com/{algorithm}:1"
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": mode},
        RoleArn=ROLE,
        HyperParameters=SETTINGS[algorithm],
        InputDataConfig=list(channels),
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models/"},
        ResourceConfig={
            "InstanceType": "ml.m5.large", "InstanceCount": instances, "VolumeSizeInGB": 10,
        },
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )  # fmt: skip
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    with contextlib.suppress(WaiterError):  # of a failed job, whose reason says more
        waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    job: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["InputDataConfig"] == list(channels)
    return job


def model(client: Callable[[str], Any], name: str) -> bytes:
    """model.safetensors of a job's artifact."""
    key = f"models/{name}/output/model.tar.gz"
    body = client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        member = archive.extractfile("model.safetensors")
        assert member is not None
        return member.read()


def statuses(job: Mapping[str, Any]) -> list[str]:
    return [step["Status"] for step in job["SecondaryStatusTransitions"]]


WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "file": ("File", channel("pbr/", RECORDIO)),
    "fastfile": ("FastFile", channel("pbr", RECORDIO)),
    "pipe": ("Pipe", channel("pbr/", RECORDIO)),
    "pipe-of-one-channel": ("File", channel("csv/", CSV, InputMode="Pipe")),
    "pipe-gzip": ("Pipe", channel("gz/", CSV, CompressionType="Gzip")),
    "manifest": (
        "File", channel("lists/csv.manifest", CSV, source={"S3DataType": "ManifestFile"}),
    ),
    "manifest-pipe": (
        "Pipe", channel("lists/csv.manifest", CSV, source={"S3DataType": "ManifestFile"}),
    ),
    "augmented": (
        "Pipe",
        channel(
            "lists/augmented.json", CSV,
            source={"S3DataType": "AugmentedManifestFile", "AttributeNames": ["rows-ref"]},
        ),
    ),
}  # fmt: skip


def test_every_way_leads_to_the_same_model(client: Callable[[str], Any]) -> None:
    models = {}
    for way, (mode, train) in WAYS.items():
        tests = {**train, "ChannelName": "test"}
        job = run(client, way, "linear-learner", mode, train, tests)
        assert ("Downloading" in statuses(job)) == (mode == "File" and "InputMode" not in train)
        assert job["FinalMetricDataList"]
        models[way] = model(client, way)
    assert {way for way, found in models.items() if found != models["file"]} == set()


@pytest.mark.parametrize("mode", ["File", "FastFile", "Pipe"])
def test_two_instances_share_the_objects(client: Callable[[str], Any], mode: str) -> None:
    source = {"S3DataDistributionType": "ShardedByS3Key"}
    train = channel("pbr/", RECORDIO, source=source, ShuffleConfig={"Seed": 5})
    run(client, f"shared-{mode}", "kmeans", mode, train, instances=2)
    logs = client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    rows = []
    found = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"shared-{mode}/")
    for stream in found["logStreams"]:
        lines = logs.get_log_events(
            logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
        )
        for event in lines["events"]:
            said = event["message"].partition("#metrics ")[2]
            if "Number of Records Since Last Reset" in said:
                rows.append(
                    json.loads(said)["Metrics"]["Number of Records Since Last Reset"]["sum"]
                )
    assert len(found["logStreams"]) == 2
    assert [r for r in rows if r] == [len(POINTS) // 2] * 4, "two hosts, two epochs"


def test_a_fifos_faults_are_the_datas(client: Callable[[str], Any]) -> None:
    name = "broken"
    client("s3").put_object(Bucket=BUCKET, Key="broken/a.csv", Body=b"1,2,3,4,5\n1,2,x,4,5\n")
    with pytest.raises(AssertionError, match=r"ClientError: channel 'train': a\.csv, row 2"):
        run(client, name, "linear-learner", "Pipe", channel("broken/", CSV))
    assert client("sagemaker").describe_training_job(TrainingJobName=name)["FailureReason"]


def test_what_cannot_go_together_makes_no_job(client: Callable[[str], Any]) -> None:
    source = {"S3DataType": "AugmentedManifestFile", "AttributeNames": ["rows-ref"]}
    with pytest.raises(ClientError, match="ValidationException.*input mode is Pipe; got 'File'"):
        run(client, "never", "kmeans", "File", channel("lists/augmented.json", CSV, source=source))


def test_an_augmented_manifest_of_texts_and_labels_makes_a_classifier(
    client: Callable[[str], Any],
) -> None:
    sides = (["kettle", "leaf", "cup", "pot", "milk"], ["wave", "salt", "tide", "boat", "wind"])
    lines = [
        {"source": " ".join(DRAWS.choice(sides[i % 2], 8)), "label": i % 2} for i in range(300)
    ]
    plain = "\n".join(f"__label__{line['label']} {line['source']}" for line in lines)
    body = "\n".join(json.dumps(line) for line in lines)
    s3 = client("s3")
    s3.put_object(Bucket=BUCKET, Key="texts/list.json", Body=body.encode())
    s3.put_object(Bucket=BUCKET, Key="plain/lines.txt", Body=plain.encode())
    source = {"S3DataType": "AugmentedManifestFile", "AttributeNames": ["source", "label"]}
    piped = channel(
        "texts/list.json", "application/x-recordio", source=source, RecordWrapperType="RecordIO"
    )
    run(client, "texts-piped", "blazingtext", "Pipe", piped)
    run(client, "texts-plain", "blazingtext", "File", channel("plain/", "text/plain"))
    assert model(client, "texts-piped") == model(client, "texts-plain")
