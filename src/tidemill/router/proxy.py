"""Everything that is not a prediction: streamed to the gateway and back, unchanged."""

from __future__ import annotations

import asyncio

from tidemill.router import answers
from tidemill.router.http import RECEIVER_IS_FULL, Connection, Exchange, Request
from tidemill.router.upstream import Headers, Pool, Upstream

CONNECT_SECONDS = 5.0
MOST_REPLAYED = 2**20
HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"upgrade"})
HARMLESS = (b"Describe", b"List", b"Get")


class Forward(Exchange):
    """One request on its way through; sent on when it is first in line, so that answers stream."""

    __slots__ = (
        "_chunked",
        "_chunked_answer",
        "_early",
        "_is_safe",
        "_over",
        "_pool",
        "_sent",
        "_task",
        "_tries",
        "_until_close",
        "_upstream",
        "_whole",
    )

    def __init__(self, connection: Connection, request: Request, pool: Pool) -> None:
        super().__init__(connection, request)
        names = {name.lower() for name, _ in request.headers}
        self._chunked = b"transfer-encoding" in names
        self._is_safe = is_safe(request)
        self._pool = pool
        self._upstream: Upstream | None = None
        self._task: asyncio.Task[None] | None = None
        self._early: list[bytes] = []  # the body so far: unsent, or kept to send it again
        self._sent = 0
        self._whole = False
        self._over = False
        self._tries = 0
        self._until_close = self._chunked_answer = False

    # From the client

    def turn(self) -> None:
        if self.request.header(b"expect") is not None and not self._whole:
            self.connection.write_continue(self)
        self._start()

    def receive(self, data: bytes) -> None:
        if self._over:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._pass_on(data)

    def complete(self) -> None:
        self._whole = True
        if self._chunked and not self._over:
            self._pass_on(b"0\r\n\r\n")

    def abandon(self) -> None:
        self._over = True
        self._early.clear()
        if self._upstream is not None:
            self._upstream.close()
            self._upstream = None
        if self._task is not None:
            self._task.cancel()

    def pause(self) -> None:
        if self._upstream is not None:
            self._upstream.pause()

    def resume(self) -> None:
        if self._upstream is not None:
            self._upstream.resume()

    def _pass_on(self, data: bytes) -> None:
        if self._upstream is None:
            self._early.append(data)
            self.connection.hold(RECEIVER_IS_FULL)
            return
        self._sent += len(data)
        if self._is_safe:
            self._early.append(data)
            if self._sent > MOST_REPLAYED:
                self._is_safe = False
                self._early.clear()
        self._upstream.write(data)

    # To the gateway

    def _start(self) -> None:
        upstream = self._pool.take()
        if upstream is not None:
            self._ask(upstream)
        else:
            self._task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        upstream = await self._pool.connect(CONNECT_SECONDS)
        self._task = None
        if upstream is None:
            self._unavailable("does not answer")
        elif self._over:
            upstream.close()
        else:
            self._ask(upstream)

    def _ask(self, upstream: Upstream) -> None:
        request = self.request
        self._upstream = upstream
        self._tries += 1
        lines = [b"%b %b HTTP/1.1" % (request.method, request.target)]
        lines += [b"%b: %b" % h for h in request.headers if h[0].lower() not in HOP_BY_HOP]
        head = b"\r\n".join(lines) + b"\r\n\r\n"
        upstream.ask(self, head, bodiless=request.method == b"HEAD")
        for data in self._early:
            upstream.write(data)
        self._sent = sum(map(len, self._early))
        if not self._is_safe:
            self._early.clear()
        self.connection.release(RECEIVER_IS_FULL)

    def full(self) -> None:
        """The gateway reads slower than the client sends."""
        if not self._whole:
            self.connection.hold(RECEIVER_IS_FULL)

    def drained(self) -> None:
        self.connection.release(RECEIVER_IS_FULL)

    # From the gateway

    def head(self, status: int, reason: bytes, headers: Headers) -> None:
        request = self.request
        if not self._whole:
            request.keep_alive = False  # answered early: the rest of the body leads nowhere
        kept, self._chunked_answer, self._until_close = _framing(status, headers, request)
        if self._until_close:
            request.keep_alive = False
        lines = [b"HTTP/1.1 %d %b" % (status, reason), *(b"%b: %b" % h for h in kept)]
        end = b"\r\n\r\n" if request.keep_alive else b"\r\nConnection: close\r\n\r\n"
        self.connection.write(self, b"\r\n".join(lines) + end, last=False)

    def data(self, data: bytes) -> None:
        if self._chunked_answer:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.connection.write(self, data, last=False)

    def end(self, reusable: bool) -> None:
        upstream, self._upstream = self._upstream, None
        self._over = True
        self._early.clear()
        if upstream is not None:
            if reusable and self._whole:
                self._pool.give(upstream)
            else:
                upstream.close()
        self.connection.release(RECEIVER_IS_FULL)
        self.connection.write(self, b"0\r\n\r\n" if self._chunked_answer else b"", last=True)

    def lost(self) -> None:
        """The gateway ended with our request: harmless ones are sent to its successor."""
        self._upstream = None
        if self.started:
            if self._until_close:
                self.end(reusable=False)
            else:
                self.connection.cut(self)
        elif self._is_safe and self._tries < 2:
            if not self._whole:
                self.connection.hold(RECEIVER_IS_FULL)
            self._start()
        else:
            self._unavailable("ended before it had answered")

    def _unavailable(self, what: str) -> None:
        self._over = True
        self._early.clear()
        self.connection.release(RECEIVER_IS_FULL)
        if not self._whole:
            self.request.keep_alive = False
        message = (
            f"The control plane {what}; it is being restarted. Endpoints go on answering. "
            "Try again in a second."
        )
        close = not self.request.keep_alive
        answer = answers.error(503, "ServiceUnavailable", message, close=close)
        self.connection.write(self, answer, last=True)


def is_safe(request: Request) -> bool:
    """May it be sent twice? Reads may.

    >>> is_safe(Request(b"POST", b"/", [(b"X-Amz-Target", b"SageMaker.DescribeModel")]))
    True
    >>> is_safe(Request(b"POST", b"/", [(b"X-Amz-Target", b"SageMaker.CreateModel")]))
    False
    """
    if request.method in (b"GET", b"HEAD"):
        return True
    operation = (request.header(b"x-amz-target") or b"").rpartition(b".")[2]
    return request.method == b"POST" and operation.startswith(HARMLESS)


def _framing(status: int, headers: Headers, request: Request) -> tuple[Headers, bool, bool]:
    """The headers to pass on; is the body to be sent in chunks; does it end with the connection?"""
    kept = [h for h in headers if h[0].lower() not in HOP_BY_HOP]
    names = {name.lower() for name, _ in kept}
    has_no_body = request.method == b"HEAD" or status in (204, 304)
    if b"transfer-encoding" in names:
        if request.version == "1.1":
            return kept, not has_no_body, False
        kept = [h for h in kept if h[0].lower() != b"transfer-encoding"]
        return kept, False, True
    return kept, False, not (has_no_body or b"content-length" in names)
