"""The bytes of the router's own answers: predictions, and errors in AWS's form."""

from __future__ import annotations

import json
import os
from itertools import count

from tidemill.spec import event_stream

STATUS = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    424: "Failed Dependency",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
HEALTHY = b'{"status":"ok"}'
CLOSE = b"Connection: close\r\n"
LATER = b"Retry-After: 1\r\n"
TRY_AGAIN = frozenset({429, 503})
"""Statuses that AWS's clients try again after."""

_prefix = os.urandom(10).hex()
_prefix = f"{_prefix[:8]}-{_prefix[8:12]}-4{_prefix[12:15]}-8{_prefix[15:18]}-"
_serial = count(1)


def healthy(*, close: bool, with_body: bool) -> bytes:
    """The answer to ``/ping``."""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b"
        % (
            len(HEALTHY),
            CLOSE if close else b"",
            HEALTHY if with_body else b"",
        )
    )


def request_id() -> bytes:
    """A UUID: random for this router, then a serial number."""
    return b"%b%012x" % (_PREFIX, next(_serial))


def prediction(
    content_type: bytes, variant: bytes, attributes: bytes, body: bytes, extra: bytes
) -> bytes:
    """A model's answer. extra: whole header lines."""
    if attributes:
        extra += b"X-Amzn-SageMaker-Custom-Attributes: %b\r\n" % attributes
    return (
        b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: %b%012x\r\nContent-Type: %b\r\n"
        b"x-Amzn-Invoked-Production-Variant: %b\r\n%bContent-Length: %d\r\n\r\n%b"
        % (_PREFIX, next(_serial), content_type, variant, extra, len(body), body)
    )


def stream(content_type: bytes, variant: bytes, attributes: bytes, extra: bytes) -> bytes:
    """The head of a model's answer in parts. content_type: of the parts together"""
    if attributes:
        extra += b"X-Amzn-SageMaker-Custom-Attributes: %b\r\n" % attributes
    return (
        b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: %b\r\nContent-Type: %b\r\n"
        b"X-Amzn-SageMaker-Content-Type: %b\r\nx-Amzn-Invoked-Production-Variant: %b\r\n%b\r\n"
        % (request_id(), event_stream.CONTENT_TYPE.encode(), content_type, variant, extra)
    )


def accepted(output: str, failure: str, body: bytes, *, close: bool) -> bytes:
    """An asynchronous request has been written down. output, failure: where its end will lie"""
    return (
        b"HTTP/1.1 202 Accepted\r\nx-amzn-RequestId: %b\r\nContent-Type: application/json\r\n"
        b"X-Amzn-SageMaker-OutputLocation: %b\r\nX-Amzn-SageMaker-FailureLocation: %b\r\n"
        b"Content-Length: %d\r\n%b\r\n%b"
        % (
            request_id(),
            output.encode(),
            failure.encode(),
            len(body),
            CLOSE if close else b"",
            body,
        )
    )


def exposition(body: bytes, *, close: bool, with_body: bool) -> bytes:
    """The answer to ``/metrics``."""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        b"Content-Length: %d\r\n%b\r\n%b"
        % (len(body), CLOSE if close else b"", body if with_body else b"")
    )


def no_token(*, close: bool) -> bytes:
    """``/metrics`` is asked for without the right token."""
    return (
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n%b\r\n"
        % (CLOSE if close else b"")
    )


def timing(model: float, overhead: float) -> bytes:
    """The header line that tells where the time went; seconds given, milliseconds told."""
    return b"Server-Timing: model;dur=%.3f, overhead;dur=%.3f\r\n" % (model * 1e3, overhead * 1e3)


def error(
    status: int,
    code: str,
    message: str,
    *,
    more: dict[str, object] | None = None,
    close: bool = False,
) -> bytes:
    """An error as both of AWS's JSON protocols read it. more: further members of the body."""
    document = {"__type": code, "message": message, **(more or {})}
    body = json.dumps(document).encode()
    extra = LATER if status in TRY_AGAIN else b""
    return (
        b"HTTP/1.1 %d %b\r\nx-amzn-RequestId: %b\r\nx-amzn-errortype: %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b"
        % (
            status,
            STATUS.get(status, "Error").encode(),
            request_id(),
            code.encode(),
            len(body),
            extra + CLOSE if close else extra,
            body,
        )
    )


def malformed(why: str) -> bytes:
    """The bytes received are no HTTP request."""
    message = f"The request must be HTTP/1.1: {why}. Check what is sent to this port."
    return error(400, "ValidationError", message, close=True)


def head_too_long(bound: int) -> bytes:
    """Request line and headers pass the bound."""
    message = f"The request line and headers must be at most {bound} bytes. Send fewer headers."
    return error(431, "ValidationError", message, close=True)


def too_slow(part: str, seconds: float) -> bytes:
    """The client began to send and stopped."""
    message = f"The request's {part} must not pause for more than {seconds:g} s. Send it again."
    return error(408, "RequestTimeout", message, close=True)


_PREFIX = _prefix.encode()
