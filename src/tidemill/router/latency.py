"""How long things took: a sum, and how they spread."""

from __future__ import annotations

from collections import defaultdict
from math import ceil, log

from tidemill.spec import meters as spec
from tidemill.stats.quantiles import PER_LOG

NANOSECOND = 1e-3
"""Added, in microseconds, as zero has no logarithm."""


class Latency:
    """As ``spec.meters`` has it, in microseconds."""

    __slots__ = ("buckets", "total")

    def __init__(self, told: spec.Latency) -> None:
        self.total = told.total
        self.buckets = defaultdict(int, told.buckets)

    def add(self, seconds: float) -> None:
        """One more; where requests are counted this is spelled out, as a call costs more."""
        micros = seconds * 1e6 + NANOSECOND
        self.total += micros
        self.buckets[ceil(log(micros) * PER_LOG)] += 1

    def told(self) -> spec.Latency:
        return spec.Latency(self.total, self.buckets)
