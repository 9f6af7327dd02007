"""Responses and time stamps in the forms that S3 gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from starlette.responses import Response

from tidemill.gateway.s3.xml import Node, document


def xml(root: str, children: Sequence[Node], headers: Mapping[str, str] | None = None) -> Response:
    """A document of S3's namespace."""
    return Response(document(root, children), media_type="application/xml", headers=headers)


def empty(status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that says all in its head."""
    return Response(status_code=status, headers=headers)


def moment(seconds: float) -> str:
    """ISO 8601 with milliseconds.

    >>> moment(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def owner(account: str, name: str = "Owner") -> Node:
    """Everything belongs to the one account."""
    return (name, [("ID", account), ("DisplayName", account)])
