"""One client's connection: requests come in, answers go out in the same order, limits are kept."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import httptools

from tidemill.router import answers
from tidemill.router.clock import Clock

LONGEST_HEAD = 65_536
MOST_IN_LINE = 64
HEAD_SECONDS, BODY_SECONDS, IDLE_SECONDS, LINGER_SECONDS = 10.0, 30.0, 120.0, 5.0

# Why reading from a client is paused.
LINE_IS_LONG, CLIENT_IS_SLOW, RECEIVER_IS_FULL = 1, 2, 4


class Request:
    """The head of a request. target: path and query as sent · headers: as sent, in order."""

    __slots__ = ("headers", "keep_alive", "method", "target", "version")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        version: str = "1.1",
        keep_alive: bool = True,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.version = version
        self.keep_alive = keep_alive

    def header(self, name: bytes) -> bytes | None:
        """The first header of that name (given in lower case)."""
        return next((v for n, v in self.headers if n.lower() == name), None)


class Exchange:
    """A request under way: takes the body, answers through the connection."""

    __slots__ = ("answered", "connection", "kept", "request", "started")

    def __init__(self, connection: Connection, request: Request) -> None:
        self.connection = connection
        self.request = request
        self.kept: list[bytes] = []  # what was written before its turn came
        self.started = self.answered = False

    def receive(self, data: bytes) -> None:
        """Part of the body."""

    def complete(self) -> None:
        """The body has been received whole."""

    def turn(self) -> None:
        """Now first in line: what is written goes straight out."""

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""

    def pause(self) -> None:
        """The client reads slower than we write."""

    def resume(self) -> None:
        """The client has caught up."""


Begin = Callable[["Connection", Request], Exchange]


class Connection(asyncio.Protocol):
    """Parses with llhttp; keeps requests that were pipelined in line; never waits for ever."""

    def __init__(self, begin: Begin, clock: Clock, everyone: set[Connection]) -> None:
        self._begin = begin
        self._clock = clock
        self._everyone = everyone
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._line: deque[Exchange] = deque()
        self._current: Exchange | None = None  # whose body is being received
        self._in_head = False
        self._head_size = 0
        self._fed, self._is_shared = 0, False  # the piece being parsed: bytes; of several requests?
        self._unsent = 0  # bytes that the client had not taken at the last look
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._holds = 0
        self._ending = False  # no further request is taken
        self._client_ended = False
        self._lingering = False  # all is said; what still comes in is thrown away
        self._since = clock.now

    # The socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._everyone.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._everyone.discard(self)
        self._ending = self._lingering = True
        waiting, self._line = self._line, deque()
        self._current = self._parser = None  # the parser holds our methods: a circle
        for exchange in waiting:
            exchange.abandon()

    def data_received(self, data: bytes) -> None:
        if self._lingering or (self._ending and self._current is None):
            return
        if not self._in_head:
            self._since = self._clock.now
        self._fed, self._is_shared = len(data), self._current is not None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._refuse(answers.malformed(str(error)))
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > LONGEST_HEAD:
                self._refuse(answers.head_too_long(LONGEST_HEAD))

    def eof_received(self) -> bool:
        """A client may close its half and still read what it is owed."""
        self._ending = self._client_ended = True
        if self._current is not None or self._lingering:
            return False
        if self._line:
            self._line[-1].request.keep_alive = False
        return bool(self._line)

    def pause_writing(self) -> None:
        self.hold(CLIENT_IS_SLOW)
        if self._line:
            self._line[0].pause()

    def resume_writing(self) -> None:
        self.release(CLIENT_IS_SLOW)
        if self._line:
            self._line[0].resume()

    # What the parser finds

    def on_message_begin(self) -> None:
        # What came in one piece with the request before is not all of this head.
        self._in_head, self._head_size = True, -self._fed if self._is_shared else 0
        self._target, self._headers = b"", []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else a trailer of a chunked body: nothing of ours reads them
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        self._in_head = False
        if self._ending:
            return
        version = parser.get_http_version()
        keep_alive = version == "1.1" and parser.should_keep_alive()
        request = Request(parser.get_method(), self._target, self._headers, version, keep_alive)
        if not keep_alive:
            self._ending = True
        if parser.should_upgrade():
            self._refuse(answers.malformed("this server does not switch protocols"))
            return
        self._enter(self._begin(self, request))

    def on_body(self, data: bytes) -> None:
        if self._current is not None:
            self._current.receive(data)

    def on_message_complete(self) -> None:
        exchange, self._current = self._current, None
        self._is_shared = True
        if exchange is not None:
            exchange.complete()

    # Answers, in order

    def write(self, exchange: Exchange, data: bytes, *, last: bool) -> None:
        """Send part of an answer, or keep it until the answers before it are out."""
        if self._lingering:
            return
        exchange.started = True
        line = self._line
        if line[0] is not exchange:
            exchange.kept.append(data)
            exchange.answered = last
            return
        self._transport.write(data)
        if last:
            exchange.answered = True
            line.popleft()
            self._advance(exchange)

    def flows(self, exchange: Exchange) -> bool:
        """Whether what it writes goes out at once, to a client that keeps up with it."""
        line = self._line
        return bool(line) and line[0] is exchange and not self._holds & CLIENT_IS_SLOW

    def write_continue(self, exchange: Exchange) -> None:
        """Tell the client to send the body (``Expect: 100-continue``), if it is first in line."""
        if self._line and self._line[0] is exchange and not self._lingering:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def cut(self, exchange: Exchange) -> None:
        """End the connection in the middle of an answer: the client must not take it for whole."""
        if exchange in self._line:
            self._transport.abort()

    def _enter(self, exchange: Exchange) -> None:
        self._line.append(exchange)
        self._current = exchange
        if len(self._line) == 1:
            exchange.turn()
        elif len(self._line) >= MOST_IN_LINE:
            self.hold(LINE_IS_LONG)

    def _advance(self, done: Exchange) -> None:
        """Write what waited behind the answer that has just gone out."""
        line = self._line
        while True:
            if not done.request.keep_alive:
                self._linger()
                return
            if not line:
                break
            done = line[0]
            if done.kept:
                self._transport.write(b"".join(done.kept))
                done.kept.clear()
            if not done.answered:
                done.turn()
                break
            line.popleft()
        if self._holds & LINE_IS_LONG and len(line) < MOST_IN_LINE:
            self.release(LINE_IS_LONG)

    def _refuse(self, answer: bytes) -> None:
        """Answer bytes that cannot be gone on from, then end."""
        if self._lingering or (self._ending and self._current is None and self._line):
            return
        exchange = self._current
        if exchange is None:
            exchange = Exchange(self, Request(b"", b"", [], keep_alive=False))
            self._line.append(exchange)
        self._ending, self._current, self._in_head = True, None, False
        exchange.request.keep_alive = False
        exchange.abandon()
        if not exchange.started:
            self.write(exchange, answer, last=True)
        elif not exchange.answered:
            self.cut(exchange)

    def _linger(self) -> None:
        """Close our half only: closing with unread bytes would destroy the answer on its way."""
        self._ending = self._lingering = True
        self._since = self._clock.now
        waiting, self._line = self._line, deque()
        for exchange in waiting:
            exchange.abandon()
        if self._client_ended:
            self._transport.close()
        elif not self._transport.is_closing():
            self._holds = 0
            self._transport.resume_reading()
            self._transport.write_eof()

    # Flow and time

    def hold(self, reason: int) -> None:
        """Stop reading from the client until the reason is released."""
        if not self._holds and not self._transport.is_closing():
            self._transport.pause_reading()
        self._holds |= reason

    def release(self, reason: int) -> None:
        """The reason to stop reading is gone."""
        if not self._holds & reason:
            return
        self._holds &= ~reason
        if not self._holds and not self._transport.is_closing():
            self._since = self._clock.now
            self._transport.resume_reading()

    def look(self, now: float) -> None:
        """End what takes too long: heads that trickle, bodies that stop, silence, deaf clients."""
        unsent = self._transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._since = unsent, now
        waited = now - self._since
        if unsent or self._lingering:
            if waited > (IDLE_SECONDS if unsent else LINGER_SECONDS):
                self._transport.abort()
        elif not self._holds:
            self._look_at_sender(waited)

    def _look_at_sender(self, waited: float) -> None:
        if self._in_head:
            if waited > HEAD_SECONDS:
                self._refuse(answers.too_slow("head", HEAD_SECONDS))
        elif self._current is not None:
            if waited > BODY_SECONDS and not self._current.answered:
                self._refuse(answers.too_slow("body", BODY_SECONDS))
        elif not self._line and waited > IDLE_SECONDS:
            self._transport.close()

    def finish(self) -> None:
        """Take no further request; close once the line is empty."""
        self._ending = True
        if self._line:
            self._line[-1].request.keep_alive = False
        elif not self._transport.is_closing():
            self._transport.close()
