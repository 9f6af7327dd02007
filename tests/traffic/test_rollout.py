"""How an update moves the traffic, as decisions."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import Invalid
from tidemill.spec.deployment import (
    ALL_AT_ONCE,
    CANARY,
    CAPACITY_PERCENT,
    INSTANCE_COUNT,
    LINEAR,
    ROLLING,
    Capacity,
    Deployment,
)
from tidemill.traffic import rollout as moves
from tidemill.traffic.rollout import Facts, Rollout, advance, begin, check, from_document, wanted

TEN = Capacity(CAPACITY_PERCENT, 10)
ONE = Capacity(INSTANCE_COUNT, 1)
kinds = st.sampled_from([CANARY, LINEAR, ROLLING])
sizes = st.builds(Capacity, st.just(CAPACITY_PERCENT), st.integers(10, 50))


def at(now: float, *, ready: bool = True, failure: str = "", alarming: str = "") -> Facts:
    return Facts(now, ready, failure, [alarming], emptied=True)


def settle(rollout: Rollout, facts: Facts) -> Rollout:
    while (after := advance(rollout, facts)) != rollout:
        rollout = after
    return rollout


def shares(deployment: Deployment, instances: int = 4) -> list[float]:
    """The share after each baking, and never anything lost on the way."""
    rollout, seen, now = begin(deployment, old=instances, new=instances, now=0.0), [], 0.0
    while rollout.stage != moves.DONE:
        rollout = settle(rollout, at(now))
        seen.append(rollout.share)
        now += moves.ACTIVATION if rollout.stage == moves.ACTIVATING else deployment.wait
        assert len(seen) < 100
    return list(dict.fromkeys(seen))


def test_all_at_once_is_over_when_the_new_fleet_is_ready() -> None:
    rollout = begin(Deployment(), old=2, new=2, now=0.0)
    assert settle(rollout, at(5.0, ready=False)) == rollout
    assert settle(rollout, at(5.0)).stage == moves.DONE


def test_a_canary_takes_its_size_and_then_the_rest() -> None:
    assert shares(Deployment(CANARY, TEN, wait=60.0)) == [0.1, 1.0]
    assert shares(Deployment(CANARY, ONE, wait=60.0)) == [0.25, 1.0]


def test_a_linear_shift_goes_step_by_step() -> None:
    third = Capacity(CAPACITY_PERCENT, 30)
    assert shares(Deployment(LINEAR, third, wait=60.0)) == [0.3, 0.6, 0.9, 1.0]


def test_a_shift_bakes_before_the_next() -> None:
    rollout = begin(Deployment(CANARY, TEN, wait=60.0), old=1, new=1, now=0.0)
    rollout = settle(rollout, at(1.0))
    assert (rollout.stage, rollout.share) == (moves.ACTIVATING, 0.1)
    rollout = settle(rollout, at(2.0))
    assert (rollout.stage, rollout.since) == (moves.BAKING, 2.0)
    assert settle(rollout, at(61.9)) == rollout
    assert settle(rollout, at(62.0)).share == 1.0


def test_the_old_fleet_is_kept_for_the_termination_wait() -> None:
    rollout = begin(Deployment(termination=30.0), old=2, new=2, now=0.0)
    rollout = settle(rollout, at(1.0))
    assert (rollout.stage, wanted(rollout, old=2, new=2)) == (moves.TERMINATING, (2, 2))
    assert settle(rollout, at(30.9)) == rollout
    assert wanted(settle(rollout, at(31.0)), old=2, new=2) == (0, 2)


def test_a_rolling_update_never_has_more_than_a_batch_too_many() -> None:
    rollout = begin(Deployment(ROLLING, ONE, wait=10.0), old=3, new=3, now=0.0)
    seen = [wanted(rollout, old=3, new=3)]
    for now in range(1, 50):
        rollout = settle(rollout, at(float(now)))
        seen.append(wanted(rollout, old=3, new=3))
    assert list(dict.fromkeys(seen)) == [(3, 1), (2, 2), (1, 3), (0, 3)]
    assert rollout.stage == moves.DONE


@pytest.mark.parametrize("stage", [moves.CREATING, moves.ACTIVATING, moves.BAKING])
def test_an_alarm_brings_the_traffic_back_at_once(stage: str) -> None:
    deployment = Deployment(CANARY, TEN, wait=60.0, alarms=("errors", "latency"))
    rollout = replace(begin(deployment, old=2, new=2, now=0.0), stage=stage, shifts=1, share=0.1)
    assert advance(rollout, at(0.1, ready=False, alarming="other")) == rollout
    back = advance(rollout, at(1.0, ready=False, alarming="latency"))
    assert (back.stage, back.share) == (moves.BACK, 0.0)
    assert "ALARM: latency." in back.reason
    assert wanted(back, old=2, new=2) == (2, 0)
    assert advance(back, replace(at(2.0), emptied=False)) == back
    assert advance(back, at(3.0)).stage == moves.UNDONE


def test_a_rolling_rollback_gives_back_what_the_old_fleet_bears_and_then_batch_by_batch() -> None:
    half = Capacity(CAPACITY_PERCENT, 50)
    deployment = Deployment(ROLLING, ONE, half, wait=60.0, alarms=("errors",))
    rollout = replace(
        begin(deployment, old=4, new=4, now=0.0), stage=moves.CREATING, shifts=3, share=0.75
    )
    assert wanted(rollout, old=4, new=4) == (1, 4)
    back = advance(rollout, at(1.0, alarming="errors"))
    assert (back.share, wanted(back, old=4, new=4)) == (0.75, (3, 3))
    assert advance(back, at(2.0, ready=False)) == back
    back = advance(back, at(3.0))
    assert (back.share, wanted(back, old=4, new=4)) == (0.25, (4, 1))
    assert settle(back, at(4.0)).stage == moves.UNDONE


def test_what_takes_too_long_is_rolled_back() -> None:
    deployment = Deployment(timeout=600.0)
    rollout = begin(deployment, old=1, new=1, now=0.0)
    assert settle(rollout, at(600.0, ready=False)) == rollout
    over = settle(rollout, at(600.1, ready=False))
    assert over.stage == moves.UNDONE
    assert "MaximumExecutionTimeoutInSeconds (600)" in over.reason


def test_a_fleet_that_cannot_start_is_given_up() -> None:
    rollout = begin(Deployment(), old=1, new=1, now=0.0)
    over = settle(rollout, at(1.0, ready=False, failure="no such model"))
    assert (over.stage, over.reason) == (moves.UNDONE, "no such model")


@given(kinds, sizes, st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
def test_each_fleet_always_bears_its_share(
    kind: str, size: Capacity, old: int, new: int, small: int
) -> None:
    """Whatever the sizes: what serves can bear it, and all of it is moved."""
    rollout = begin(Deployment(kind, size, wait=1.0), old=old, new=new, now=0.0)
    for now in range(60):
        rollout = advance(rollout, at(float(now)))
        for count in (old, min(small, old)):
            assert wanted(rollout, old=count, new=0)[0] >= count * (1 - rollout.share) - 1e-6
        for count in (new, min(small, new)):
            assert wanted(rollout, old=0, new=count)[1] >= count * rollout.share - 1e-6
    assert (rollout.stage, rollout.share) == (moves.DONE, 1.0)
    assert rollout.shifts == moves.shifts_in_all(rollout.deployment, new)


@pytest.mark.parametrize(
    ("deployment", "instances", "said"),
    [
        (Deployment(CANARY, ONE), 1, "CanarySize must be from 0% to 50%"),
        (Deployment(CANARY, Capacity(CAPACITY_PERCENT, 51)), 9, "got '51 CAPACITY_PERCENT'"),
        (Deployment(LINEAR, Capacity(CAPACITY_PERCENT, 9)), 9, "LinearStepSize must be from 10%"),
        (Deployment(LINEAR, ONE), 11, "instance count .11."),
        (Deployment(ROLLING, Capacity(CAPACITY_PERCENT, 4)), 9, "MaximumBatchSize must be from 5%"),
        (Deployment(ROLLING, Capacity(INSTANCE_COUNT, 2)), 3, "got '2 INSTANCE_COUNT'"),
        (Deployment(CANARY, TEN, wait=200, termination=200, timeout=600), 1, "total waiting time"),
    ],
)
def test_what_does_not_fit_is_refused(deployment: Deployment, instances: int, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        check(deployment, instances)


def test_what_fits_is_not_refused() -> None:
    check(Deployment(ALL_AT_ONCE, timeout=600.0), 1)
    check(Deployment(CANARY, ONE, timeout=601, wait=200, termination=200), 2)
    check(Deployment(LINEAR, ONE), 10)
    check(Deployment(ROLLING, ONE, Capacity(CAPACITY_PERCENT, 100)), 20)


@given(kinds, sizes, st.none() | sizes, st.lists(st.text(), max_size=2))
def test_a_rollout_is_the_same_read_back(
    kind: str, size: Capacity, back: Capacity | None, alarms: list[str]
) -> None:
    deployment = Deployment(kind, size, back, 1.0, 2.0, 600.0, tuple(alarms))
    rollout = begin(deployment, old=1, new=2, now=3.0)
    assert from_document(asdict(rollout)) == rollout
    assert from_document(None) is None
