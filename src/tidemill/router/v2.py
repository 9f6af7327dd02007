"""The Open Inference Protocol (v2) beside InvokeEndpoint: each endpoint is a model of its name.

A request becomes an invocation whose content type tells the replica what it is; only what stands
around the body differs: paths, statuses, errors as ``{"error": …}``. A model's versions are the
endpoint's variants.
"""

from __future__ import annotations

import json
from functools import lru_cache
from time import perf_counter
from typing import NamedTuple
from urllib.parse import unquote

from tidemill.router import answers
from tidemill.router.capture import Tap
from tidemill.router.http import Connection, Exchange, Request
from tidemill.router.invoke import INFERENCE_ID, TARGET, Desk, Invocation
from tidemill.router.paths import Invoke
from tidemill.router.refusals import not_found
from tidemill.router.trail import PRIMARY
from tidemill.spec.route import Route

TENSORS = "application/vnd.oip.v2+json"
LENGTH = "inference-header-content-length"
BINARY = b"application/octet-stream;json="
INFER, READY, ABOUT = "infer", "ready", ""
_METHODS = {INFER: b"POST", READY: b"GET", ABOUT: b"GET"}
_SERVER: dict[str, object] = {
    "name": "tidemill",
    "version": "2",
    "extensions": ["binary_tensor_data"],
}
_HEALTH: dict[bytes, dict[str, object]] = {
    b"/v2": _SERVER,
    b"/v2/health/live": {"live": True},
    b"/v2/health/ready": {"ready": True},
}
_NAMES = {404: b"Not Found", 504: b"Gateway Timeout"}


class Asked(NamedTuple):
    """What a path asks of a model. invoke: as invocations have it · version: decoded, or empty
    what: ``infer``, ``ready``, or nothing for the metadata"""

    invoke: Invoke
    version: str
    what: str


@lru_cache(maxsize=4096)
def read(target: bytes) -> Asked | None:
    """Read ``/v2/models/NAME[/versions/VARIANT][/infer|/ready]``; None when it is another.

    >>> read(b"/v2/models/mill/versions/blue/infer")[1:]
    ('blue', 'infer')
    >>> read(b"/v2/models/mill/explain")
    """
    path, _, query = target.decode("latin-1").partition("?")
    parts = path.split("/")
    if parts[:3] != ["", "v2", "models"] or len(parts) < 4 or not parts[3]:
        return None
    name, rest, version = unquote(parts[3]), parts[4:], ""
    if len(rest) >= 2 and rest[0] == "versions" and rest[1]:
        version, rest = unquote(rest[1]), rest[2:]
    what = "/".join(rest)
    if what not in _METHODS:
        return None
    return Asked(Invoke(name, "InvokeEndpoint", path, query), version, what)


def begin(connection: Connection, request: Request, desk: Desk) -> Exchange | None:
    """The exchange for a request to this protocol's paths; None when it is not for it."""
    said = _HEALTH.get(request.target)
    if said is not None and request.method == b"GET":
        return Told(connection, request, said)
    asked = read(request.target)
    if asked is None or request.method != _METHODS[asked.what]:
        return None
    return Inference(connection, request, asked, desk)


class Told(Exchange):
    """What the router itself can say: that it is here."""

    __slots__ = ("_said",)

    def __init__(self, connection: Connection, request: Request, said: dict[str, object]) -> None:
        super().__init__(connection, request)
        self._said = said

    def complete(self) -> None:
        answer = _answer(200, self._said, close=not self.request.keep_alive)
        self.connection.write(self, answer, last=True)


class Inference(Invocation):
    """One request to a model, proved and routed as an invocation."""

    __slots__ = ("_extra", "_model")

    def __init__(self, connection: Connection, request: Request, asked: Asked, desk: Desk) -> None:
        super().__init__(connection, request, asked.invoke, desk)
        self._model = asked
        self._extra = b""

    def _send(self, route: Route) -> None:
        asked, headers = self._model, self._headers
        if asked.what == READY:
            is_ready = self._desk.fleet.is_up(route.region, route.endpoint, asked.version)
            said: dict[str, object] = {"name": route.endpoint, "ready": is_ready}
            self._write(_answer(200 if is_ready else 503, said, self._closes))
            return
        kind = f"{TENSORS};model={route.endpoint}"
        if asked.what == ABOUT:
            kind += ";about=1"
        elif LENGTH in headers:
            kind += f";json={headers[LENGTH]}"
        self._headers = {**headers, "content-type": kind, "accept": ""}
        if asked.version:
            self._headers[TARGET] = asked.version
        super()._send(route)

    def _misdirected(self, route: Route) -> str:
        return "" if self._model.what == READY else super()._misdirected(route)

    @property
    def _closes(self) -> bool:
        return not self.request.keep_alive

    def deliver(self, status: int, head: bytes, body: bytes) -> None:
        if status == 200 and head.startswith(BINARY):
            length = head[len(BINARY) :].partition(b"\n")[0]
            self._extra = b"Inference-Header-Content-Length: %b\r\n" % length
            head = b"application/octet-stream\n"
        super().deliver(status, head, body)

    def offer(self, tap: Tap, content_type: bytes, answer: bytes) -> None:
        if self._model.what != ABOUT:
            sent = self.request.header(b"content-type") or b"application/json"
            tap.offer(self.frame, self._headers.get(INFERENCE_ID, ""), content_type, answer, sent)

    def fail(self, status: int, code: str, message: str) -> None:
        if self.live is not None:
            self.live.meter.refuse(status)
        if message == not_found(self._asked.endpoint, self._desk.fleet.account):
            status = 404
        self._write(_answer(status, {"error": message}, self._closes))

    def _model_error(self, status: int, body: bytes, container: str = PRIMARY) -> None:
        self._count(status, perf_counter() - self.sent)
        said: dict[str, object] = {"error": body.decode("utf-8", "replace")}
        self._write(_answer(status or 504, said, self._closes))

    def _write(self, answer: bytes) -> None:
        if self._extra:  # behind the first line
            answer = answer.replace(b"\r\n", b"\r\n" + self._extra, 1)
        super()._write(answer)


def _answer(status: int, said: dict[str, object], close: bool) -> bytes:
    body = json.dumps(said).encode()
    extra = answers.LATER if status in answers.TRY_AGAIN else b""
    name = _NAMES.get(status) or answers.STATUS.get(status, "Error").encode()
    return (
        b"HTTP/1.1 %d %b\r\nx-amzn-RequestId: %b\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n%b\r\n%b"
        % (
            status,
            name,
            answers.request_id(),
            len(body),
            extra + answers.CLOSE if close else extra,
            body,
        )
    )
