"""What a request's path asks the router for."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

FEEDBACK = "Feedback"
"""Ours: labels for endpoints that learn (POST), and how learning goes (GET)."""
OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
    "feedback": FEEDBACK,
}
HEALTH = frozenset({b"/ping", b"/health"})


class Invoke(NamedTuple):
    """endpoint: decoded · path, query: as sent, for the signature."""

    endpoint: str
    operation: str
    path: str
    query: str

    def takes(self, method: bytes) -> bool:
        """Whether it is asked for by this method; what is not is the gateway's to refuse."""
        return method == b"POST" or (method == b"GET" and self.operation == FEEDBACK)


@lru_cache(maxsize=4096)
def invoke(target: bytes) -> Invoke | None:
    """Read ``/endpoints/NAME/invocations``; None when the path is another.

    >>> invoke(b"/endpoints/a%2Db/invocations")[:2]
    ('a-b', 'InvokeEndpoint')
    >>> invoke(b"/endpoints/a/b/invocations")
    """
    path, _, query = target.decode("latin-1").partition("?")
    parts = path.split("/")
    if len(parts) != 4 or parts[1] != "endpoints" or not parts[2] or parts[3] not in OPERATIONS:
        return None
    return Invoke(unquote(parts[2]), OPERATIONS[parts[3]], path, query)
