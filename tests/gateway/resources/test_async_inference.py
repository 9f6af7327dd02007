"""AsyncInferenceConfig on the wire: what is asked for is understood, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tidemill.gateway.resources.async_inference import to_spec
from tidemill.gateway.wire.errors import Fault
from tidemill.spec.async_inference import MOST_CONCURRENT, AsyncInference

NONE = Path("/nowhere/topics.json")
ARN = "arn:aws:sns:us-east-1:123456789012:done"


def test_failures_lie_beside_the_answers_unless_told_otherwise() -> None:
    assert to_spec(None, NONE) is None
    here = to_spec({"OutputConfig": {"S3OutputPath": "s3://mill/out"}}, NONE)
    assert here == AsyncInference("s3://mill/out", "s3://mill/out", MOST_CONCURRENT)
    there = to_spec(
        {
            "OutputConfig": {"S3OutputPath": "s3://mill/out", "S3FailurePath": "s3://mill/bad"},
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 3},
        },
        NONE,
    )
    assert there == AsyncInference("s3://mill/out", "s3://mill/bad", 3)


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ({}, "S3OutputPath must be an S3 URI"),
        ({"S3OutputPath": "https://example.com/out"}, "S3OutputPath must be an S3 URI"),
        ({"S3OutputPath": "s3://mill/o", "S3FailurePath": "s3://m"}, "S3FailurePath must be"),
        (
            {
                "S3OutputPath": "s3://mill/o",
                "NotificationConfig": {"SuccessTopic": ARN},
            },
            "NotificationConfig.SuccessTopic: there is no SNS here; topics.json",
        ),
    ],
)
def test_what_cannot_be_met_is_refused_by_name(output: dict[str, object], word: str) -> None:
    with pytest.raises(Fault, match=word):
        to_spec({"OutputConfig": output}, NONE)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "http://10.0.0.1/", "http://localhost.example.com", 7, None]
)
def test_a_webhook_is_on_this_machine(tmp_path: Path, url: object) -> None:
    topics = tmp_path / "topics.json"
    topics.write_text(json.dumps({"done": "http://localhost:9000/done", "away": url}))
    output = {"S3OutputPath": "s3://mill/o", "NotificationConfig": {"ErrorTopic": ARN}}
    found = to_spec({"OutputConfig": output}, topics)
    assert found is not None
    assert (found.success_topic, found.error_topic) == ("", ARN)
    away = {**output, "NotificationConfig": {"ErrorTopic": ARN.replace("done", "away")}}
    with pytest.raises(Fault, match="'away'"):
        to_spec({"OutputConfig": away}, topics)
