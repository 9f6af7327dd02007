"""The connection to one replica: many requests at once, answers in any order."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from tidemill.router.call import Call
from tidemill.spec.frame import HEADER, RESPONSE

MOST_UNSENT = 16


class Replica(asyncio.Protocol):
    """Connects to one address, again and again; ``up`` says if it may be sent to.

    joined: called when the connection stands · left: with the requests that it took along.
    """

    def __init__(self, address: str, fleet: Fleet) -> None:
        self.address = address
        self.up = False
        self.in_flight: dict[int, Call] = {}
        self._fleet = fleet
        self._transport: Any = None
        self._attempt: asyncio.Task[None] | None = None
        self._buffer = bytearray()
        self._unsent: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._retired = False

    def __len__(self) -> int:
        return len(self.in_flight)

    def send(self, call: Call) -> None:
        """Hand a request over. Those of one turn of the loop leave in few system calls."""
        self.in_flight[call.id] = call
        unsent = self._unsent
        unsent.append(call.frame)
        if len(unsent) == 1:
            self._loop.call_soon(self._flush)
        elif len(unsent) >= MOST_UNSENT:  # let the replica begin
            self._flush()

    def connect(self) -> None:
        """Try once to connect, unless connected or trying."""
        if not self.up and self._attempt is None and not self._retired:
            self._attempt = self._loop.create_task(self._connect())

    def _flush(self) -> None:
        if self._unsent:
            data = b"".join(self._unsent)
            self._unsent.clear()
            if self.up or self._retired:
                self._transport.write(data)

    def retire(self) -> None:
        """No route names it any more: take nothing, finish what is under way, close."""
        self._retired = True
        self._close_when_done()

    def forget(self, call: Call) -> None:
        """The answer to this request is no longer wanted."""
        self.in_flight.pop(call.id, None)
        self._close_when_done()

    async def _connect(self) -> None:
        path = self.address.removeprefix("unix:")
        try:
            await self._loop.create_unix_connection(lambda: self, path)
        except (OSError, ValueError):  # not there (yet), or no address at all
            self._fleet.refused()
        finally:
            self._attempt = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._buffer.clear()
        if self._retired:
            transport.close()
            return
        self.up = True
        self._fleet.joined()

    def connection_lost(self, exc: Exception | None) -> None:
        self.up = False
        self._unsent.clear()
        taken, self.in_flight = self.in_flight, {}
        if not self._retired or taken:
            self._fleet.left(list(taken.values()))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        whole: bytes | bytearray = data
        if buffer:
            buffer += data
            whole = buffer
        at = self._take(whole)
        if whole is buffer:
            del buffer[:at]
        elif at < len(data):
            buffer += data[at:]

    def _take(self, data: bytes | bytearray) -> int:
        """Deliver every whole frame, as ``frame.unpack`` does; return the bytes consumed."""
        at, end, size = 0, len(data), HEADER.size
        while end - at >= size:
            length, id, kind, _, status, head_length = HEADER.unpack_from(data, at)
            head_at = at + size
            if head_at + length > end:
                break
            body_at, at = head_at + head_length, head_at + length
            call = self.in_flight.pop(id, None) if kind == RESPONSE else None
            if call is not None:
                call.deliver(status, bytes(data[head_at:body_at]), bytes(data[body_at:at]))
        if self._retired:
            self._close_when_done()
        return at

    def _close_when_done(self) -> None:
        if self._retired and self.up and not self.in_flight:
            self.up = False
            self._transport.close()


class Fleet(Protocol):
    """Who is told what becomes of a connection."""

    def joined(self) -> None: ...
    def left(self, calls: list[Call]) -> None: ...
    def refused(self) -> None: ...
