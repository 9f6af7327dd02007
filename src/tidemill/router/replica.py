"""The connection to one replica: many requests at once, answers in any order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any, Protocol

from tidemill.errors import Invalid
from tidemill.router.call import Call, Parted
from tidemill.router.clock import Clock
from tidemill.router.lending import LEAST, Memory
from tidemill.spec.address import Tcp, parse
from tidemill.spec.frame import COUNT, HEADER, MORE, PART, RESPONSE, SHARE, STOP, pack

MOST_UNSENT = 16
CONNECT_SECONDS = 5.0
SILENT_MS, FIRST_PROBE, NEXT_PROBE, PROBES = 10_000, 5, 2, 3
"""A host that is gone says nothing: after so long without a sign of it, it counts as dead."""


class Replica(asyncio.Protocol):
    """Connects to one address, again and again.

    up: it may be sent to · since: when it came up, monotonic seconds · in_flight: requests it has,
    by id · load: their bytes · moved: when it last answered, or began · hung: it has something to
    do, and has answered nothing for long · reserved: for suspects, which are tried alone
    """

    def __init__(self, address: str, fleet: Fleet, clock: Clock) -> None:
        self.address = address
        self.up = self.hung = self.reserved = False
        self.since = self.moved = 0.0
        self.in_flight: dict[int, Call] = {}
        self.load = 0
        self._fleet = fleet
        self._clock = clock
        self._transport: Any = None
        self._attempt: asyncio.Task[None] | None = None
        self._buffer = bytearray()
        self._unsent: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._retired = False
        self._offered = False
        self._memory: Memory | None = None  # once the replica has mapped it
        self._lent: dict[int, int] = {}  # id of a request → where its body lies

    def send(self, call: Call) -> None:
        """Hand a request over. Those of one turn of the loop leave in few system calls."""
        if not self.in_flight:
            self.moved = self._clock.now
        self.in_flight[call.id] = call
        self.load += len(call.frame)
        unsent, frame = self._unsent, call.frame
        unsent.append(frame if len(frame) < LEAST else self._lend(call))
        if len(unsent) == 1:
            self._loop.call_soon(self._flush)
        elif len(unsent) >= MOST_UNSENT:  # let the replica begin
            self._flush()

    def _lend(self, call: Call) -> bytes:
        """What to send for it: its frame without the body, where that can be lent."""
        if self._memory is None:
            return self._offer() + call.frame
        lent = self._memory.lend(call.frame)
        if lent is None:  # full
            return call.frame
        frame, self._lent[call.id] = lent
        return frame

    def _offer(self) -> bytes:
        """Offer the memory, once to each replica of this machine."""
        memory = self._fleet.memory
        if self._offered or memory is None or isinstance(parse(self.address), Tcp):
            return b""
        self._offered = True
        return memory.offer()

    def _take_back(self, id: int) -> None:
        """A request was answered, if late: its body is read no more."""
        offset = self._lent.pop(id, None)
        if offset is not None and self._memory is not None:
            self._memory.take_back(offset)

    @property
    def unread(self) -> int:
        """Bytes that were sent and that the other end has yet to take."""
        return self._transport.get_write_buffer_size() if self.up else 0

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
        """The answer to this request is no longer wanted; should it come, nobody looks at it."""
        if self.in_flight.pop(call.id, None) is not None:
            self.load -= len(call.frame)
        self._close_when_done()

    def more(self, call: Call, size: int) -> None:
        """So many bytes of the parts of an answer have been passed on."""
        self._say(pack(MORE, call.id, 0, b"", COUNT.pack(size)))

    def stop(self, call: Call) -> None:
        """Nobody waits for the rest of an answer in parts."""
        self._say(pack(STOP, call.id, 0, b"", b""))
        self.forget(call)

    @property
    def is_free(self) -> bool:
        """Whether no request is here that another replica could be asked in its place."""
        taken = self.in_flight.values()
        return all(isinstance(call, Parted) and call.begun for call in taken)

    @property
    def rests(self) -> bool:
        """Whether it has nothing to do, or nothing that it could do now."""
        taken = self.in_flight.values()
        return all(isinstance(call, Parted) and call.rests for call in taken)

    def _say(self, frame: bytes) -> None:
        """What is no request, behind those that were sent before."""
        self._flush()
        if not self._transport.is_closing():
            self._transport.write(frame)

    async def _connect(self) -> None:
        try:
            where = parse(self.address)
            async with asyncio.timeout(CONNECT_SECONDS):
                if isinstance(where, Tcp):
                    host, port = where.host, where.port
                    await self._loop.create_connection(lambda: self, host, port)
                else:
                    await self._loop.create_unix_connection(lambda: self, where.path)
        except (OSError, ValueError, TimeoutError, Invalid):  # not there (yet), or no address
            self._fleet.refused()
        finally:
            self._attempt = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._buffer.clear()
        if self._retired:
            transport.close()
            return
        _tune(transport.get_extra_info("socket"))
        self.up, self.hung = True, False
        self.since = self._clock.now
        self._offered = False
        self._fleet.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.up = self.hung = False
        for id in list(self._lent):
            self._take_back(id)
        self._memory = None
        self._unsent.clear()
        taken, self.in_flight = self.in_flight, {}
        self.load = 0
        if not self._retired or taken or self.reserved:
            waiting = []
            for call in taken.values():
                if isinstance(call, Parted) and call.begun:
                    call.broken()
                else:
                    waiting.append(call)
            self._fleet.left(self, waiting)

    def data_received(self, data: bytes) -> None:
        self.moved = self._clock.now
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
            if kind == RESPONSE:
                self._answered(id, status, bytes(data[head_at:body_at]), bytes(data[body_at:at]))
            elif kind == PART:
                self._part(id, bytes(data[head_at:body_at]), bytes(data[body_at:at]))
            elif kind == SHARE:
                self._memory = self._fleet.memory if status == 200 else None
        if self._retired:
            self._close_when_done()
        if self.hung or self._fleet.busy:
            self._fleet.moved(self)
        return at

    def _answered(self, id: int, status: int, head: bytes, body: bytes) -> None:
        call = self.in_flight.pop(id, None)
        if self._lent:
            self._take_back(id)
        if call is not None:
            self.load -= len(call.frame)
            call.deliver(status, head, body)

    def _part(self, id: int, head: bytes, body: bytes) -> None:
        call = self.in_flight.get(id)
        if isinstance(call, Parted):
            call.part(self, head, body)
        else:  # forgotten meanwhile
            self._say(pack(STOP, id, 0, b"", b""))

    def _close_when_done(self) -> None:
        if self._retired and self.up and not self.in_flight:
            self.up = False
            self._transport.close()


def _tune(sock: Any) -> None:
    """What a connection between hosts needs; one between processes needs nothing."""
    if sock is None or sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", FIRST_PROBE),
        ("TCP_KEEPINTVL", NEXT_PROBE),
        ("TCP_KEEPCNT", PROBES),
        ("TCP_USER_TIMEOUT", SILENT_MS),
    ):
        if hasattr(socket, option):  # not every system has all of them
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class Fleet(Protocol):
    """Who is told what becomes of a connection.

    busy: not empty while requests wait for one · memory: to lend large bodies in
    """

    @property
    def busy(self) -> Mapping[tuple[str, str], object]: ...
    @property
    def memory(self) -> Memory | None: ...

    def joined(self, one: Replica) -> None: ...
    def moved(self, one: Replica) -> None: ...
    def left(self, one: Replica, calls: list[Call]) -> None: ...
    def refused(self) -> None: ...
