"""Frames on the socket between a replica and a process of user code, one at a time.

Of the standard library and ``spec.frame`` alone: user code's process has it too.
"""

from __future__ import annotations

import socket

from tidemill.spec.frame import HEADER, Frame, unpack

LARGEST = (1 << 30) + (1 << 17)
"""Bytes of a frame: the largest input of an asynchronous request, with its head."""


def receive(sock: socket.socket) -> Frame | None:
    """The next frame; None when the other end is closed. Raises OSError, TimeoutError."""
    header = _exactly(sock, HEADER.size)
    if header is None:
        return None
    (length, *_) = HEADER.unpack(header)
    if length > LARGEST:
        raise ConnectionAbortedError(f"a frame of {length} bytes")
    rest = _exactly(sock, length)
    if rest is None:
        return None
    [frame], _ = unpack(bytes(header) + rest)
    return frame


def _exactly(sock: socket.socket, size: int) -> bytearray | None:
    found = bytearray(size)
    view = memoryview(found)
    while view:
        count = sock.recv_into(view)
        if not count:
            return None
        view = view[count:]
    return found
