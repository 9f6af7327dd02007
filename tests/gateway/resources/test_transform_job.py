"""Transform jobs through unmodified boto3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import IMAGE, model
from tidemill.store.base import Row


@pytest.fixture
def client(sagemaker: Any) -> Any:
    """A client in whose region there is a model."""
    sagemaker.create_model(**model("mill"))
    return sagemaker


def request(name: str = "job", **changes: Any) -> dict[str, Any]:
    """``input__x``, ``output__x`` change TransformInput and TransformOutput."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in"}}
    inputs, outputs = {"DataSource": source}, {"S3OutputPath": "s3://data/out"}
    for key in list(changes):
        part, _, member = key.partition("__")
        if member:
            (inputs if part == "input" else outputs)[member] = changes.pop(key)
    return {
        "TransformJobName": name,
        "ModelName": "mill",
        "TransformInput": inputs,
        "TransformOutput": outputs,
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **changes,
    }


def end(gateway: Gateway, region: str, status: str, **state: Any) -> None:
    def ended(row: Row) -> Row:
        document = {**row.document, "state": {**row.document["state"], **state}}
        return replace(row, status=status, document=document)

    gateway.verbs.change("transform_job", region, "job", ended)


def test_a_job_is_created_described_and_listed(client: Any, region: str) -> None:
    sent = request(
        MaxPayloadInMB=5,
        MaxConcurrentTransforms=20,
        BatchStrategy="SingleRecord",
        Environment={"A": "b"},
        input__ContentType="text/csv",
        input__SplitType="Line",
        output__Accept="text/csv",
        output__AssembleWith="Line",
        DataProcessing={"JoinSource": "Input", "InputFilter": "$[1:]", "OutputFilter": "$[0,-1]"},
    )
    tags = [{"Key": "a", "Value": "b"}]
    arn = f"arn:aws:sagemaker:{region}:123456789012:transform-job/job"
    assert client.create_transform_job(**sent, Tags=tags)["TransformJobArn"] == arn
    told = client.describe_transform_job(TransformJobName="job")
    assert {name: told[name] for name in sent} == sent
    assert told["TransformJobArn"] == arn
    assert told["TransformJobStatus"] == "InProgress"
    assert "FailureReason" not in told
    assert "TransformEndTime" not in told
    [listed] = client.list_transform_jobs()["TransformJobSummaries"]
    assert listed["TransformJobArn"] == arn
    assert listed["TransformJobStatus"] == "InProgress"
    assert client.list_tags(ResourceArn=arn)["Tags"] == tags


def test_the_worker_is_told_what_was_asked(client: Any, gateway: Gateway, region: str) -> None:
    client.create_transform_job(**request(input__SplitType="RecordIO"))
    spec = gateway.verbs.describe("transform_job", region, "job").document["spec"]
    assert spec["container"]["image"] == IMAGE
    assert spec["split"] == "RecordIO"
    assert (spec["strategy"], spec["payload_megabytes"], spec["concurrent"]) == (
        "MultiRecord",
        6,
        1,
    )


def test_a_failed_job_says_why(client: Any, gateway: Gateway, region: str) -> None:
    client.create_transform_job(**request())
    end(gateway, region, "Failed", failure="ClientError: no", started=1.5, ended=2.5)
    told = client.describe_transform_job(TransformJobName="job")
    assert told["FailureReason"] == "ClientError: no"
    assert told["TransformStartTime"].timestamp() == 1.5
    assert told["TransformEndTime"].timestamp() == 2.5
    [listed] = client.list_transform_jobs(StatusEquals="Failed")["TransformJobSummaries"]
    assert listed["FailureReason"] == "ClientError: no"


def test_a_job_is_stopped_once(client: Any, gateway: Gateway, region: str) -> None:
    client.create_transform_job(**request())
    client.stop_transform_job(TransformJobName="job")
    told = client.describe_transform_job(TransformJobName="job")
    assert told["TransformJobStatus"] == "Stopping"
    client.stop_transform_job(TransformJobName="job")
    end(gateway, region, "Stopped")
    with refused("ValidationException", "is in status Stopped"):
        client.stop_transform_job(TransformJobName="job")


def test_unknown_and_taken_names_are_refused(client: Any) -> None:
    for ask in (client.describe_transform_job, client.stop_transform_job):
        with refused("ValidationException", "not found"):
            ask(TransformJobName="nobody")
    with refused("ValidationException", "Could not find model"):
        client.create_transform_job(**request(ModelName="nobody"))
    client.create_transform_job(**request())
    with refused("ResourceInUse", "already exists"):
        client.create_transform_job(**request())


CSV = {"input__ContentType": "text/csv", "output__Accept": "text/csv"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"MaxPayloadInMB": 101}, "at most 100; got 101"),
        ({"MaxPayloadInMB": 26, "MaxConcurrentTransforms": 4}, "at most 100; got 4 * 26"),
        ({"MaxConcurrentTransforms": 17}, "got 17 * 6"),
        ({"input__SplitType": "TFRecord"}, "TFRecord is not supported"),
        ({"output__S3OutputPath": "https://example.com/x"}, "Member must be an S3 URI"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://a/b"}}, "DataCaptureConfig"),
        ({"DataProcessing": {"InputFilter": "1:"}, **CSV}, "InputFilter: a JSONPath"),
        ({"DataProcessing": {"OutputFilter": "$[1"}, **CSV}, "OutputFilter: a JSONPath"),
        ({"DataProcessing": {"InputFilter": "$[1:]"}}, "TransformInput.ContentType must be one of"),
        ({"DataProcessing": {"OutputFilter": "$[1:]"}}, "TransformOutput.Accept must be one of"),
        (
            {"DataProcessing": {"JoinSource": "Input"}, **CSV, "input__SplitType": "Line"},
            "must be the same; got Line and None",
        ),
        (
            {
                "DataProcessing": {"JoinSource": "Input"},
                "input__ContentType": "text/csv",
                "output__Accept": "application/json",
            },
            "must be the same; got 'text/csv' and 'application/json'",
        ),
    ],
)
def test_what_cannot_be_is_refused(client: Any, changes: dict[str, Any], said: str) -> None:
    with refused("ValidationException", said):
        client.create_transform_job(**request(**changes))
