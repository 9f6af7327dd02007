"""InvokeEndpointWithResponseStream: the answer goes out part by part, as the model makes it.

The replica is at most a window of bytes (``spec.frame``) ahead of the client: what the client has
yet to take is not asked for, so that neither here nor there more of an answer is kept than that.
Before the first part all is as with InvokeEndpoint: another replica is asked when one dies, errors
are HTTP's. After it an error is the last event of the stream.
"""

from __future__ import annotations

from time import perf_counter

from tidemill.router import answers, refusals
from tidemill.router.call import Parted, Source
from tidemill.router.http import Connection, Request
from tidemill.router.invoke import INFERENCE_ID, PREFIX, Desk, Invocation
from tidemill.router.paths import Invoke
from tidemill.spec.event_stream import event, exception
from tidemill.spec.frame import PIECE, STREAM, WINDOW
from tidemill.spec.route import TIMEOUT

STREAM_SECONDS = 480.0
"""So long an answer may take in all: SageMaker's bound for streams."""
MOST_HELD = 2 * WINDOW + PIECE
"""Bytes that may wait for the client; only a replica that sends unasked goes beyond."""
MOST_CAPTURED = 8 * 2**20
ERROR, FAILURE = "ModelStreamError", "InternalStreamFailure"
MODEL, TIME, BROKEN = "ModelError", "ModelInvocationTimeExceeded", "StreamBroken"
_payload = event("PayloadPart", "application/octet-stream")


class StreamedInvocation(Invocation, Parted):
    """One request whose answer is a stream of events.

    _owed: bytes passed on, for which the replica has yet to be asked for more · _until: when all
    must be over, monotonic seconds · _slow: since when the client has not kept up, 0 while it does
    _waited: seconds that it has not, so far · _copy: the answer so far, where it is captured
    """

    __slots__ = (
        "_copied",
        "_copy",
        "_is_plain",
        "_kind",
        "_owed",
        "_slow",
        "_source",
        "_until",
        "_waited",
    )
    KIND = STREAM
    ACCEPT = PREFIX + "accept"

    def __init__(self, connection: Connection, request: Request, asked: Invoke, desk: Desk) -> None:
        super().__init__(connection, request, asked, desk)
        self._source: Source | None = None
        self._kind = b""
        self._is_plain = request.version == "1.0"  # which knows no chunks: the end is the end
        self._owed = self._copied = 0
        self._until = self._slow = self._waited = 0.0
        self._copy: list[bytes] | None = None

    @property
    def begun(self) -> bool:
        return self.started

    @property
    def rests(self) -> bool:
        return self.started and not self.connection.flows(self)

    # The replica says

    def part(self, source: Source, head: bytes, body: bytes) -> None:
        if self.gone:
            source.stop(self)
            return
        self._source = source
        if not self.started:
            self._begin(head)
        self._pass_on(body)
        self._owed += len(body)
        if self._owed > MOST_HELD:
            source.stop(self)
            self._count(500, self._model_seconds())
            self._fail(FAILURE, "The replica sent more than it was asked for.")
        else:
            self._go_on()

    def deliver(self, status: int, head: bytes, body: bytes) -> None:
        if self.gone:
            return
        if not self.started:
            if status >= 400:
                super().deliver(status, head, body)
                return
            self._begin(head)
        if status >= 400:
            self._count(status, self._model_seconds())
            self._fail(ERROR, body.decode("utf-8", "replace"), MODEL)
            return
        for at in range(0, len(body), PIECE):
            self._pass_on(body[at : at + PIECE])
        self._count(status, self._model_seconds())
        self._capture()
        self._finish(b"")

    def broken(self) -> None:
        if not self.gone:
            self._count(500, self._model_seconds())
            self._fail(ERROR, refusals.broken(self._asked.endpoint), BROKEN)

    def late(self, seconds: float) -> None:
        if self.gone:
            return
        if not self.started:
            super().late(seconds)
            return
        if self._source is not None:
            self._source.stop(self)
        self._count(0, self._model_seconds())
        self._fail(ERROR, refusals.late_part(seconds, STREAM_SECONDS), TIME)

    # The client takes, or does not

    def turn(self) -> None:
        if self.started:
            self._go_on()
        else:
            super().turn()

    def pause(self) -> None:
        if self.started:
            self._slow = perf_counter()
            self.deadline = self._until

    def resume(self) -> None:
        if self._slow:
            self._waited += perf_counter() - self._slow
            self._slow = 0.0
        if self.started:
            self._go_on()

    def abandon(self) -> None:
        super().abandon()
        self._copy = None
        if self._source is not None:
            self._source.stop(self)

    def _go_on(self) -> None:
        """Ask for as much as has been taken, while the client keeps up."""
        if not self.connection.flows(self):
            self.deadline = self._until  # it is not the replica that is slow
            return
        self.deadline = min(self._desk.clock.now + self._timeout, self._until)
        if self._owed >= WINDOW // 2 and self._source is not None:
            self._source.more(self, self._owed)
            self._owed = 0

    # What is written

    def _begin(self, head: bytes) -> None:
        content_type, _, rest = head.replace(b"\r", b"").partition(b"\n")
        attributes = rest.partition(b"\n")[0]
        self._kind = content_type
        now = self._desk.clock.now
        self._until = now + max(STREAM_SECONDS - (perf_counter() - self.began), self._timeout)
        if self.live is not None and self.live.tap is not None and self.live.tap.draws():
            self._copy = []
        extra = answers.timing(perf_counter() - self.sent, self.sent - self.began)
        if self.live is not None and self.live.recall is not None:
            extra += self._remember(self.live.recall)
        if not self._is_plain:
            extra += b"Transfer-Encoding: chunked\r\n"
        if not self.request.keep_alive:
            extra += answers.CLOSE
        said = answers.stream(content_type, self.variant, attributes, extra)
        self.connection.write(self, said, last=False)

    def _pass_on(self, body: bytes) -> None:
        self.connection.write(self, self._chunk(_payload(body)), last=False)
        if self._copy is not None:
            self._copied += len(body)
            if self._copied <= MOST_CAPTURED:
                self._copy.append(body)
            else:
                self._copy.clear()

    def _fail(self, kind: str, message: str, code: str = "") -> None:
        """The stream ends with an error."""
        more = {"ErrorCode": code} if code else {}
        self._finish(self._chunk(exception(kind, message, **more)))

    def _finish(self, last: bytes) -> None:
        self._source = self._copy = None
        self._write(last if self._is_plain else last + b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> bytes:
        return data if self._is_plain else b"%x\r\n%b\r\n" % (len(data), data)

    def _capture(self) -> None:
        if self._copy is None or self.live is None or self.live.tap is None:
            return
        whole = b"".join(self._copy) if self._copied <= MOST_CAPTURED else None
        id = self._headers.get(INFERENCE_ID, "")
        self.live.tap.keep(self.frame, id, self._kind, whole)

    # Times

    @property
    def _timeout(self) -> float:
        return TIMEOUT if self.live is None else self.live.timeout

    def _model_seconds(self) -> float:
        """Since it was sent, without what the client was waited for."""
        now = perf_counter()
        waited = self._waited + (now - self._slow if self._slow else 0.0)
        return now - self.sent - waited
