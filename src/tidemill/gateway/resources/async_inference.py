"""AsyncInferenceConfig on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.errors import TidemillError
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.async_inference import MOST_CONCURRENT, AsyncInference
from tidemill.storage.uri import parse


def to_spec(sent: Mapping[str, Any] | None) -> AsyncInference | None:
    """Where answers go; None when the endpoint is a real-time one."""
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
    for member, value in told.get("NotificationConfig", {}).items():
        if value:
            raise invalid(
                f"AsyncInferenceConfig.OutputConfig.NotificationConfig.{member} names an SNS "
                "topic: there is no SNS here. Leave it out, and look for the object at the "
                "OutputLocation or the FailureLocation."
            )
    most = sent.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", MOST_CONCURRENT)
    return AsyncInference(output, failure, most)
