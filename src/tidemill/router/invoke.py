"""InvokeEndpoint: proved, bounded, framed, sent to a replica, answered."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING

from tidemill.auth.access import TOKEN
from tidemill.auth.identity import Identity
from tidemill.auth.refusal import Refusal, UnknownKey
from tidemill.auth.sigv4 import verify
from tidemill.router import answers, refusals, targets
from tidemill.router.call import Live
from tidemill.router.capture import Tap
from tidemill.router.clock import Clock
from tidemill.router.fleet import Fleet
from tidemill.router.gate import Gate
from tidemill.router.http import Connection, Exchange, Request
from tidemill.router.paths import Invoke
from tidemill.router.recall import Recall
from tidemill.router.trail import PRIMARY, answerer
from tidemill.spec.frame import REQUEST, pack
from tidemill.spec.route import Route

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

LAST_ID = 2**32 - 1
MOST_BYTES = 2**30
"""Of all requests together that are under way: bodies are kept until their answers are here."""
SERVICE = "sagemaker"
PREFIX = "x-amzn-sagemaker-"
TARGET, ATTRIBUTES = PREFIX + "target-variant", PREFIX + "custom-attributes"
INFERENCE_ID = PREFIX + "inference-id"
LONGEST_ATTRIBUTES = 1024
# Headers that ask for what no endpoint here has; to ignore them would answer another question.
UNMET = {
    PREFIX + "inference-component": "InferenceComponentName, which needs inference components",
    PREFIX + "session-id": "SessionId, which needs stateful sessions",
    PREFIX + "enable-explanations": "EnableExplanations, which needs an explainer",
}


class Desk:
    """What every invocation needs: who may ask, the fleet, the time, a fresh frame id.

    load: bytes of the bodies of all that are under way
    """

    def __init__(self, fleet: Fleet, gate: Gate, clock: Clock) -> None:
        self.fleet = fleet
        self.gate = gate
        self.clock = clock
        self.load = 0
        self._ids = count(1)

    def next_id(self) -> int:
        id = next(self._ids)
        if id >= LAST_ID:
            self._ids = count(1)
        return id


class Invocation(Exchange):
    """One InvokeEndpoint, from its head to its answer (a ``call.Call``)."""

    __slots__ = (
        "_asked",
        "_desk",
        "_hash",
        "_headers",
        "_limit",
        "_pieces",
        "_size",
        "began",
        "deadline",
        "deaths",
        "frame",
        "gone",
        "held",
        "id",
        "key",
        "live",
        "sent",
        "target",
        "variant",
    )
    KIND, ACCEPT = REQUEST, "accept"

    def __init__(self, connection: Connection, request: Request, asked: Invoke, desk: Desk) -> None:
        super().__init__(connection, request)
        self.began = perf_counter()
        self.sent = 0.0
        self.live: Live | None = None
        self._asked = asked
        self._desk = desk
        self._headers = _text(request.headers)
        self._pieces: list[bytes] = []
        self._hash: Hash | None = None  # of what has come, where that is more than a piece
        self._size = 0
        self._limit = desk.fleet.longest_body(asked.endpoint)
        self.deaths = 0
        self.gone = False
        self.deadline = self.held = 0.0
        self.variant = b""

    # The body arrives

    def turn(self) -> None:
        headers = self._headers
        length = headers.get("content-length", "0")
        if int(length) > self._limit:
            self._too_long(f"{int(length)} bytes")
        elif "expect" in headers and not self._size:
            self.connection.write_continue(self)

    def receive(self, data: bytes) -> None:
        if self.answered or self.gone:
            return
        size = len(data)
        self._size += size
        self._desk.load += size
        if self._size > self._limit:
            self._too_long(f"more than {self._limit} bytes")
        elif self._desk.load > MOST_BYTES:
            self.request.keep_alive = False
            self.fail(503, "ServiceUnavailable", too_much())
        else:
            if self._pieces and self._hash is None:
                self._hash = sha256(self._pieces[0])
            if self._hash is not None:
                self._hash.update(data)  # while it is in the caches
            self._pieces.append(data)

    def complete(self) -> None:
        if self.answered or self.gone:
            return
        body = self._pieces[0] if self._pieces else b""
        asked, desk = self._asked, self._desk
        try:
            try:
                identity = self._proved(body)
            except UnknownKey:
                if not desk.gate.refresh():  # it may be new
                    raise
                identity = self._proved(body)
        except Refusal as refusal:
            code, status = refusal.answer("rest-json")
            self.fail(status, code, refusal.message)
            return
        if identity.service != SERVICE:
            self.fail(403, "InvalidSignatureException", wrong_service(identity.service))
            return
        route = desk.fleet.route(identity.region, asked.endpoint)
        if route is None:
            self._invalid(refusals.not_found(asked.endpoint, desk.fleet.account))
        elif problem := self._problem(route, self._size):
            self._invalid(problem)
        else:
            self._send(route)

    def _proved(self, body: bytes) -> Identity:
        """Who asks, if they may; raises a Refusal."""
        asked, gate, headers, now = self._asked, self._desk.gate, self._headers, time.time()
        keys: Mapping[str, str] = gate.access.keys
        if TOKEN in headers or asked.query:
            keys = gate.access.keys_for(headers, asked.query, now)
        digest = self._hash.hexdigest() if self._hash is not None else None
        method = self.request.method.decode()
        identity = verify(
            method, asked.path, asked.query, headers, body, keys=keys, now=now, digest=digest
        )
        if identity.access_key_id != gate.root:
            gate.must_allow(identity, headers, asked)
        return identity

    def abandon(self) -> None:
        self.gone = True
        self._let_go()

    def _problem(self, route: Route, size: int) -> str:
        """Why this request can not be met, or nothing."""
        if route.asynchronous is not None:
            return refusals.asynchronous(route.endpoint)
        if size > route.max_body:
            return too_long(f"{size} bytes", route.max_body)
        return self._unmet() or self._misdirected(route)

    def _unmet(self) -> str:
        """What its headers ask for that no endpoint here has, or nothing."""
        headers = self._headers
        if len(headers.get(ATTRIBUTES, "")) > LONGEST_ATTRIBUTES:
            return too_long_attributes(len(headers[ATTRIBUTES]))
        for name in headers:
            if name.startswith(PREFIX) and name in UNMET:
                return refusals.unmet(UNMET[name])
        return ""

    def _misdirected(self, route: Route) -> str:
        """What is wrong with the model of its endpoint's that it names, or nothing."""
        return targets.problem(route, self._headers)

    def _send(self, route: Route) -> None:
        headers, desk = self._headers, self._desk
        self.key = (route.region, route.endpoint)
        self.target = headers.get(TARGET, "")
        self.id = desk.next_id()
        head = (
            f"{headers.get('content-type', '')}\n{headers.get(self.ACCEPT, '')}\n"
            f"{headers.get(ATTRIBUTES, '')}{targets.line(headers)}"
        ).encode("latin-1")
        self.frame = pack(self.KIND, self.id, 0, head, *self._take())
        desk.fleet.send(self)

    def _take(self) -> list[bytes]:
        """The body as it came, in pieces; it is kept no longer here."""
        pieces, self._pieces = self._pieces, []
        return pieces

    # The answer arrives

    def deliver(self, status: int, head: bytes, body: bytes) -> None:
        if self.gone:
            return
        model = perf_counter() - self.sent
        # What a model puts into a header must not end the line.
        content_type, _, attributes = head.replace(b"\r", b"").partition(b"\n")
        attributes, _, trail = attributes.partition(b"\n")
        if status >= 400:
            self._no_prediction(status, trail, body)
            return
        extra = answers.timing(model, self.sent - self.began)
        if not self.request.keep_alive:
            extra += answers.CLOSE
        if self.live is not None and self.live.recall is not None:
            extra += self._remember(self.live.recall)
        answer = answers.prediction(content_type, self.variant, attributes, body, extra)
        self._write(answer)
        self._count(status, model)
        if trail:
            self._pass(trail, status)
        if self.live is not None and self.live.tap is not None:
            self.offer(self.live.tap, content_type, body)

    def offer(self, tap: Tap, content_type: bytes, answer: bytes) -> None:
        tap.offer(self.frame, self._headers.get(INFERENCE_ID, ""), content_type, answer)

    def _remember(self, recall: Recall) -> bytes:
        """Keep the request for the labels that may come; the header line that tells its id."""
        id = self._headers.get(INFERENCE_ID) or answers.request_id().decode()
        recall.keep(self.key, id, self.variant.decode(), self.frame, self._desk.clock.now)
        return b"X-Amzn-SageMaker-Inference-Id: %b\r\n" % id.encode("latin-1")

    def _count(self, status: int, model: float) -> None:
        """Tell the meter of a request that a replica had for so many seconds."""
        if self.live is None:
            return
        if not self.sent:  # refused for what it did to a replica earlier
            self.live.meter.refuse(status)
        else:
            self.live.meter.add(status, model, perf_counter() - self.began - model)

    def _pass(self, trail: bytes, status: int) -> None:
        """Tell the meter which of several containers had the request."""
        if self.live is not None:
            self.live.meter.passed(trail, status)

    def fail(self, status: int, code: str, message: str) -> None:
        if self.live is not None:
            self.live.meter.refuse(status)
        self._write(answers.error(status, code, message, close=not self.request.keep_alive))

    def late(self, seconds: float) -> None:
        self._model_error(0, refusals.late(seconds).encode())

    def poison(self) -> None:
        self._model_error(500, refusals.poisonous(self._asked.endpoint).encode())

    def _no_prediction(self, status: int, trail: bytes, body: bytes) -> None:
        """An error of the model, or the platform's own, for a replica can not have the model."""
        trail, _, code = trail.partition(b"\n")
        if code:
            self.fail(status, code.decode("latin-1"), body.decode("utf-8", "replace"))
        else:
            self._pass(trail, status)
            self._model_error(status, body, answerer(trail))

    def _model_error(self, status: int, body: bytes, container: str = PRIMARY) -> None:
        self._count(status, perf_counter() - self.sent)
        original = body[: refusals.LONGEST_ORIGINAL].decode("utf-8", "replace")
        kind = "client" if 400 <= status < 500 else "server"
        message = (
            f'Received {kind} error ({status}) from {container} with message "{original}". '
            f"See the logs of endpoint {self._asked.endpoint} for more information."
        )
        region, endpoint = self.key
        route = self._desk.fleet.route(region, endpoint)
        group = (route and route.log_group) or f"/aws/sagemaker/Endpoints/{endpoint}"
        more: dict[str, object] = {
            "Message": message,
            "OriginalStatusCode": status,
            "OriginalMessage": original,
            "LogStreamArn": f"arn:aws:logs:{region}:{self._desk.fleet.account}:log-group:{group}",
        }
        close = not self.request.keep_alive
        self._write(answers.error(424, "ModelError", message, more=more, close=close))

    def _invalid(self, message: str) -> None:
        self.fail(400, "ValidationError", message)

    def _too_long(self, size: str) -> None:
        """Refuse before the body is here; what still comes is thrown away."""
        if not self.answered:
            self.request.keep_alive = False
            self._invalid(too_long(size, self._limit))

    def _write(self, answer: bytes) -> None:
        if not self.gone:
            self._let_go()
            self.connection.write(self, answer, last=True)

    def _let_go(self) -> None:
        self._pieces.clear()
        self._desk.load -= self._size
        self._size = 0


def _text(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case, values as text, repeated ones joined as the signature wants them."""
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def too_long(size: str, bound: int) -> str:
    return (
        f"The body of a request to this endpoint must be at most {bound} bytes; got {size}. "
        "Send the rows in several requests."
    )


def too_much() -> str:
    return (
        f"Requests of {MOST_BYTES} bytes in all are under way, which is the most that this "
        "platform takes at a time. Try again in a moment."
    )


def too_long_attributes(size: int) -> str:
    return (
        f"X-Amzn-SageMaker-Custom-Attributes must be at most {LONGEST_ATTRIBUTES} characters; "
        f"got {size}. Shorten it."
    )


def wrong_service(service: str) -> str:
    return f"Credential should be scoped to correct service: '{SERVICE}'; got {service!r}."
