"""How many instances a variant should have: a decision from its metrics and policies.

As Application Auto Scaling documents it, and where it only says "gradually" so that capacity never
swings: a datapoint counts for the capacity that it was measured at, never for a later one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tidemill.traffic.alarm import Rule

COOLDOWN = 300.0
OUT_POINTS, IN_POINTS = 3, 15
"""Minutes above the target until it scales out, and well below it until it scales in."""
SLACK = 0.9
"""Scaling in begins below this part of the target."""
HIGH, LOW = "high", "low"
CHANGE, PERCENT, EXACT = "ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"
AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "Average": lambda values: math.fsum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
}

Point = tuple[float, float]
"""(time at which its period began, value)"""


@dataclass(frozen=True, slots=True)
class Scaled:
    """The last change of capacity, and when it took effect; ``after`` is the capacity now.

    cools: a policy did it, so that cooldowns follow
    """

    at: float
    before: int
    after: int
    cools: bool = True

    @property
    def grew(self) -> bool:
        """Whether there are more than before."""
        return self.after > self.before


@dataclass(frozen=True, slots=True)
class Tracking:
    """Keep a metric near a target. period: of its datapoints, in seconds · scales_in: or out only

    >>> Tracking(70.0, "Sum").high.threshold, Tracking(70.0, "Sum").low.threshold
    (70.0, 63.0)
    """

    target: float
    statistic: str
    out_cooldown: float = COOLDOWN
    in_cooldown: float = COOLDOWN
    scales_in: bool = True
    period: int = 60
    out_points: int = OUT_POINTS
    in_points: int = IN_POINTS

    @property
    def high(self) -> Rule:
        """When there are too few instances."""
        return self._rule("GreaterThanThreshold", self.target, self.out_points)

    @property
    def low(self) -> Rule:
        """When there may be too many."""
        return self._rule("LessThanThreshold", self.target * SLACK, self.in_points)

    def _rule(self, comparison: str, threshold: float, points: int) -> Rule:
        return Rule(comparison, threshold, self.statistic, self.period, points, points)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do when the metric is so far from the alarm's threshold; None is without bound."""

    adjustment: int
    lower: float | None = None
    upper: float | None = None

    def holds(self, distance: float) -> bool:
        """Whether it is for this distance; the bound nearer to the threshold belongs to it.

        >>> [Step(1, 0.0, 10.0).holds(d) for d in (-1.0, 0.0, 10.0)]
        [False, True, False]
        >>> [Step(-1, -10.0, 0.0).holds(d) for d in (-10.0, -5.0, -0.1)]
        [False, True, True]
        """
        lower = -math.inf if self.lower is None else self.lower
        upper = math.inf if self.upper is None else self.upper
        if distance == 0:
            return lower <= 0 <= upper
        return lower <= distance < upper if distance > 0 else lower < distance <= upper


@dataclass(frozen=True, slots=True)
class Stepping:
    """Change by steps when an alarm rings. kind: CHANGE, PERCENT or EXACT
    magnitude: the least change of PERCENT · aggregation: of the alarm's datapoints
    """

    kind: str
    steps: tuple[Step, ...]
    magnitude: int = 0
    cooldown: float = COOLDOWN
    aggregation: str = "Average"


def track(
    policy: Tracking, rings: str | None, points: Sequence[Point], last: Scaled, now: float
) -> int | None:
    """The count that one target wants; None when it has no say.

    rings: HIGH, LOW, or None · points: of the last periods, oldest first

    A target that is met, or whose metric is not known, wants what there is: others do not scale in
    below it. While a scale-out is young its gain counts as part of what is asked for.

    >>> policy, two = Tracking(100.0, "Sum"), Scaled(0.0, 2, 2)
    >>> track(policy, HIGH, [(540.0, 250.0)], two, 603.0)
    5
    >>> track(policy, HIGH, [(600.0, 250.0)], Scaled(606.0, 2, 5), 663.0)
    5
    >>> track(policy, LOW, [(480.0, 30.0), (540.0, 10.0)], Scaled(0.0, 9, 9), 603.0)
    3
    >>> track(policy, LOW, [(480.0, 30.0), (540.0, 10.0)], Scaled(400.0, 9, 8), 603.0)
    8
    >>> track(policy, HIGH, [(540.0, 250.0)], Scaled(0.0, 0, 0), 603.0)
    3
    """
    if rings == HIGH and points:
        return _grown(policy, points[-1], last, now)
    if not policy.scales_in:
        return None
    return _shrunk(policy, points, last, now) if rings == LOW else last.after


def _grown(policy: Tracking, point: Point, last: Scaled, now: float) -> int:
    at, value = point
    is_young = last.grew and last.cools and now - last.at < policy.out_cooldown
    capacity = last.before if is_young or at < last.at else last.after
    # Of no instance, the metric is told as that of one.
    return max(last.after, needed(max(1, capacity), value, policy.target))


def _shrunk(policy: Tracking, points: Sequence[Point], last: Scaled, now: float) -> int:
    """The highest datapoint since the last change says what is still needed."""
    fresh = [value for at, value in points if at >= last.at]
    if not fresh or _cools(last, now, policy.out_cooldown, policy.in_cooldown):
        return last.after
    return min(last.after, needed(last.after, max(fresh), policy.target))


def _cools(last: Scaled, now: float, out_cooldown: float, in_cooldown: float) -> bool:
    cooldown = out_cooldown if last.grew else in_cooldown
    return last.cools and last.after != last.before and now - last.at < cooldown


def needed(capacity: int, value: float, target: float) -> int:
    """The least count at which a metric per instance is at its target.

    >>> needed(2, 150.0, 100.0), needed(3, 100.0, 100.0), needed(4, 0.0, 100.0)
    (3, 3, 0)
    """
    return math.ceil(capacity * value / target - 1e-9)


def step(
    policy: Stepping, threshold: float, points: Sequence[Point], last: Scaled, now: float
) -> int | None:
    """The count that a step policy wants while its alarm rings; None when it has no say.

    points: those that the alarm was evaluated on, oldest first. During the cooldown of a scale-out
    only a larger one happens, and it counts from where the first began; none scales in.

    >>> policy = Stepping(CHANGE, (Step(1, 0.0, 10.0), Step(3, 10.0)))
    >>> step(policy, 50.0, [(540.0, 55.0)], Scaled(0.0, 2, 2), 603.0)
    3
    >>> step(policy, 50.0, [(600.0, 55.0)], Scaled(606.0, 2, 3), 663.0)
    3
    >>> step(policy, 50.0, [(600.0, 65.0)], Scaled(606.0, 2, 3), 663.0)
    5
    """
    if not points:
        return None
    told = AGGREGATIONS[policy.aggregation]([value for _, value in points])
    chosen = next((s for s in policy.steps if s.holds(told - threshold)), None)
    if chosen is None:
        return None
    is_stale = points[-1][0] < last.at
    is_young = last.cools and now - last.at < policy.cooldown
    base = last.before if last.grew and (is_young or is_stale) else last.after
    wanted = adjusted(policy, chosen.adjustment, base)
    if wanted < last.after and (is_stale or _cools(last, now, policy.cooldown, policy.cooldown)):
        return None if chosen.adjustment < 0 else last.after
    return wanted


def adjusted(policy: Stepping, by: int, capacity: int) -> int:
    """The capacity after one adjustment; parts of an instance are cut, but one at the least.

    >>> ten = Stepping(PERCENT, ())
    >>> [adjusted(ten, by, 5) - 5 for by in (10, 50, -10, -50)]
    [1, 2, -1, -2]
    >>> adjusted(Stepping(PERCENT, (), magnitude=2), 10, 5), adjusted(Stepping(EXACT, ()), 7, 5)
    (7, 7)
    """
    if policy.kind == EXACT:
        return by
    change = by
    if policy.kind == PERCENT and by:
        least = max(1, policy.magnitude)
        change = int(math.copysign(max(least, abs(capacity * by) // 100), by))
    return max(0, capacity + change)


def decide(
    wanted: Sequence[int | None],
    current: int,
    low: int,
    high: int,
    *,
    stays_out: bool = False,
    stays_in: bool = False,
) -> int:
    """The count to have: the largest wish, within bounds.

    stays_out, stays_in: scaling out, or in, is suspended

    >>> decide([3, None, 5], 2, 1, 4), decide([], 2, 3, 4), decide([1], 2, 1, 4, stays_in=True)
    (4, 3, 2)
    """
    wish = max((count for count in wanted if count is not None), default=current)
    found = min(max(wish, low), high)
    is_suspended = stays_out if found > current else stays_in
    return current if is_suspended else found
