"""Variants get their share of the traffic; replicas get what the others are too busy for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.traffic.routing import choose_replica, choose_variant

WEIGHTS = st.lists(st.floats(0, 1e6), min_size=1, max_size=10)
POINTS = st.floats(0, 1, exclude_max=True)


@given(WEIGHTS, POINTS)
def test_a_variant_without_weight_gets_no_traffic_while_another_has_some(
    weights: list[float], point: float
) -> None:
    chosen = choose_variant(weights, point)
    assert weights[chosen] > 0 or not any(weights)


def test_each_variant_gets_its_share() -> None:
    weights = [5.0, 0.0, 3.0, 2.0]
    points = [(i + 0.5) / 1000 for i in range(1000)]
    chosen = [choose_variant(weights, point) for point in points]
    assert [chosen.count(i) for i in range(4)] == [500, 0, 300, 200]


def test_variants_share_evenly_when_no_one_has_weight() -> None:
    chosen = [choose_variant([0.0, 0.0, 0.0, 0.0], i / 8) for i in range(8)]
    assert chosen == [0, 0, 1, 1, 2, 2, 3, 3]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=10), POINTS)
def test_the_chosen_replica_has_the_fewest_requests_under_way(
    outstanding: list[int], point: float
) -> None:
    assert outstanding[choose_replica(outstanding, point)] == min(outstanding)


def test_replicas_that_are_equally_busy_take_turns_by_chance() -> None:
    assert {choose_replica([1, 1, 1], i / 10) for i in range(10)} == {0, 1, 2}
