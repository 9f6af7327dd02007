from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.stats.quantiles import ACCURACY, MOST_BUCKETS, Sketch

# Within the sizes that the buckets of one sign span.
VALUES = st.lists(
    st.one_of(
        st.just(0.0),
        st.floats(1e-6, 1e9),
        st.floats(-1e9, -1e-6),
    ),
    min_size=1,
    max_size=60,
)
ANY = st.lists(st.floats(-1e300, 1e300), max_size=30)
FRACTIONS = st.floats(0.0, 1.0)


def true_quantile(values: list[float], fraction: float) -> float:
    return sorted(values)[math.floor(fraction * (len(values) - 1))]


@given(VALUES, FRACTIONS)
def test_a_quantile_is_within_one_percent_of_the_true_one(values: list[float], q: float) -> None:
    true = true_quantile(values, q)
    found = Sketch.of(values).quantile(q)
    assert abs(found - true) <= ACCURACY * abs(true) * (1 + 1e-6)


@given(ANY, ANY, ANY)
def test_merging_is_associative_and_commutative(
    one: list[float], two: list[float], three: list[float]
) -> None:
    a, b, c = Sketch.of(one), Sketch.of(two), Sketch.of(three)
    assert a.merge(b).merge(c) == a.merge(b.merge(c)) == c.merge(b).merge(a)
    assert a.merge(b).merge(c) == Sketch.of([*one, *two, *three])
    assert Sketch().merge(a) == a.merge(Sketch()) == a


@given(ANY)
def test_the_number_of_buckets_is_bounded(values: list[float]) -> None:
    sketch = Sketch.of(values)
    assert sketch.count == len(values)
    for side in (sketch.positive, sketch.negative):
        assert not side or max(side) - min(side) < MOST_BUCKETS


def test_values_of_all_sizes_still_count_and_large_ones_stay_exact_enough() -> None:
    sketch = Sketch.of([10.0**e for e in range(-300, 301)])
    assert sketch.count == 601
    assert sketch.quantile(1.0) == pytest.approx(1e300, rel=ACCURACY)
    assert sketch.quantile(0.99) == pytest.approx(1e294, rel=ACCURACY)


def test_counts_stand_for_repeated_values() -> None:
    assert Sketch.of([1.0, 5.0], [3, 2]) == Sketch.of([1.0, 1.0, 1.0, 5.0, 5.0])


@given(VALUES, VALUES)
def test_what_came_since_is_the_difference(before: list[float], after: list[float]) -> None:
    earlier = Sketch.of(before)
    assert earlier.merge(Sketch.of(after)).minus(earlier) == Sketch.of(after)


def test_of_nothing_there_is_no_quantile() -> None:
    assert math.isnan(Sketch().quantile(0.5))
