"""What is kept of many values: how many, their sum, their ends, and a sketch of how they spread."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tidemill.stats.quantiles import Buckets, Sketch

_HEAD = struct.Struct("<dddd")
_SIDES = struct.Struct("<dII")


@dataclass(frozen=True, slots=True)
class Summary:
    """count, total: number and sum of the values · low, high: the smallest and the largest.

    ``merge`` is associative (sums as far as floating point is), with ``Summary()`` as its identity.
    The sketch knows fewer values than ``count`` when some were told as totals only; there are no
    quantiles then.

    >>> told = Summary.of([3.0, 1.0, 2.0]).merge(Summary.of([10.0]))
    >>> told.count, told.total, told.low, told.high, told.mean
    (4, 16.0, 1.0, 10.0, 4.0)
    """

    count: float = 0.0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    sketch: Sketch = field(default_factory=Sketch)

    @classmethod
    def of(cls, values: Sequence[float], counts: Sequence[float] | None = None) -> Summary:
        """Of values, each counted once or as often as ``counts`` says; all finite."""
        if counts is None:
            counts = [1] * len(values)
        pairs = [(v, c) for v, c in zip(values, counts, strict=True) if c > 0]
        if not pairs:
            return cls()
        return cls(
            sum(c for _, c in pairs),
            math.fsum(v * c for v, c in pairs),
            min(v for v, _ in pairs),
            max(v for v, _ in pairs),
            Sketch.of([v for v, _ in pairs], [c for _, c in pairs]),
        )

    @classmethod
    def told(cls, count: float, total: float, low: float, high: float) -> Summary:
        """Of totals alone; when all values are one the sketch is known, too."""
        sketch = Sketch.of([low], [count]) if low == high else Sketch()
        return cls(count, total, low, high, sketch)

    @property
    def mean(self) -> float:
        """Zero when there are no values."""
        return self.total / self.count if self.count else 0.0

    def merge(self, other: Summary) -> Summary:
        """The summary of both streams together."""
        return Summary(
            self.count + other.count,
            self.total + other.total,
            min(self.low, other.low),
            max(self.high, other.high),
            self.sketch.merge(other.sketch),
        )

    def quantile(self, fraction: float) -> float | None:
        """Within 1 % of the true value, exact at the ends.

        None when there are no values, or only totals of some.
        """
        if not self.count or not math.isclose(self.sketch.count, self.count):
            return None
        if fraction in (0.0, 1.0):
            return self.high if fraction else self.low
        return min(max(self.sketch.quantile(fraction), self.low), self.high)

    def to_bytes(self) -> bytes:
        """Some tens of bytes; a few hundred where values differ much."""
        head = _HEAD.pack(self.count, self.total, self.low, self.high)
        if self == Summary.told(self.count, self.total, self.low, self.high):
            return head
        sketch = self.sketch
        sides = _SIDES.pack(sketch.zeros, len(sketch.positive), len(sketch.negative))
        packed = sides + _pack(sketch.positive) + _pack(sketch.negative)
        return head + zlib.compress(packed, 1)


def from_bytes(data: bytes) -> Summary:
    """Read what ``to_bytes`` wrote.

    >>> from_bytes(Summary.of([1.0, 5.0]).to_bytes()) == Summary.of([1.0, 5.0])
    True
    """
    head = _HEAD.unpack_from(data)
    if len(data) == _HEAD.size:
        return Summary.told(*head) if head[0] else Summary()
    packed = zlib.decompress(data[_HEAD.size :])
    zeros, positive, negative = _SIDES.unpack_from(packed)
    at = _SIDES.size
    middle = at + positive * _PAIR.size
    end = middle + negative * _PAIR.size
    sketch = Sketch(zeros, _unpack(packed[at:middle]), _unpack(packed[middle:end]))
    count, total, low, high = head
    return Summary(count, total, low, high, sketch)


def merged(summaries: Iterable[Summary]) -> Summary:
    """All of them in one."""
    whole = Summary()
    for one in summaries:
        whole = whole.merge(one)
    return whole


_PAIR = struct.Struct("<id")


def _pack(buckets: Buckets) -> bytes:
    return b"".join(_PAIR.pack(at, buckets[at]) for at in sorted(buckets))


def _unpack(data: bytes) -> Buckets:
    return {at: count for at, count in _PAIR.iter_unpack(data)}
