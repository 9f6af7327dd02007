"""Quantiles of a stream, each within 1 % of the true value, in a bounded number of buckets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ACCURACY = 0.01
"""No quantile is further from the true one than this, relative to its size."""
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
PER_LOG = 1 / math.log(GAMMA)
"""Buckets per factor of e: bucket i holds the values in (GAMMA^(i-1), GAMMA^i]."""
MOST_BUCKETS = 2048
"""Of either sign: sizes from 1 to 6e17, say; what is smaller still counts as the smallest."""
_MIDDLE = math.log((GAMMA + 1) / 2)
_LARGEST = 709.78

Buckets = Mapping[int, float]


def bucket(size: float) -> int:
    """The bucket of a size above zero.

    >>> bucket(1.0), bucket(1000.0)
    (0, 346)
    """
    return math.ceil(math.log(size) * PER_LOG)


@dataclass(frozen=True, slots=True)
class Sketch:
    """DDSketch (Masson, Rim & Lee 2019): counts of values by the logarithm of their size.

    zeros: how many values are 0 · positive, negative: bucket → how many. ``merge`` is associative
    and commutative, with ``Sketch()`` as its identity. When sizes span more than MOST_BUCKETS the
    smallest ones of a sign share a bucket, and the bound holds for the others.

    >>> sketch = Sketch.of(range(1, 1001))
    >>> round(sketch.quantile(0.99)), len(sketch.positive)
    (983, 200)
    """

    zeros: float = 0.0
    positive: Buckets = field(default_factory=dict)
    negative: Buckets = field(default_factory=dict)

    @classmethod
    def of(cls, values: Iterable[float], counts: Iterable[float] | None = None) -> Sketch:
        """Of values, each counted once or as often as ``counts`` says; all finite."""
        zeros = 0.0
        positive: dict[int, float] = {}
        negative: dict[int, float] = {}
        told = list(values)
        times = [1.0] * len(told) if counts is None else counts
        for value, count in zip(told, times, strict=True):
            if value == 0:
                zeros += count
            else:
                side = positive if value > 0 else negative
                at = bucket(abs(value))
                side[at] = side.get(at, 0.0) + count
        return cls(zeros, _bounded(positive), _bounded(negative))

    @property
    def count(self) -> float:
        """How many values are in it."""
        return self.zeros + sum(self.positive.values()) + sum(self.negative.values())

    def merge(self, other: Sketch) -> Sketch:
        """The sketch of both streams together."""
        return Sketch(
            self.zeros + other.zeros,
            _merged(self.positive, other.positive),
            _merged(self.negative, other.negative),
        )

    def minus(self, earlier: Sketch) -> Sketch:
        """What has come since ``earlier``, a sketch of the same stream."""
        return Sketch(
            max(0.0, self.zeros - earlier.zeros),
            _less(self.positive, earlier.positive),
            _less(self.negative, earlier.negative),
        )

    def quantile(self, fraction: float) -> float:
        """The value below which this share of the values lies (0 to 1); NaN when there are none."""
        left = fraction * (self.count - 1)
        last = math.nan
        for value, count in self._ascending():
            last = value
            if count > left:
                break
            left -= count
        return last

    def _ascending(self) -> Iterable[tuple[float, float]]:
        for at in sorted(self.negative, reverse=True):
            yield -_size(at), self.negative[at]
        if self.zeros:
            yield 0.0, self.zeros
        for at in sorted(self.positive):
            yield _size(at), self.positive[at]


def _size(at: int) -> float:
    """The size that stands for a bucket: no size in it is further from it than ACCURACY."""
    return math.exp(min(at / PER_LOG - _MIDDLE, _LARGEST))


def _merged(one: Buckets, other: Buckets) -> Buckets:
    if not other:
        return one
    both = dict(one)
    for at, count in other.items():
        both[at] = both.get(at, 0.0) + count
    return _bounded(both)


def _less(now: Buckets, earlier: Buckets) -> Buckets:
    left = {at: count - earlier.get(at, 0.0) for at, count in now.items()}
    return {at: count for at, count in left.items() if count > 0}


def _bounded(buckets: Buckets) -> Buckets:
    """Let the largest bucket alone decide which small ones share one: then merging is associative.

    >>> _bounded({0: 1, 1: 2, 2048: 1})
    {2048: 1, 1: 3}
    """
    if not buckets:
        return buckets
    lowest = max(buckets) - MOST_BUCKETS + 1
    if min(buckets) >= lowest:
        return buckets
    kept = {at: count for at, count in buckets.items() if at > lowest}
    kept[lowest] = sum(count for at, count in buckets.items() if at <= lowest)
    return kept
