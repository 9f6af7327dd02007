"""CloudWatch's statistics of what a period was told: ``Average``, ``Sum``, ``p99.9`` and so on."""

from __future__ import annotations

import re
from collections.abc import Callable

from tidemill.stats.summary import Summary

_PERCENTILE = re.compile(r"p(100(?:\.0{0,10})?|[0-9]{1,2}(?:\.[0-9]{1,10})?)")

STATISTICS: dict[str, Callable[[Summary], float]] = {
    "SampleCount": lambda told: told.count,
    "Average": lambda told: told.mean,
    "Sum": lambda told: told.total,
    "Minimum": lambda told: told.low if told.count else 0.0,
    "Maximum": lambda told: told.high if told.count else 0.0,
}


def is_percentile(name: str) -> bool:
    """Whether this names a percentile.

    >>> [is_percentile(name) for name in ("p50", "p99.9", "p100", "p101", "Average", "tm90")]
    [True, True, True, False, False, False]
    """
    return _PERCENTILE.fullmatch(name) is not None


def statistic(told: Summary, name: str) -> float | None:
    """The value; None for a percentile of what was told as totals only. Raises KeyError.

    >>> told = Summary.of([1.0, 2.0, 3.0, 4.0])
    >>> statistic(told, "Average"), statistic(told, "p100")
    (2.5, 4.0)
    """
    match = _PERCENTILE.fullmatch(name)
    if match is None:
        return STATISTICS[name](told)
    if not told.count:
        return 0.0
    return told.quantile(float(match[1]) / 100)
