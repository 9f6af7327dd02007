"""A uniform sample of a stream without replacement, in bounded memory, that merges exactly.

Every row draws a random key and the rows with the smallest keys stay: the sample of two streams
together is the smallest keys of both samples (bottom-k sampling; Cohen & Kaplan, "Summarizing data
using bottom-k sketches", 2007).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels import sound

Floats = NDArray[np.float32]
Keys = NDArray[np.uint64]
Mask = NDArray[np.bool_]
_EVERY = 2**64 - 1
_GOLDEN, _FIRST, _SECOND = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)
# Small samples are sifted at once; large ones only after this share of newcomers.
_SMALL, _SPARE = 1024, 8
_PART_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Drawn:
    """Rows with the keys that they drew.

    keys : (kept,) uint64 · rows : (kept, columns) float32 · labels : (kept, width) float32
    """

    keys: Keys
    rows: Floats
    labels: Floats

    def __len__(self) -> int:
        return len(self.keys)

    def check(self) -> None:
        sound.shaped("keys", self.keys, None)
        sound.shaped("rows", self.rows, len(self.keys), None)
        sound.shaped("labels", self.labels, len(self.keys), None)


@dataclass(frozen=True, slots=True)
class Reservoir:
    """Up to ``size`` rows, each with the key that it drew.

    columns, width: of rows and labels · parts: the rows in no order, with some more than ``size``
    among them until the next sifting: up to an eighth
    bound: every row seen whose key is not above it is there, and may be in the sample
    seen: rows so far · stream: names the stream whose rows are counted by ``drawn``, so that the
    rows of two workers draw different keys; 0 until its first row
    """

    size: int
    columns: int
    width: int = 0
    parts: tuple[Drawn, ...] = ()
    bound: int = _EVERY
    seen: int = 0
    stream: int = 0
    drawn: int = 0

    def check(self) -> None:
        for part in self.parts:
            sound.shaped("rows", part.rows, None, self.columns)
            sound.shaped("labels", part.labels, None, self.width)
        for name in ("size", "columns", "width", "seen", "drawn"):
            sound.between(name, getattr(self, name), 0)
        for name in ("bound", "stream"):
            sound.between(name, getattr(self, name), 0, _EVERY)
        held = sum(map(len, self.parts))
        sound.require(held <= min(self.seen, self.size + self.size // _SPARE), "rows were seen")
        sound.require(bool(self.stream) or not self.drawn, "rows are of a stream")

    def __len__(self) -> int:
        return min(self.size, sum(map(len, self.parts)))

    @property
    def keys(self) -> Keys:
        """In order; sorts, as ``rows`` and ``labels`` do: take all three from ``ordered``."""
        return self.ordered().keys

    @property
    def rows(self) -> Floats:
        """In the order of their keys, which is as random as their choice."""
        return self.ordered().rows

    @property
    def labels(self) -> Floats:
        """In the order of the rows."""
        return self.ordered().labels

    def ordered(self) -> Drawn:
        """The sample in the order of its keys: the same however the stream came in."""
        keys = _every_key(self.parts)
        order = np.argsort(keys, kind="stable")[: self.size]
        if len(self.parts) == 1 and (order == np.arange(len(keys))).all():
            return self.parts[0]
        rows = np.empty((len(order), self.columns), np.float32)
        labels = np.empty((len(order), self.width), np.float32)
        places = np.full(len(keys), -1)
        places[order] = np.arange(len(order))
        start = 0
        for part in self.parts:  # one after the other, for they need not fit in memory twice
            to = places[start : start + len(part)]
            start += len(part)
            stays = to >= 0
            whole = stays.all()
            rows[to if whole else to[stays]] = part.rows if whole else part.rows[stays]
            labels[to if whole else to[stays]] = part.labels if whole else part.labels[stays]
        return Drawn(keys[order], rows, labels)

    def add(self, rows: Floats, labels: Floats, seed: int) -> Reservoir:
        """With these rows, in order. labels: (rows, width), of width 0 where there are none.

        Rows are copied. Takes time for the rows that stay for a while alone: of those that come
        after n others, size / n.

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
        stays, bound = _smallest(keys, self.size, self.bound)
        if not stays.any():
            return counted
        newcomers = _chosen(Drawn(keys, rows, labels), stays)
        parts = _grown(self.parts, newcomers)
        return _within_bounds(replace(counted, parts=parts, bound=bound))

    def merge(self, other: Reservoir) -> Reservoir:
        """The sample of both streams."""
        if not other.seen or not self.seen:
            return self if self.seen else other
        return _sifted(
            replace(
                self,
                parts=self.parts + other.parts,
                bound=min(self.bound, other.bound),
                seen=self.seen + other.seen,
            )
        )

    def reopened(self) -> Reservoir:
        """For a new stream: what comes draws other keys than what came."""
        return replace(self, stream=0, drawn=0)

    def resized(self, size: int) -> Reservoir:
        """For another size. A smaller sample is the one that it would have been. A larger one
        stays uniform too: of the rows to come it takes the share that it took last, and so grows
        with them."""
        return _sifted(replace(self, size=size))

    def places(self, seed: int) -> NDArray[np.int64]:
        """Of each row, in the order of keys, how many of its stream came before it.

        Only of a sample whose rows are all of the stream that it follows, and drew with this seed.
        """
        every = _keys(seed, self.stream, 0, self.drawn)
        order = np.argsort(every, kind="stable")
        return order[np.searchsorted(every[order], self.ordered().keys)]


def empty(size: int, columns: int, labels: int = 0) -> Reservoir:
    """One without rows."""
    return Reservoir(size, columns, labels)


def _every_key(parts: Sequence[Drawn]) -> Keys:
    return np.concatenate([np.empty(0, np.uint64), *(p.keys for p in parts)])


def _joined(parts: Sequence[Drawn]) -> Drawn:
    return (
        parts[0]
        if len(parts) == 1
        else Drawn(
            np.concatenate([p.keys for p in parts]),
            np.concatenate([p.rows for p in parts]),
            np.concatenate([p.labels for p in parts]),
        )
    )


def _chosen(part: Drawn, which: Mask) -> Drawn:
    """A copy of these rows."""
    if which.all():
        return Drawn(part.keys.copy(), part.rows.copy(), part.labels.copy())
    return Drawn(part.keys[which], part.rows[which], part.labels[which])


def _grown(parts: tuple[Drawn, ...], last: Drawn) -> tuple[Drawn, ...]:
    """With one more part. A part swallows small ones before it that are no longer than it: there
    are never many, and a row is copied a few times in all."""
    keep, length, swallows = len(parts), len(last), _PART_BYTES // (4 * last.rows.shape[1] + 1)
    while keep and len(parts[keep - 1]) <= length and length <= swallows:
        keep -= 1
        length += len(parts[keep])
    return *parts[:keep], _joined([*parts[keep:], last])


def _within_bounds(reservoir: Reservoir) -> Reservoir:
    size = reservoir.size
    spare = size // _SPARE if size > _SMALL else 0
    most = size + spare
    return _sifted(reservoir) if sum(map(len, reservoir.parts)) > most else reservoir


def _sifted(reservoir: Reservoir) -> Reservoir:
    """Without the rows that are out of the sample."""
    parts, size = reservoir.parts, reservoir.size
    keys = _every_key(parts)
    stays, bound = _smallest(keys, size, reservoir.bound)
    if stays.all():
        return reservoir
    kept, start = [], 0
    for part in parts:
        kept.append(_chosen(part, stays[start : start + len(part)]))
        start += len(part)
    return replace(reservoir, parts=(_joined(kept),), bound=bound)


def _smallest(keys: Keys, size: int, bound: int) -> tuple[Mask, int]:
    """Which are not above the bound and, if those are more than ``size``, which of them are the
    smallest; and the bound that no row left out is below."""
    stays: Mask = keys <= np.uint64(bound)
    if np.count_nonzero(stays) <= size:
        return stays, bound
    least = np.partition(keys, size - 1)[size - 1]
    stays = keys <= least
    # Of equal keys at the bound, which all but never are, the first ones stay.
    stays[np.flatnonzero(stays)[size:]] = False
    return stays, int(least)


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
