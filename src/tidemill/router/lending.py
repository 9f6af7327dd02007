"""Memory that the router shares with the replicas of its machine: large bodies are lent, not sent.

Through a socket a megabyte is copied four times more, and taken in pieces of the socket's buffer:
router and replica wait for each other with each.
"""

from __future__ import annotations

import json
import mmap
import os
from bisect import insort
from contextlib import suppress

from tidemill.spec.frame import EXTENT, HEADER, LENT, SHARE, pack

SIZE = 64 << 20
"""Bytes that are lent at the most; what comes beyond goes through the sockets."""
LEAST = 32 << 10
"""Bytes of a frame from which on lending is worth its while."""
_PAGE = 4096


class Memory:
    """An anonymous file that others of the same user may map: it ends with who uses it.

    Raises OSError where the system has no such thing.
    """

    def __init__(self, size: int = SIZE) -> None:
        if not hasattr(os, "memfd_create"):
            raise OSError("no memfd_create")
        self._file = os.memfd_create("tidemill-bodies", os.MFD_CLOEXEC)
        os.ftruncate(self._file, size)
        self._map = mmap.mmap(self._file, size)
        self._size = size
        self._free = [(0, size)]  # (offset, bytes), in order, no two of them adjacent
        self._taken: dict[int, int] = {}

    def offer(self) -> bytes:
        """The frame that tells a replica where to find it."""
        path = f"/proc/{os.getpid()}/fd/{self._file}"
        return pack(SHARE, 0, 0, b"", json.dumps({"path": path, "size": self._size}).encode())

    def lend(self, frame: bytes) -> tuple[bytes, int] | None:
        """The frame with its body put here, and the offset to take back; None when it is full."""
        length, id, kind, _, status, head_length = HEADER.unpack_from(frame)
        at = HEADER.size + head_length
        offset = self._take(length - head_length)
        if offset is None:
            return None
        body = memoryview(frame)[at:]
        self._map[offset : offset + len(body)] = body
        head = frame[HEADER.size : at]
        header = HEADER.pack(head_length + EXTENT.size, id, kind, LENT, status, head_length)
        return header + head + EXTENT.pack(offset, len(body)), offset

    def take_back(self, offset: int) -> None:
        """Nobody reads there any more."""
        size = self._taken.pop(offset)
        free = self._free
        insort(free, (offset, size))
        at = free.index((offset, size))
        if at + 1 < len(free) and offset + size == free[at + 1][0]:
            free[at] = (offset, size + free.pop(at + 1)[1])
        if at > 0 and sum(free[at - 1]) == offset:
            free[at - 1] = (free[at - 1][0], free[at - 1][1] + free.pop(at)[1])

    def close(self) -> None:
        """Let go of it; who has mapped it keeps it until it ends."""
        self._map.close()
        with suppress(OSError):
            os.close(self._file)

    def _take(self, size: int) -> int | None:
        """The first place that is large enough: what was used lately is in the caches."""
        wanted = max(1, -(-size // _PAGE)) * _PAGE
        for at, (offset, room) in enumerate(self._free):
            if room >= wanted:
                if room == wanted:
                    del self._free[at]
                else:
                    self._free[at] = (offset + wanted, room - wanted)
                self._taken[offset] = wanted
                return offset
        return None


def memory(size: int = SIZE) -> Memory | None:
    """Memory to lend, or None where the system has none to share."""
    try:
        return Memory(size)
    except OSError:
        return None
