"""Answers in parts that are under way: each goes on while the router takes what it has made.

A turn of the server's loop makes one slice of one of them, so that requests of others are answered
in between, and streams take turns. No socket here: what is to be said is returned.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from tidemill.spec.frame import (
    COUNT,
    MORE,
    PART,
    PIECE,
    REQUEST,
    RESPONSE,
    STREAM,
    WINDOW,
    Frame,
    pack,
)
from tidemill.workers.serve.answers import Answer, streamed
from tidemill.workers.serve.connection import Connection


class Streams:
    """Of all connections. answers: who answers, be they ``Streaming`` or not"""

    def __init__(self, answers: object) -> None:
        self._answers = answers
        self._under_way: dict[tuple[Connection, int], _Stream] = {}
        self._ready: deque[_Stream] = deque()

    def __len__(self) -> int:
        return len(self._under_way)

    @property
    def has_work(self) -> bool:
        """Whether a slice can be made now."""
        return bool(self._ready) and not self._ready[0].connection.is_full

    def take(self, connection: Connection, frames: Sequence[Frame]) -> list[Frame]:
        """Begin, go on with, or end what frames of kind STREAM, MORE and STOP say.

        Returns requests that are to be answered whole.
        """
        whole = []
        for frame in frames:
            key = connection, frame.id
            if frame.kind == STREAM:
                request = Frame(REQUEST, frame.id, 0, frame.head, frame.body)
                parts = streamed(self._answers, request)
                if parts is None:
                    whole.append(request)
                else:
                    self._under_way[key] = _Stream(connection, frame.id, parts)
            elif key in self._under_way and frame.kind == MORE:
                self._under_way[key].credit += COUNT.unpack(frame.body)[0]
            elif key in self._under_way:
                self._under_way[key].stop()
            if key in self._under_way:
                self._queue(self._under_way[key])
        return whole

    def step(self) -> tuple[Connection, bytes]:
        """Make the next slice of the answer whose turn it is: what to send, and where."""
        stream = self._ready.popleft()
        stream.is_ready = False
        said = stream.advance()
        if stream.is_over:
            del self._under_way[stream.connection, stream.id]
        else:
            self._queue(stream)
        return stream.connection, said

    def forget(self, connection: Connection) -> None:
        """It is gone, and so are those who waited."""
        self._under_way = {k: v for k, v in self._under_way.items() if k[0] is not connection}
        self._ready = deque(one for one in self._ready if one.connection is not connection)

    def _queue(self, stream: _Stream) -> None:
        if not stream.is_ready and (stream.credit > 0 or stream.is_stopped):
            stream.is_ready = True
            self._ready.append(stream)


class _Stream:
    """One answer. credit: bytes that may be sent · is_ready: it is in line for a turn"""

    def __init__(self, connection: Connection, id: int, parts: Iterator[Answer]) -> None:
        self.connection = connection
        self.id = id
        self.credit = WINDOW
        self.is_ready = self.is_over = self.is_stopped = False
        self._parts = parts
        self._head = b""
        self._rest = memoryview(b"")

    def stop(self) -> None:
        """Nobody waits for the rest."""
        self._parts, self._rest, self.is_stopped = iter(()), memoryview(b""), True

    def advance(self) -> bytes:
        """The frames that come next; none of a slice is made before those before it are gone."""
        if not self._rest:
            made = next(self._parts, None)
            if made is None or made.status >= 400:
                self.is_over = True
                last = made or Answer(200, self._head, b"")
                return pack(RESPONSE, self.id, last.status, last.head, last.body)
            self._head, self._rest = made.head, memoryview(made.body)
        frames = []
        while self._rest and self.credit > 0:
            piece, self._rest = self._rest[:PIECE], self._rest[PIECE:]
            frames.append(pack(PART, self.id, 200, self._head, bytes(piece)))
            self.credit -= len(piece)
        return b"".join(frames)
