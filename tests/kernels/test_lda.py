"""The kernel of lda: arithmetic as NumPy does it, and nothing read that is not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tidemill.kernels import lda as kernel


def sparse(rows: Any) -> tuple[Any, Any, Any]:
    rows = np.asarray(rows, np.float32)
    where = np.nonzero(rows)
    indptr = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.bincount(where[0], minlength=len(rows)), out=indptr[1:])
    return indptr, where[1].astype(np.int64), rows[where]


def documents(rows: Any) -> kernel.Documents:
    return kernel.index(*sparse(rows), np.shape(rows)[1])


def some(rows: int, words: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).poisson(0.7, (rows, words)).astype(np.float32)


def test_words_are_numbered_in_order_and_know_their_entries() -> None:
    found = documents([[0, 2, 0, 1], [0, 0, 0, 0], [0, 5, 0, 0]])
    assert found.words.tolist() == [1, 3]
    assert found.ids.tolist() == [0, 1, 0]
    assert found.starts.tolist() == [0, 2, 3]
    assert found.order.tolist() == [0, 2, 1]
    assert found.row_of.tolist() == [0, 2, 0]
    assert found.lengths.tolist() == [3, 0, 5]
    assert len(found) == 3


@pytest.mark.parametrize(
    ("entry", "index", "value"),
    [(0, 4, 1.0), (1, -1, 1.0), (2, 0, -1.0), (2, 0, np.nan), (1, 1, np.inf), (0, 0, 2e9)],
)
def test_what_is_no_count_of_a_word_is_found(entry: int, index: int, value: float) -> None:
    indptr, indices = np.array([0, 1, 3], np.int64), np.array([1, 2, 3], np.int64)
    values = np.ones(3, np.float32)
    indices[entry], values[entry] = index, value
    with pytest.raises(kernel.Fault, match=f"entry {entry}") as told:
        kernel.index(indptr, indices, values, 4)
    assert told.value.entry == entry


@pytest.mark.parametrize("indptr", [[0, 2, 1, 3], [1, 2, 3], [0, 2, 4], [0, 1], [0, -1, 3], []])
def test_pointers_that_do_not_fit_are_refused(indptr: list[int]) -> None:
    with pytest.raises(ValueError, match="indptr"):
        kernel.index(np.array(indptr, np.int64), np.zeros(3, np.int64), np.ones(3, np.float32), 4)


def test_arrays_that_do_not_fit_are_refused() -> None:
    found = documents(some(4, 6))
    basis, out = np.ones((6, 2), np.float32), np.empty((4, 2), np.float32)
    for first, last, narrow, given in (
        (0, 5, basis, out),
        (-1, 2, basis, out),
        (0, 4, basis[:3].copy(), out),
        (0, 4, basis, out[:2].copy()),
    ):
        with pytest.raises(ValueError, match="fit"):
            kernel.project(found, first, last, narrow, given)
    words, prior = len(found.words), np.ones(3, np.float32)
    told = np.empty((4, 3), np.float32), np.empty(len(found.values), np.float32), np.empty(4)
    with pytest.raises(ValueError, match="fit"):
        kernel.mixtures(found, 0, 4, np.ones((words - 1, 3), np.float32), prior, 5, 0.0, told)
    with pytest.raises(ValueError, match="fit"):
        kernel.add_counts(
            found, 0, words, told[1], told[0], np.ones((words, 3), np.float32), np.zeros((2, 3))
        )


def test_moments_are_those_of_numpy() -> None:
    rows = some(50, 9)
    found, draws = documents(rows), np.random.default_rng(1)
    basis = draws.normal(size=(9, 5)).astype(np.float32)
    seen = np.empty((50, 5), np.float32)
    for first, last in ((0, 7), (7, 50)):
        kernel.project(found, first, last, basis, seen)
    assert_allclose(seen, rows @ basis, rtol=1e-5, atol=1e-5)
    ones, pairs, triples = np.zeros(9), np.zeros((9, 5)), np.zeros((9, 5))
    weights = tuple(draws.random((3, 50)))
    for first, last in ((4, len(found.words)), (0, 4)):
        kernel.add_moments(found, first, last, seen, weights, basis, (ones, pairs, triples))
    assert_allclose(ones, weights[0] @ rows, rtol=1e-6)
    for sums, weight, share in ((pairs, weights[1], 1.0), (triples, weights[2], 2 / 3)):
        heavy = rows * weight[:, None]
        assert_allclose(
            sums, heavy.T @ seen - share * heavy.sum(axis=0)[:, None] * basis, rtol=1e-5, atol=1e-4
        )


@pytest.mark.parametrize(("words", "topics"), [(5, 1), (16, 3), (17, 4), (100, 21)])
def test_mixtures_are_the_fixed_point(words: int, topics: int) -> None:
    rows, draws = some(20, words, words), np.random.default_rng(2)
    rows[3] = 0
    found = documents(rows)
    table = draws.dirichlet(np.ones(words), topics).T
    prior = draws.random(topics).astype(np.float32) + 0.1
    told = (
        np.empty((20, topics), np.float32),
        np.empty(len(found.values), np.float32),
        np.empty(20),
    )
    chances = table[found.words].astype(np.float32)
    for first, last in ((0, 11), (11, 11), (11, 20)):
        kernel.mixtures(found, first, last, chances, prior, 7, 0.0, told)
    mixtures = prior + rows.sum(axis=1, keepdims=True).astype(np.float64) / topics
    for _ in range(7):
        mixtures = prior + mixtures * ((rows / (mixtures @ table.T)) @ table)
    empty = rows.sum(axis=1) == 0
    mixtures[empty] = prior
    assert_allclose(told[0], mixtures, rtol=1e-4)
    likely = mixtures @ table.T
    assert_allclose(told[1], (rows / likely)[np.nonzero(rows)], rtol=1e-4)
    scaled = likely / mixtures.sum(axis=1, keepdims=True)
    assert_allclose(told[2], (rows * np.log(scaled)).sum(axis=1), rtol=1e-5)
    assert_array_equal(told[2][empty], 0)


def test_mixtures_that_stand_still_are_done() -> None:
    found = documents(np.full((1, 2), 4, np.float32))
    chances, prior = np.array([[0.9, 0.1], [0.1, 0.9]], np.float32), np.ones(2, np.float32)
    sooner, later = (
        (np.empty((1, 2), np.float32), np.empty(2, np.float32), np.empty(1)) for _ in range(2)
    )
    kernel.mixtures(found, 0, 1, chances, prior, 1, 0.1, sooner)
    kernel.mixtures(found, 0, 1, chances, prior, 10**9, 0.1, later)
    assert_array_equal(sooner[0], later[0])


def test_counts_are_those_of_numpy() -> None:
    rows, draws = some(40, 12), np.random.default_rng(3)
    found = documents(rows)
    words = len(found.words)
    chances = draws.random((words, 3)).astype(np.float32)
    mixtures = draws.random((40, 3)).astype(np.float32)
    ratios = draws.random(len(found.values)).astype(np.float32)
    fresh = np.zeros((12, 3))
    totals = [
        kernel.add_counts(found, first, last, ratios, mixtures, chances, fresh)
        for first, last in ((0, 5), (5, words))
    ]
    dense = np.zeros((40, 12))
    dense[np.nonzero(rows)] = ratios
    wanted = (dense.T @ mixtures)[found.words] * chances
    assert_allclose(fresh[found.words], wanted, rtol=1e-5)
    assert_allclose(sum(totals), wanted.sum(axis=0), rtol=1e-5)


def test_chances_are_smoothed_shares() -> None:
    found, draws = documents([[0, 1, 0, 2], [1, 0, 0, 0]]), np.random.default_rng(4)
    base, past = draws.random((2, 4, 3)).astype(np.float32)
    fresh, inverse = draws.random((4, 3)), draws.random(3)
    out = np.empty((3, 3), np.float32)
    kernel.chances(found, 0, 3, (base, past, fresh), 0.25, 0.01, inverse, out)
    wanted = (base + 0.25 * past + fresh + 0.01) * inverse
    assert_allclose(out, wanted[[0, 1, 3]], rtol=1e-6)


def test_no_documents_are_no_work() -> None:
    found = documents(np.zeros((0, 4)))
    assert len(found) == 0
    told = np.empty((0, 2), np.float32), np.empty(0, np.float32), np.empty(0)
    kernel.mixtures(found, 0, 0, np.empty((0, 2), np.float32), np.ones(2, np.float32), 3, 0.0, told)
