"""InputDataConfig through unmodified boto3: what is taken, echoed, and refused at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import IMAGE, channel, training_job


@pytest.fixture(scope="module", autouse=True)
def _data(gateway: Gateway) -> None:
    s3 = gateway.client("s3", "us-east-1")
    s3.create_bucket(Bucket="data")
    for key in ("train/part-0.csv", "train-01/part-0.csv", "lists/a.manifest", "lists/a.json"):
        s3.put_object(Bucket="data", Key=key, Body=b"1,2\n")
    s3.close()


def from_s3(
    uri: str = "s3://data/train/", source: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    found = channel(uri=uri, **more)
    found["DataSource"]["S3DataSource"].update(source or {})
    return found


def in_mode(mode: str, *channels: Mapping[str, Any]) -> dict[str, Any]:
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": mode}
    return training_job("mill", AlgorithmSpecification=algorithm, InputDataConfig=list(channels))


AUGMENTED = {"S3DataType": "AugmentedManifestFile", "AttributeNames": ["source", "label"]}
MANIFEST = {"S3DataType": "ManifestFile"}


@pytest.mark.parametrize(
    ("mode", "sent"),
    [
        ("File", from_s3()),
        ("File", from_s3("s3://data/lists/a.manifest", MANIFEST)),
        ("FastFile", from_s3("s3://data/train")),
        ("FastFile", from_s3("s3://data/train/part-0.csv")),
        ("Pipe", from_s3("s3://data/lists/a.manifest", MANIFEST, CompressionType="Gzip")),
        ("File", from_s3("s3://data/lists/a.json", AUGMENTED, InputMode="Pipe")),
        (
            "Pipe",
            from_s3(
                "s3://data/lists/a.json",
                {**AUGMENTED, "S3DataDistributionType": "ShardedByS3Key"},
                RecordWrapperType="RecordIO",
                ShuffleConfig={"Seed": 7},
                ContentType="application/x-recordio",
            ),
        ),
        ("Pipe", from_s3("s3://data/lists/a.manifest", MANIFEST, InputMode="File")),
    ],
)
def test_every_mode_is_taken_and_told_as_it_was_sent(
    sagemaker: Any, mode: str, sent: dict[str, Any]
) -> None:
    sagemaker.create_training_job(**in_mode(mode, sent))
    told = sagemaker.describe_training_job(TrainingJobName="mill")
    assert told["InputDataConfig"] == [sent]
    assert told["AlgorithmSpecification"]["TrainingInputMode"] == mode


@pytest.mark.parametrize(
    ("mode", "sent", "message"),
    [
        ("File", from_s3(source=AUGMENTED), "only be used if the channel's input mode is Pipe"),
        ("FastFile", from_s3(source=AUGMENTED), "got 'FastFile'"),
        ("Pipe", from_s3(source=AUGMENTED, InputMode="File"), "input mode is Pipe; got 'File'"),
        ("FastFile", from_s3(source=MANIFEST), "must be S3Prefix if"),
        ("Pipe", from_s3(source={"S3DataType": AUGMENTED["S3DataType"]}), "AttributeNames must"),
        ("Pipe", from_s3(source={**AUGMENTED, "AttributeNames": []}), "1 to 16 names"),
        (
            "Pipe",
            from_s3(source={**AUGMENTED, "AttributeNames": [f"a{i}" for i in range(17)]}),
            "attributeNames' failed to satisfy constraint: Member must have length less than or",
        ),
        ("Pipe", from_s3(source={"AttributeNames": ["a"]}), "AttributeNames can only be used"),
        ("File", from_s3(RecordWrapperType="RecordIO"), "RecordWrapperType RecordIO can only"),
        ("FastFile", from_s3(RecordWrapperType="RecordIO"), "input mode is Pipe"),
        ("File", from_s3(source={"S3DataType": "Converse"}), "S3DataType must be one of S3Prefix"),
        ("FastFile", from_s3("s3://data/trai"), "No S3 objects found"),
        ("FastFile", from_s3("s3://data/train-0"), "No S3 objects found"),
        ("Pipe", from_s3("s3://data/lists/a", AUGMENTED), "No S3 objects found"),
        ("File", from_s3("s3://data/lists", MANIFEST), "No S3 objects found"),
    ],
)
def test_what_cannot_go_together_is_refused_at_once(
    sagemaker: Any, mode: str, sent: dict[str, Any], message: str
) -> None:
    with refused("ValidationException", message):
        sagemaker.create_training_job(**in_mode(mode, sent))
    assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_file_systems_are_refused_by_name(sagemaker: Any) -> None:
    disk = {
        "FileSystemId": "fs-0123456789abcdef0",
        "FileSystemAccessMode": "ro",
        "FileSystemType": "EFS",
        "DirectoryPath": "/data",
    }
    sent = {"ChannelName": "train", "DataSource": {"FileSystemDataSource": disk}}
    with refused("ValidationException", "file systems are not supported. Copy the data"):
        sagemaker.create_training_job(**in_mode("File", sent))
