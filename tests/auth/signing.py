"""Requests signed by botocore, in the shape that ``sigv4.verify`` takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tidemill.auth import sigv4
from tidemill.auth.identity import Identity

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEYS = {KEY: SECRET}
CREDENTIALS = Credentials(KEY, SECRET)


@dataclass(frozen=True)
class Sent:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes | None

    def verify(self, now: float | None = None, **settings: Any) -> Identity:
        return sigv4.verify(
            self.method,
            self.path,
            self.query,
            self.headers,
            self.body,
            keys=KEYS,
            now=datetime.now(UTC).timestamp() if now is None else now,
            **settings,
        )

    def but(self, **changes: Any) -> Sent:
        return replace(self, **changes)


def sign(
    signer: Any,
    method: str = "POST",
    url: str = "http://127.0.0.1:8580/",
    headers: dict[str, str] | None = None,
    body: bytes = b"{}",
    context: dict[str, Any] | None = None,
) -> Sent:
    """What a server sees of a request after one of botocore's signers had it."""
    request = AWSRequest(method=method, url=url, headers=headers or {}, data=body)
    request.context.update(context or {})
    signer.add_auth(request)
    parts = urlsplit(request.url)
    seen = {"host": parts.netloc} | {n.lower(): v for n, v in request.headers.items()}
    return Sent(method, parts.path or "/", parts.query, seen, body)
