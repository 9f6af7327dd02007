"""Requests that were answered lately, by inference id, so that labels may come later.

Endpoints that do not learn have none of this. What is remembered is bounded in bytes and in time,
and gone with the router; feedback that brings its rows with it needs no memory.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

MOST_BYTES = 128 * 2**20
MOST_SECONDS = 3600.0
_BESIDE = 300
"""Bytes of an entry beside its frame and its id."""
MOST_UNDER_WAY, MOST_BYTES_UNDER_WAY = 64, 4 * 2**20
"""Of feedback to one endpoint; more is refused, so that requests do not wait behind it."""

Key = tuple[str, str]


class Remembered(NamedTuple):
    """frame: the request, as a replica had it · variant: that answered · at: when, monotonic"""

    frame: bytes
    variant: str
    at: float


class Recall:
    """Of all endpoints that learn, the oldest first; a key is (region, endpoint)."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.bytes = 0
        self._most = most
        self._kept: dict[tuple[Key, str], Remembered] = {}
        self._under_way: Counter[Key] = Counter()
        self._bytes_under_way: Counter[Key] = Counter()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, key: Key, id: str, variant: str, frame: bytes, now: float) -> None:
        """Remember a request; of those with one id the last."""
        self.forget(key, id)
        self._kept[key, id] = Remembered(frame, variant, now)
        self.bytes += _size(id, frame)
        if self.bytes > self._most:
            self.trim(now)

    def find(self, key: Key, id: str, now: float) -> Remembered | None:
        """The request of an id, unless it is too long ago."""
        found = self._kept.get((key, id))
        return found if found is not None and found.at > now - MOST_SECONDS else None

    def forget(self, key: Key, id: str) -> None:
        """It has had its feedback."""
        found = self._kept.pop((key, id), None)
        if found is not None:
            self.bytes -= _size(id, found.frame)

    def trim(self, now: float) -> None:
        """Let the oldest go: what is out of the bounds."""
        while self._kept:
            (key, id), oldest = next(iter(self._kept.items()))
            if self.bytes <= self._most and oldest.at > now - MOST_SECONDS:
                break
            self.forget(key, id)

    def enter(self, key: Key, size: int) -> bool:
        """Whether there is room for feedback of so many bytes; then ``leave`` when it is over."""
        bytes = self._bytes_under_way[key]
        if self._under_way[key] >= MOST_UNDER_WAY or (
            bytes and bytes + size > MOST_BYTES_UNDER_WAY
        ):
            return False
        self._under_way[key] += 1
        self._bytes_under_way[key] += size
        return True

    def leave(self, key: Key, size: int) -> None:
        """It is over."""
        self._under_way[key] -= 1
        self._bytes_under_way[key] -= size
        if not self._under_way[key]:
            del self._under_way[key], self._bytes_under_way[key]


def _size(id: str, frame: bytes) -> int:
    return len(id) + len(frame) + _BESIDE
