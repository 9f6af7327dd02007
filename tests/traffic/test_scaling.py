"""Laws of scaling: whatever the metric does, and a load that a fleet follows."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.traffic.alarm import ALARM, INSUFFICIENT, Rule, evaluate
from tidemill.traffic.scaling import (
    CHANGE,
    EXACT,
    HIGH,
    LOW,
    PERCENT,
    Point,
    Scaled,
    Step,
    Stepping,
    Tracking,
    adjusted,
    decide,
    needed,
    step,
    track,
)

COUNTS = st.integers(1, 50)
VALUES = st.floats(0.0, 1e4)
TARGETS = st.floats(0.5, 500.0)
TIMES = st.floats(0.0, 2000.0)
NOW = 10_000.0


def rings(policy: Tracking, points: list[float]) -> str | None:
    """What the two alarms of a policy say."""

    def state(rule: Rule) -> str:
        told = [None] * (rule.periods + 2 - len(points)) + points
        return evaluate(rule, told[-rule.periods - 2 :], INSUFFICIENT)

    if state(policy.high) == ALARM:
        return HIGH
    return LOW if state(policy.low) == ALARM else None


def wanted(policy: Tracking, values: list[float], last: Scaled, now: float = NOW) -> int | None:
    """By the values of the minutes up to now."""
    first = now - 60.0 * len(values)
    points: list[Point] = [(first + 60.0 * n, value) for n, value in enumerate(values)]
    return track(policy, rings(policy, values), points, last, now)


@given(VALUES, VALUES, TARGETS, COUNTS)
def test_more_of_the_metric_never_wants_less(a: float, b: float, target: float, n: int) -> None:
    policy, last = Tracking(target, "Sum"), Scaled(0.0, n, n)
    less, more = (wanted(policy, [value] * 15, last) for value in sorted((a, b)))
    assert less is not None
    assert more is not None
    assert less <= more


@given(st.lists(VALUES, min_size=15, max_size=15), TARGETS, COUNTS)
def test_what_is_left_after_scaling_in_is_enough_for_every_minute_seen(
    values: list[float], target: float, n: int
) -> None:
    found = wanted(Tracking(target, "Sum"), values, Scaled(0.0, n, n))
    if found is not None and found < n:
        assert max(values) * n <= (found + 1e-6) * target


@given(st.lists(VALUES, min_size=15, max_size=15), TARGETS, st.data())
def test_nothing_scales_in_within_a_cooldown(
    values: list[float], target: float, data: st.DataObject
) -> None:
    before, after = data.draw(st.lists(COUNTS, min_size=2, max_size=2, unique=True))
    last = Scaled(NOW - data.draw(st.floats(0.0, 299.0)), before, after)
    found = wanted(Tracking(target, "Sum"), values, last)
    assert found is not None
    assert found >= after
    down = Stepping(EXACT, (Step(0),))
    points = [(NOW - 60.0, values[-1])]
    assert (step(down, target, points, last, NOW) or after) >= after


@given(TARGETS, COUNTS, COUNTS, st.floats(0.0, 299.0), VALUES)
def test_the_same_load_scales_out_once_a_cooldown(
    target: float, before: int, more: int, ago: float, value: float
) -> None:
    grown = max(before + more, needed(before, value, target))
    last = Scaled(NOW - ago, before, grown)
    assert wanted(Tracking(target, "Sum"), [value] * 3, last) == grown


@given(st.lists(st.one_of(st.none(), st.integers(-5, 100))), COUNTS, st.data())
def test_the_count_is_always_within_bounds(
    wishes: list[int | None], current: int, data: st.DataObject
) -> None:
    low, high = sorted(data.draw(st.tuples(COUNTS, COUNTS)))
    found = decide(wishes, current, low, high)
    assert low <= found <= high
    assert found >= min(high, max((w for w in wishes if w is not None), default=low))
    assert decide(wishes, current, low, high, stays_out=True) <= max(current, found)
    assert decide(wishes, current, low, high, stays_out=True, stays_in=True) == current


@given(st.sampled_from([CHANGE, PERCENT, EXACT]), st.integers(-300, 300), COUNTS, COUNTS)
def test_adjustments_go_the_way_they_say(kind: str, by: int, n: int, magnitude: int) -> None:
    found = adjusted(Stepping(kind, (), magnitude=magnitude), by, n)
    if kind == EXACT:
        assert found == by
    elif by:
        assert found >= 0
        assert math.copysign(1, found - n) == math.copysign(1, by)
        assert kind == CHANGE or abs(found - n) >= min(magnitude, n if by < 0 else magnitude)


@pytest.mark.parametrize("cooldown", [0.0, 120.0, 300.0])
def test_a_fleet_follows_its_load_without_swinging(cooldown: float) -> None:
    """Three loads, each for an hour; the metric is the mean over the instances of each minute."""
    policy = Tracking(60.0, "Sum", out_cooldown=cooldown, in_cooldown=cooldown)
    last, values, counts = Scaled(0.0, 1, 1), list[float](), list[int]()
    for minute in range(180):
        values = [*values, (40.0, 600.0, 130.0)[minute // 60] / last.after][-17:]
        now = 60.0 * minute + 63.0
        found = wanted(policy, values, last, now - 3.0)
        count = decide([found], last.after, 1, 20)
        if count != last.after:
            last = Scaled(now + 1.0, last.after, count)
        counts.append(count)
    changes = [b for a, b in zip([1, *counts], counts, strict=False) if a != b]
    assert changes == [10, 3]


def test_what_is_not_known_scales_nothing() -> None:
    policy, five = Tracking(60.0, "Sum"), Scaled(0.0, 5, 5)
    assert track(policy, None, [], five, NOW) == 5
    assert track(policy, HIGH, [], five, NOW) == 5
    assert track(policy, LOW, [], five, NOW) == 5
    out_only = Tracking(60.0, "Sum", scales_in=False)
    assert track(out_only, LOW, [(NOW - 60.0, 0.0)], five, NOW) is None
    assert step(Stepping(CHANGE, (Step(1),)), 5.0, [], five, NOW) is None


def test_a_step_is_chosen_by_the_distance_from_the_threshold() -> None:
    steps = (Step(-2, None, -10.0), Step(-1, -10.0, 0.0), Step(1, 0.0, 10.0), Step(3, 10.0))
    policy, five = Stepping(CHANGE, steps), Scaled(0.0, 5, 5)
    found = [
        step(policy, 50.0, [(NOW, value)], five, NOW)
        for value in (0.0, 40.0, 49.0, 50.0, 59.0, 60.0)
    ]
    assert found == [3, 3, 4, 4, 6, 8]


@pytest.mark.parametrize(("how", "count"), [("Average", 6), ("Minimum", 4), ("Maximum", 8)])
def test_datapoints_are_aggregated_as_the_policy_says(how: str, count: int) -> None:
    steps = (Step(-1, None, 0.0), Step(1, 0.0, 10.0), Step(3, 10.0))
    policy = Stepping(CHANGE, steps, aggregation=how)
    points = [(NOW - 120.0, 45.0), (NOW - 60.0, 65.0)]
    assert step(policy, 50.0, points, Scaled(0.0, 5, 5), NOW) == count
