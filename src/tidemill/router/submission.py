"""InvokeEndpointAsync: proved, bounded, written down, and only then acknowledged."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from uuid import uuid4

from tidemill.router import answers, refusals
from tidemill.router.asynchronous import MOST_REQUESTS, Dispatcher
from tidemill.router.backlog import Entry, new_name
from tidemill.router.http import Connection, Request
from tidemill.router.invoke import ATTRIBUTES, INFERENCE_ID, PREFIX, Desk, Invocation
from tidemill.router.paths import Invoke
from tidemill.spec.async_inference import (
    LEAST_TTL,
    LONGEST_TIMEOUT,
    LONGEST_TTL,
    TIMEOUT,
    AsyncInference,
)
from tidemill.spec.route import Route
from tidemill.storage.uri import join

LOCATION, TYPE, ACCEPT = PREFIX + "inputlocation", PREFIX + "content-type", PREFIX + "accept"
TTL, TIME = PREFIX + "requestttlseconds", PREFIX + "invocationtimeoutseconds"
EXTENSION, FILENAME = PREFIX + "s3outputpathextension", PREFIX + "filename"
MOST_INLINE = 128_000
# The bounds that AWS's own description of the operation states.
_SHAPES = {
    INFERENCE_ID: ("InferenceId", 64, re.compile(r"\S[ -~]*")),
    LOCATION: ("InputLocation", 1024, re.compile(r"(https|s3)://[^/]+/?.*")),
    EXTENSION: (
        "S3OutputPathExtension",
        512,
        re.compile(r"(?!s3:|https:)[a-zA-Z0-9!_.*'()/-]+"),
    ),
    FILENAME: ("Filename", 32, re.compile(r"(?!.*\..*\.)[a-zA-Z0-9][a-zA-Z0-9-_.]*")),
}
_SECONDS = {
    TTL: ("RequestTTLSeconds", LEAST_TTL, LONGEST_TTL),
    TIME: ("InvocationTimeoutSeconds", 1, LONGEST_TIMEOUT),
}
_PLAIN_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.=-]*")


class Submission(Invocation):
    """One InvokeEndpointAsync, from its head to its 202."""

    __slots__ = ("_dispatcher",)

    def __init__(
        self,
        connection: Connection,
        request: Request,
        asked: Invoke,
        desk: Desk,
        dispatcher: Dispatcher,
    ) -> None:
        super().__init__(connection, request, asked, desk)
        self._dispatcher = dispatcher

    def _problem(self, route: Route, size: int) -> str:
        if route.asynchronous is None:
            return refusals.not_asynchronous(route.endpoint)
        return self._unmet() or self._misdirected(route) or problem(self._headers, size)

    def _send(self, route: Route) -> None:
        assert route.asynchronous is not None
        body = b"".join(self._take())
        entry = to_entry(route, route.asynchronous, self._headers, body, time.time())
        data = entry.to_bytes()
        if not self._dispatcher.has_room(len(data)):
            message = refusals.queue_is_full(self._dispatcher.size, MOST_REQUESTS)
            self.fail(503, "ServiceUnavailable", message)
            return

        def told(error: OSError | None) -> None:
            if error is not None:
                self.fail(500, "InternalFailure", refusals.not_queued(str(error)))
            else:
                self._accepted(entry)

        self._dispatcher.keep(entry, data, told)

    def _accepted(self, entry: Entry) -> None:
        said = json.dumps({"InferenceId": entry.id}).encode()
        places = (entry.output, entry.failure)
        self._write(answers.accepted(*places, said, close=not self.request.keep_alive))


def problem(headers: Mapping[str, str], size: int) -> str:
    """What of the request's own can not be met, or nothing."""
    if (LOCATION in headers) == (size > 0):
        got = "both" if size else "none"
        return f"InvokeEndpointAsync needs either InputLocation or Body; got {got}. Give one."
    if size > MOST_INLINE:
        return f"Body must be at most {MOST_INLINE} bytes; got {size}. Put it into S3."
    for name, (member, longest, shape) in _SHAPES.items():
        value = headers.get(name)
        if value is not None and (len(value) > longest or not shape.fullmatch(value)):
            return (
                f"{member} must be at most {longest} characters and match {shape.pattern}; got "
                f"{value[:longest]!r}. Change it."
            )
    for name, (member, least, most) in _SECONDS.items():
        value = headers.get(name, str(least))
        if not (value.isascii() and value.isdigit() and least <= int(value[:9]) <= most):
            return f"{member} must be from {least} to {most}; got {value[:20]!r}. Change it."
    return ""


def to_entry(
    route: Route, wanted: AsyncInference, headers: Mapping[str, str], body: bytes, now: float
) -> Entry:
    """What is written down of a request without problems. now: epoch seconds"""
    id = headers.get(INFERENCE_ID) or str(uuid4())
    plain = id if _PLAIN_NAME.fullmatch(id) else str(uuid4())
    name = headers.get(FILENAME) or f"{plain}.out"
    extension = headers.get(EXTENSION, "")
    stem, _, ending = name.rpartition(".")
    failed = f"{stem}-error.{ending}" if stem else f"{name}-error.out"
    return Entry(
        name=new_name(),
        region=route.region,
        endpoint=route.endpoint,
        id=id,
        at=now,
        output=join(wanted.output, extension, name),
        failure=join(wanted.failure, extension, failed),
        source=headers.get(LOCATION, ""),
        body=b64encode(body).decode(),
        content_type=headers.get(TYPE, headers.get("content-type", "") if body else ""),
        accept=headers.get(ACCEPT, ""),
        attributes=headers.get(ATTRIBUTES, ""),
        ttl=int(headers.get(TTL, LONGEST_TTL)),
        timeout=int(headers.get(TIME, TIMEOUT)),
        success_topic=wanted.success_topic,
        error_topic=wanted.error_topic,
    )
