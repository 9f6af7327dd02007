"""A uniform sample of a stream without replacement, in bounded memory, that merges exactly.

Every row draws a random key and the rows with the smallest keys stay: the sample of two streams
together is the smallest keys of both samples (bottom-k sampling; Cohen & Kaplan, "Summarizing data
using bottom-k sketches", 2007).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Keys = NDArray[np.uint64]
_GOLDEN, _FIRST, _SECOND = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)


@dataclass(frozen=True, slots=True)
class Reservoir:
    """Up to ``size`` rows, each with the key that it drew, in the order of their keys.

    keys : (kept,) uint64 · rows : (kept, columns) float32 · labels : (kept, width) float32
    seen: rows so far · stream: names the stream whose rows are counted by ``drawn``, so that the
    rows of two workers draw different keys; 0 until its first row
    """

    keys: Keys
    rows: Floats
    labels: Floats
    size: int
    seen: int = 0
    stream: int = 0
    drawn: int = 0

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, rows: Floats, labels: Floats, seed: int) -> Reservoir:
        """With these rows, in order. labels: (rows, width), of width 0 where there are none.

        >>> sample = empty(size=2, columns=1)
        >>> for value in range(100):
        ...     sample = sample.add(np.full((1, 1), value, np.float32), np.zeros((1, 0), "f4"), 0)
        >>> len(sample), sample.seen
        (2, 100)
        """
        if not len(rows):
            return self
        stream = self.stream or _name(rows[0], self.seen, seed)
        keys = _keys(seed, stream, self.drawn, len(rows))
        counted = replace(
            self, seen=self.seen + len(rows), stream=stream, drawn=self.drawn + len(rows)
        )
        is_full = len(self) == self.size
        stays = keys < self.keys[-1] if is_full else np.ones(len(keys), np.bool_)
        if not stays.any():
            return counted
        return _least(counted, keys[stays], rows[stays], labels[stays])

    def merge(self, other: Reservoir) -> Reservoir:
        """The sample of both streams."""
        if not other.seen or not self.seen:
            return self if self.seen else other
        both = replace(self, seen=self.seen + other.seen)
        return _least(both, other.keys, other.rows, other.labels)

    def reopened(self) -> Reservoir:
        """For a new stream: what comes draws other keys than what came."""
        return replace(self, stream=0, drawn=0)

    def resized(self, size: int) -> Reservoir:
        """For another size; a smaller sample is a uniform one too, a larger one only fills up with
        rows to come, so whoever enlarges one that has dropped rows makes it lean to the new."""
        kept = min(size, len(self))
        return replace(
            self, keys=self.keys[:kept], rows=self.rows[:kept], labels=self.labels[:kept], size=size
        )


def empty(size: int, columns: int, labels: int = 0) -> Reservoir:
    """One without rows."""
    rows, none = np.empty((0, columns), np.float32), np.empty((0, labels), np.float32)
    return Reservoir(np.empty(0, np.uint64), rows, none, size)


def _least(reservoir: Reservoir, keys: Keys, rows: Floats, labels: Floats) -> Reservoir:
    """The smallest keys of the kept and the newcomers, in order; of equals the kept come first."""
    every = np.concatenate([reservoir.keys, keys])
    order = np.argsort(every, kind="stable")[: reservoir.size]
    return replace(
        reservoir,
        keys=every[order],
        rows=np.concatenate([reservoir.rows, rows])[order],
        labels=np.concatenate([reservoir.labels, labels])[order],
    )


def _name(row: Floats, seen: int, seed: int) -> int:
    """A stream's name from its first row: the same however the stream is cut into batches."""
    return (zlib.crc32(row.tobytes(), seen & 0xFFFFFFFF) << 1 | 1) ^ (seed & 0xFFFF) << 40


def _keys(seed: int, stream: int, first: int, count: int) -> Keys:
    """Keys of rows first..first + count of a stream: SplitMix64 (Steele, Lea & Flood, 2014)."""
    start = _mixed(np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64) ^ np.uint64(stream))
    return _mixed(start + np.arange(first + 1, first + count + 1, dtype=np.uint64) * _GOLDEN)


def _mixed(z: Keys) -> Keys:
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))
