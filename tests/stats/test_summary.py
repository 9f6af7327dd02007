from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.stats.summary import Summary, from_bytes, merged

VALUES = st.lists(st.floats(-1e9, 1e9), max_size=40)


@given(VALUES)
def test_bytes_hold_all_of_it(values: list[float]) -> None:
    summary = Summary.of(values)
    assert from_bytes(summary.to_bytes()) == summary


@given(VALUES, VALUES)
def test_merging_is_summing_up_both(one: list[float], two: list[float]) -> None:
    both, whole = Summary.of(one).merge(Summary.of(two)), Summary.of([*one, *two])
    assert (both.count, both.low, both.high) == (whole.count, whole.low, whole.high)
    assert both.sketch == whole.sketch
    assert both.total == pytest.approx(whole.total, abs=1e-3)
    assert Summary().merge(both) == both == both.merge(Summary())


def test_quantiles_keep_within_the_ends() -> None:
    summary = Summary.of([float(n) for n in range(1, 101)])
    assert summary.quantile(0.0) == 1.0
    assert summary.quantile(1.0) == 100.0
    assert summary.quantile(0.5) == pytest.approx(50, rel=0.01)


def test_totals_alone_have_no_quantiles_unless_all_values_are_one() -> None:
    told = Summary.told(10, 50.0, 1.0, 9.0)
    assert told.quantile(0.5) is None
    assert told.merge(Summary.of([1.0])).quantile(0.5) is None
    assert Summary.told(10, 50.0, 5.0, 5.0).quantile(0.9) == pytest.approx(5.0)
    assert from_bytes(told.to_bytes()) == told


def test_nothing_is_a_summary_too() -> None:
    assert merged([]) == Summary() == from_bytes(Summary().to_bytes())
    assert Summary().mean == 0.0
    assert Summary().quantile(0.5) is None
    assert math.isinf(Summary().low)
    assert Summary.of([1.0], [0]) == Summary()


def test_a_constant_takes_few_bytes() -> None:
    assert len(Summary.of([7.0] * 1000).to_bytes()) == 32
