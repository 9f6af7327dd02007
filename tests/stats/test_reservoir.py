"""The sample of a stream: uniform, the same however the stream is cut, and merged exactly."""

from __future__ import annotations

import numpy as np
import pytest

from tidemill.stats.reservoir import Reservoir, empty


def _sampled(rows: np.ndarray, size: int, batch: int, seed: int = 1) -> Reservoir:
    sample = empty(size, rows.shape[1])
    for at in range(0, len(rows), batch):
        part = rows[at : at + batch]
        sample = sample.add(part, np.zeros((len(part), 0), np.float32), seed)
    return sample


def _column(values: range) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_the_batch_size_does_not_matter(batch: int) -> None:
    rows = _column(range(1000))
    np.testing.assert_array_equal(
        _sampled(rows, 50, batch).rows, _sampled(rows, 50, len(rows)).rows
    )


def test_every_row_is_as_likely_as_any_other() -> None:
    rows = _column(range(100))
    hits = np.zeros(100)
    for seed in range(2000):
        hits[_sampled(rows, 10, 100, seed).rows[:, 0].astype(int)] += 1
    # 200 expected of each, with a standard deviation of 13.4.
    assert abs(hits - 200).max() < 5 * 13.4


def test_merging_is_associative_and_keeps_the_smallest_keys() -> None:
    a, b, c = (_sampled(_column(range(s, s + 300)), 40, 64) for s in (0, 1000, 2000))
    left, right = a.merge(b).merge(c), a.merge(b.merge(c))
    np.testing.assert_array_equal(left.rows, right.rows)
    every = np.sort(np.concatenate([a.keys, b.keys, c.keys]))
    np.testing.assert_array_equal(left.keys, every[:40])
    assert left.seen == 900


def test_an_empty_sample_changes_nothing() -> None:
    some = _sampled(_column(range(30)), 8, 10)
    for merged in (some.merge(empty(8, 1)), empty(8, 1).merge(some)):
        np.testing.assert_array_equal(merged.rows, some.rows)


def test_a_smaller_size_is_the_sample_that_it_would_have_been() -> None:
    rows = _column(range(500))
    small = _sampled(rows, 60, 64).resized(20)
    np.testing.assert_array_equal(small.rows, _sampled(rows, 20, 64).rows)


def test_rows_that_come_after_reopening_draw_other_keys() -> None:
    rows = _column(range(50))
    first = _sampled(rows, 200, 50)
    again = first.reopened().add(rows, np.zeros((50, 0), np.float32), 1)
    assert len(np.unique(again.keys)) == 100


def test_labels_stay_with_their_rows() -> None:
    rows = _column(range(200))
    sample = empty(20, 1, labels=1).add(rows, rows * 2, 3)
    np.testing.assert_array_equal(sample.labels, sample.rows * 2)


@pytest.mark.parametrize("size", [2000, 5000])
def test_a_large_sample_is_sifted_now_and_then_and_is_the_same(size: int) -> None:
    rows = _column(range(20_000))
    sample = _sampled(rows, size, 300)
    np.testing.assert_array_equal(sample.rows, _sampled(rows, size, 20_000).rows)
    assert sum(map(len, sample.parts)) <= size + size // 8
    assert len(sample) == size


def test_rows_that_come_one_by_one_leave_few_parts() -> None:
    assert len(_sampled(_column(range(3000)), 5000, 1).parts) < 13


def test_a_larger_sample_grows_with_new_rows_and_favours_none() -> None:
    kept_old, kept_new = 0, 0
    for seed in range(300):
        sample = _sampled(_column(range(400)), 20, 50, seed).reopened().resized(80)
        assert len(sample) == 20
        later = sample.add(_column(range(400, 800)), np.zeros((400, 0), np.float32), seed)
        kept_old += int((later.rows < 400).sum())
        kept_new += int((later.rows >= 400).sum())
    # 20 of each expected a seed, the newcomers' number with a deviation of some 6 around it.
    assert kept_old == 300 * 20
    assert abs(kept_new / 300 - 20) < 5 * 6 / 300**0.5


def test_adding_and_merging_leave_what_they_are_given_alone() -> None:
    rows = _column(range(3000))
    sample = _sampled(rows[:2000], 1500, 500)
    before = sample.rows.copy()
    sample.add(rows[2000:], np.zeros((1000, 0), np.float32), 1)
    sample.merge(_sampled(rows, 1500, 64))
    np.testing.assert_array_equal(sample.rows, before)
    rows[:] = -1
    np.testing.assert_array_equal(sample.rows, before)


@pytest.mark.parametrize("size", [10, 5000])
def test_the_places_say_which_rows_of_the_stream_they_are(size: int) -> None:
    rows = _column(range(1000))
    sample = _sampled(rows, size, 64, seed=5)
    np.testing.assert_array_equal(rows[sample.places(5)], sample.rows)


def test_rows_left_out_of_one_large_batch_bound_what_comes() -> None:
    sample = _sampled(_column(range(4000)), 100, 4000)
    assert sample.bound == int(sample.keys[-1])
    assert 0.02 < sample.bound / 2**64 < 0.03
