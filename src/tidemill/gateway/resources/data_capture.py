"""DataCaptureConfig on the wire, for endpoint configs and endpoints."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidemill.errors import TidemillError
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.capture import INPUT, OUTPUT, Capture, from_document, is_full, least_free
from tidemill.spec.endpoint import EndpointStatus
from tidemill.storage.uri import parse

_MODES = {"Input": (INPUT,), "Output": (OUTPUT,), "InputAndOutput": (INPUT, OUTPUT)}


def to_spec(sent: Mapping[str, Any] | None) -> Capture | None:
    """What is to be captured; None when the request does not say."""
    if sent is None:
        return None
    destination = sent["DestinationS3Uri"]
    try:
        parse(destination)
    except TidemillError as error:
        raise invalid(f"DataCaptureConfig.DestinationS3Uri must be an S3 URI: {error}") from error
    asked = {mode for option in sent["CaptureOptions"] for mode in _MODES[option["CaptureMode"]]}
    types = sent.get("CaptureContentTypeHeader", {})
    csv, json = (_lower(types.get(name, ())) for name in ("CsvContentTypes", "JsonContentTypes"))
    both = sorted(set(csv) & set(json))
    if both:
        raise invalid(
            "DataCaptureConfig.CaptureContentTypeHeader: a content type is captured as CSV or as "
            f"JSON; got {both} in both lists. Leave it out of one."
        )
    return Capture(
        percentage=sent["InitialSamplingPercentage"],
        destination=destination,
        modes=tuple(mode for mode in (INPUT, OUTPUT) if mode in asked),
        csv=csv,
        json=json,
        enabled=sent.get("EnableCapture", True),
        kms_key=sent.get("KmsKeyId", ""),
    )


def summary(document: Mapping[str, Any], status: str, buckets: Path) -> dict[str, Any]:
    """An endpoint's DataCaptureConfigSummary. document: of its capture · buckets: root of S3"""
    capture = from_document(document)
    assert capture is not None
    serves = EndpointStatus(status).takes_traffic
    works = capture.enabled and serves and _has_room(buckets)
    return {
        "EnableCapture": capture.enabled,
        "CaptureStatus": "Started" if works else "Stopped",
        "CurrentSamplingPercentage": capture.percentage,
        "DestinationS3Uri": capture.destination,
        "KmsKeyId": capture.kms_key,
    }


def _has_room(buckets: Path) -> bool:
    try:
        usage = shutil.disk_usage(buckets)
    except FileNotFoundError:  # nothing was ever put
        return True
    return not is_full(usage.total, usage.free, least_free(os.environ))


def _lower(types: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(t.lower() for t in types)
