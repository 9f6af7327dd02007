"""What endpoint configs of multi-model endpoints can not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.gateway.wire.errors import invalid
from tidemill.spec.model import MULTI
from tidemill.store.base import Row


def check_model(row: Row, request: Mapping[str, Any]) -> None:
    """Raise ValidationException where a config asks for what its multi-model model can not have."""
    sent = row.document["request"]
    containers = sent.get("Containers") or [sent.get("PrimaryContainer", {})]
    if not any(container.get("Mode") == MULTI for container in containers):
        return
    captured = request.get("DataCaptureConfig", {}).get("EnableCapture", False)
    for member, asked in (
        ("DataCaptureConfig", captured),
        ("AsyncInferenceConfig", "AsyncInferenceConfig" in request),
    ):
        if asked:
            raise invalid(
                f"Model {row.name} is a multi-model one, and endpoints of such models have no "
                f"{member}. Leave it out, or serve one model."
            )
