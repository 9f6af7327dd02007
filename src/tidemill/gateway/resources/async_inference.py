"""AsyncInferenceConfig on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidemill.errors import NotFound, TidemillError
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.async_inference import MOST_CONCURRENT, AsyncInference, webhook
from tidemill.storage.uri import parse

_NOTES = "AsyncInferenceConfig.OutputConfig.NotificationConfig"


def to_spec(sent: Mapping[str, Any] | None, topics: Path) -> AsyncInference | None:
    """Where answers go; None when the endpoint is a real-time one. topics: names the webhooks"""
    if sent is None:
        return None
    told = sent["OutputConfig"]
    output = told.get("S3OutputPath", "")
    failure = told.get("S3FailurePath") or output
    for member, uri in (("S3OutputPath", output), ("S3FailurePath", failure)):
        try:
            parse(uri)
        except TidemillError as error:
            raise invalid(
                f"AsyncInferenceConfig.OutputConfig.{member} must be an S3 URI: {error}"
            ) from error
    success, failed = (_topic(told, name, topics) for name in ("SuccessTopic", "ErrorTopic"))
    if told.get("NotificationConfig", {}).get("IncludeInferenceResponseIn"):
        raise invalid(
            f"{_NOTES}.IncludeInferenceResponseIn: answers are not put into notifications. Leave "
            "it out, and read the object at responseParameters.outputLocation."
        )
    most = sent.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", MOST_CONCURRENT)
    return AsyncInference(output, failure, most, success, failed)


def _topic(told: Mapping[str, Any], member: str, topics: Path) -> str:
    """The ARN of a topic that stands for a webhook; empty when there is none."""
    arn: str = told.get("NotificationConfig", {}).get(member, "")
    if not arn:
        return ""
    try:
        webhook(topics.read_text() if topics.is_file() else "{}", arn)
    except NotFound as error:
        raise invalid(f"{_NOTES}.{member}: there is no SNS here; {error}") from error
    return arn
