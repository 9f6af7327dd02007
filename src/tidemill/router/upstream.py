"""Connections to the gateway's Unix socket, kept for the next request."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

import httptools

from tidemill.router.clock import Clock

RETRY_SECONDS = 0.02
# Shorter than the gateway keeps idle connections: one that is taken again is not just being closed.
IDLE_SECONDS = 2.0
Headers = list[tuple[bytes, bytes]]


class Asker(Protocol):
    """Who takes an answer that streams in."""

    def head(self, status: int, reason: bytes, headers: Headers) -> None: ...
    def data(self, data: bytes) -> None: ...
    def end(self, reusable: bool) -> None: ...
    def lost(self) -> None: ...
    def full(self) -> None: ...
    def drained(self) -> None: ...


class Upstream(asyncio.Protocol):
    """One connection; serves one request at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._parser: Any = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._asker: Asker | None = None
        self._bodiless = False
        self._status = 0
        self._reason = b""
        self._headers: Headers = []
        self._done = False
        self.idle_since = 0.0

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, asker: Asker, head: bytes, *, bodiless: bool) -> None:
        """Send a request's head. bodiless: the answer has no body whatever it says (HEAD)."""
        self._asker, self._bodiless, self._done = asker, bodiless, False
        self._transport.write(head)

    def write(self, data: bytes) -> None:
        if self.open:
            self._transport.write(data)

    def close(self) -> None:
        """Drop the connection; whoever asked is not told."""
        self._asker = None
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self.open:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self.open:
            self._transport.resume_reading()

    # The socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.dropped(self)
        self._parser = None
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.lost()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.abort()
            return
        if self._done:
            self._settle()

    def pause_writing(self) -> None:
        if self._asker is not None:
            self._asker.full()

    def resume_writing(self) -> None:
        if self._asker is not None:
            self._asker.drained()

    def _settle(self) -> None:
        """The answer is whole: leave the connection to the next request."""
        self._done = False
        if self._bodiless:  # the parser still waits for the body that the head spoke of
            reusable = (b"connection", b"close") not in [
                (name.lower(), value.lower()) for name, value in self._headers
            ]
            self._parser = httptools.HttpResponseParser(self)
        else:
            reusable = self._parser.should_keep_alive()
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.end(reusable)

    # What the parser finds

    def on_message_begin(self) -> None:
        self._headers, self._reason = [], b""

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._status >= 200 and self._asker is not None:
            self._asker.head(self._status, self._reason, self._headers)
            self._done = self._bodiless

    def on_body(self, data: bytes) -> None:
        if self._asker is not None and not self._bodiless:
            self._asker.data(data)

    def on_message_complete(self) -> None:
        self._done = self._status >= 200  # 100 Continue: the router has sent its own


class Pool:
    """Idle connections to the gateway, and new ones when there are none."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._idle: deque[Upstream] = deque()

    def take(self) -> Upstream | None:
        """An idle connection that was used a moment ago, or None."""
        while self._idle:
            upstream = self._idle.pop()
            if upstream.open and self._clock.now - upstream.idle_since < IDLE_SECONDS:
                return upstream
            upstream.close()
        return None

    def give(self, upstream: Upstream) -> None:
        """Keep a connection for the next request."""
        upstream.idle_since = self._clock.now
        self._idle.append(upstream)

    def dropped(self, upstream: Upstream) -> None:
        if upstream in self._idle:
            self._idle.remove(upstream)

    async def connect(self, seconds: float) -> Upstream | None:
        """A new connection, tried again and again for so long; None when nobody listens."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            try:
                _, upstream = await loop.create_unix_connection(lambda: Upstream(self), self._path)
                return upstream
            except OSError:
                if loop.time() >= until:
                    return None
                await asyncio.sleep(RETRY_SECONDS)

    def trim(self) -> None:
        """Close what has been idle for too long to be trusted."""
        while self._idle and self._clock.now - self._idle[0].idle_since >= IDLE_SECONDS:
            self._idle.popleft().close()
