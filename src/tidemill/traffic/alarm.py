"""Whether an alarm rings: a decision from the datapoints of its last periods."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"
FINE, MINUTE = 10, 60
MORE_PERIODS = 2
"""So many periods beyond those evaluated are looked at, to stand in for missing ones."""
SETTLE_SECONDS = 3.0
"""What has happened is in the store after so many seconds."""

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
WORDS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
MISSING = ("missing", "ignore", "breaching", "notBreaching")


@dataclass(frozen=True, slots=True)
class Rule:
    """Rings when ``datapoints`` of the last ``periods`` compare so with the threshold.

    period: seconds · statistic: as ``traffic.statistic`` names it · missing: one of MISSING
    """

    comparison: str
    threshold: float
    statistic: str
    period: int
    periods: int
    datapoints: int
    missing: str = "missing"

    def window(self, now: float) -> tuple[float, float]:
        """The time to read datapoints of: whole periods that end at a minute (or ten seconds).

        >>> Rule("GreaterThanThreshold", 1.0, "Sum", 60, 3, 3).window(1000.0)
        (660.0, 960.0)
        """
        step = MINUTE if self.period >= MINUTE else FINE
        end = (now - SETTLE_SECONDS) // step * step
        return end - self.period * (self.periods + MORE_PERIODS), end


def evaluate(rule: Rule, values: Sequence[float | None], state: str) -> str:
    """The state now. values: one for each period of the window, oldest first, None where there is
    none · state: so far

    As CloudWatch documents it: where enough datapoints are there the missing ones do not matter;
    else ``rule.missing`` says what they stand for.

    >>> rule = Rule("GreaterThanThreshold", 0.0, "Sum", 60, 3, 3)
    >>> evaluate(rule, [0, 1, 1, None, 1], OK)
    'ALARM'
    >>> evaluate(rule, [None, None, None, None, 0], ALARM)
    'OK'
    """
    breaches = COMPARISONS[rule.comparison]
    there = [(age, breaches(v, rule.threshold)) for age, v in _ages(values) if v is not None]
    missing = rule.periods - len(there)
    if missing <= 0:
        return _rings(rule, sum(bad for _, bad in there[-rule.periods :]))
    bad = sum(bad for _, bad in there)
    if rule.missing == "breaching":
        return _rings(rule, bad + missing)
    if rule.missing == "notBreaching" or bad >= rule.datapoints:
        return _rings(rule, bad)
    if not there:
        return state if rule.missing == "ignore" else INSUFFICIENT
    if bad < len(there):
        return OK
    # Nothing but breaches, too few of them: they ring once they have stood long enough.
    has_stood = there[0][0] >= rule.datapoints
    return ALARM if has_stood and rule.missing == "missing" else state


def _ages(values: Sequence[float | None]) -> list[tuple[int, float | None]]:
    """The newest is 1 period old."""
    return [(len(values) - index, value) for index, value in enumerate(values)]


def _rings(rule: Rule, bad: int) -> str:
    return ALARM if bad >= rule.datapoints else OK


def reason(rule: Rule, values: Sequence[float | None], state: str) -> str:
    """Why, in words like CloudWatch's.

    >>> reason(Rule("GreaterThanThreshold", 5.0, "Sum", 60, 1, 1), [None, None, 7.0], ALARM)
    'Threshold Crossed: 1 datapoint [7.0] was greater than the threshold (5.0).'
    """
    there = [v for v in values if v is not None][-rule.periods :]
    if state == INSUFFICIENT or not there:
        many = "s were" if rule.periods > 1 else " was"
        return f"Insufficient Data: {rule.periods} datapoint{many} unknown."
    breaches = COMPARISONS[rule.comparison]
    told = [v for v in there if breaches(v, rule.threshold) is (state == ALARM)] or there
    listed = ", ".join(str(float(v)) for v in told)
    verb = "s" if len(told) > 1 else ""
    was = ("were" if len(told) > 1 else "was") + ("" if state == ALARM else " not")
    return (
        f"Threshold Crossed: {len(told)} datapoint{verb} [{listed}] {was} "
        f"{WORDS[rule.comparison]} the threshold ({rule.threshold})."
    )
