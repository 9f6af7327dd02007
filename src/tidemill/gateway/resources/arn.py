"""Names that a request may also give as ARNs."""

from __future__ import annotations

from tidemill.gateway.call import Call
from tidemill.gateway.wire.errors import invalid


def name_in(call: Call, kind: str, said: str) -> str:
    """The name of a thing of this kind, from its name or its ARN; that must be of this place."""
    if not said.startswith("arn:"):
        return said
    parts = said.split(":", 5)
    found, _, name = parts[-1].partition("/")
    if len(parts) < 6 or found != kind.replace("_", "-") or not name:
        wanted = call.arn(kind, "NAME")
        raise invalid(f"Invalid ARN: '{said:.256}'. Write {wanted}, or the name alone.")
    if parts[3] != call.region:
        raise invalid(f"ARN should be scoped to correct region: {call.region}; got '{said}'")
    if parts[4] != call.platform.account:
        raise invalid(
            f"ARN should be scoped to correct account: {call.platform.account}; got '{said}'"
        )
    return name
