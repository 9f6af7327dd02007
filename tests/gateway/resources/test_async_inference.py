"""AsyncInferenceConfig on the wire: what is asked for is understood, or refused by name."""

from __future__ import annotations

import pytest

from tidemill.gateway.resources.async_inference import to_spec
from tidemill.gateway.wire.errors import Fault
from tidemill.spec.async_inference import MOST_CONCURRENT, AsyncInference


def test_failures_lie_beside_the_answers_unless_told_otherwise() -> None:
    assert to_spec(None) is None
    here = to_spec({"OutputConfig": {"S3OutputPath": "s3://mill/out"}})
    assert here == AsyncInference("s3://mill/out", "s3://mill/out", MOST_CONCURRENT)
    there = to_spec(
        {
            "OutputConfig": {"S3OutputPath": "s3://mill/out", "S3FailurePath": "s3://mill/bad"},
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 3},
        }
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
                "NotificationConfig": {"SuccessTopic": "arn:aws:sns:us-east-1:123456789012:done"},
            },
            "NotificationConfig.SuccessTopic names an SNS topic",
        ),
    ],
)
def test_what_cannot_be_met_is_refused_by_name(output: dict[str, object], word: str) -> None:
    with pytest.raises(Fault, match=word):
        to_spec({"OutputConfig": output})
