"""One connection of a replica: frames out of a stream of bytes, and answers into it."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from tidemill.errors import InvalidData
from tidemill.spec.frame import (
    FEEDBACK,
    HEADER,
    LENT,
    MORE,
    PING,
    PONG,
    REQUEST,
    RESPONSE,
    SHARE,
    STOP,
    STREAM,
    Frame,
    pack,
    unpack,
)
from tidemill.workers.serve.answers import Answer
from tidemill.workers.serve.lent import Lent

PIECE = 256 << 10
"""Bytes taken from the socket at a time: some hundred small requests."""
LARGEST_FRAME = (1 << 30) + (1 << 17)
"""The largest input of an asynchronous request, with its head."""
_ASKS = frozenset({REQUEST, FEEDBACK})
_OF_STREAMS = frozenset({STREAM, MORE, STOP})
MOST_UNSENT = 8 << 20
"""Bytes of answers that may wait for a slow reader before no more is read from it."""


class Connection:
    """Never blocks: what the socket does not take at once is kept."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._inbox, self._outbox = bytearray(), bytearray()
        self._lent: Lent | None = None
        self.about_streams: list[Frame] = []  # that have come and are to be taken

    @property
    def is_amid(self) -> bool:
        """Whether the beginning of a frame waits for its rest, or an answer for its reader."""
        return bool(self._inbox or self._outbox)

    @property
    def has_unsent(self) -> bool:
        return bool(self._outbox)

    @property
    def is_full(self) -> bool:
        """Whether the reader at the other end is too slow to be given more."""
        return len(self._outbox) > MOST_UNSENT

    def receive(self) -> list[Frame]:
        """The requests that have come whole. Raises ConnectionError when it is over."""
        try:
            piece = self.sock.recv(PIECE)
        except BlockingIOError:
            return []
        if not piece:
            raise ConnectionResetError("closed by the other end")
        frames = self._whole(piece)
        if all(frame.kind == REQUEST for frame in frames):
            return [f if f.place != LENT else self._inline(f) for f in frames]
        self._send(b"".join(map(self._reply, frames)))
        self.about_streams += [
            f if f.place != LENT else self._inline(f) for f in frames if f.kind in _OF_STREAMS
        ]
        requests = [frame for frame in frames if frame.kind in _ASKS]
        return [f if f.place != LENT else self._inline(f) for f in requests]

    def _reply(self, frame: Frame) -> bytes:
        """What is said at once to a frame that is no request."""
        if frame.kind == PING:
            return pack(PONG, frame.id, 0, b"", b"")
        if frame.kind != SHARE:
            return b""
        try:
            self._lent = Lent(frame.body)
        except (OSError, ValueError, KeyError, TypeError):  # another machine, or user
            return pack(SHARE, frame.id, 404, b"", b"")
        return pack(SHARE, frame.id, 200, b"", b"")

    def _inline(self, frame: Frame) -> Frame:
        """The frame with the body that it was lent."""
        try:
            if self._lent is not None:
                return self._lent.inline(frame)
        except InvalidData as error:
            raise ConnectionAbortedError(str(error)) from None
        raise ConnectionAbortedError("a body is lent, but no memory is shared")

    def answer(self, frames: Sequence[Frame], answers: Sequence[Answer]) -> None:
        """Send the answers to these requests. Raises ConnectionError when it is over."""
        self._send(
            b"".join(
                [
                    pack(RESPONSE, frame.id, answer.status, answer.head, answer.body)
                    for frame, answer in zip(frames, answers, strict=True)
                ]
            )
        )

    def send(self, frames: bytes) -> None:
        """Send frames. Raises ConnectionError when it is over."""
        self._send(frames)

    def beat(self) -> None:
        """Say that answers are on their way. Raises ConnectionError when it is over."""
        self._send(pack(PONG, 0, 0, b"", b""))

    def flush(self) -> None:
        """Send what is kept, as far as the socket takes it. Raises ConnectionError."""
        self._send(b"")

    def _send(self, data: bytes) -> None:
        waiting: bytes | bytearray = data
        if self._outbox:
            self._outbox += data
            waiting = self._outbox
        try:
            sent = self.sock.send(waiting) if waiting else 0
        except BlockingIOError:
            sent = 0
        if waiting is self._outbox:
            del self._outbox[:sent]
        elif sent < len(waiting):
            self._outbox += data[sent:]

    def _whole(self, piece: bytes) -> list[Frame]:
        if self._inbox:
            self._inbox += piece
            frames, used = unpack(self._inbox)
            del self._inbox[:used]
        else:
            frames, used = unpack(piece)
            self._inbox += piece[used:]
        if len(self._inbox) >= HEADER.size:
            (length, *_) = HEADER.unpack_from(self._inbox)
            if length > LARGEST_FRAME:
                raise ConnectionAbortedError(f"a frame of {length} bytes")
        return frames
