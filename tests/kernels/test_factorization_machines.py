"""Factorization machines in C against the formulas written out, row by row and pair by pair."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tidemill.kernels import factorization_machines as kernel
from tidemill.kernels.factorization_machines import (
    FIRST,
    HEAD,
    SECOND,
    SEEN,
    WEIGHT,
    Fault,
    Rows,
    Trainer,
    checked,
    scores,
    stride_of,
    tally,
    width_of,
)

Doubles = NDArray[np.float64]
COLUMNS = 9
SETTINGS = np.array([0.05, 0.03, 0.02, 0.01, 0.1, 0.001, 1e-8, np.inf], np.float32)


def sparse(dense: NDArray[Any]) -> Rows:
    row, column = np.nonzero(dense)
    indptr = np.append(0, np.cumsum(np.bincount(row, minlength=len(dense)))).astype(np.int64)
    values = dense[row, column].astype(np.float32)
    return checked(indptr, column.astype(np.int64), values, dense.shape[1])


def some(rows: int, seed: int = 0) -> Doubles:
    """Rows of which some are empty, and some columns of which no row has anything."""
    draws = np.random.default_rng(seed)
    dense = draws.normal(size=(rows, COLUMNS)) * (draws.random((rows, COLUMNS)) < 0.4)
    dense[::5] = 0
    dense[:, 4] = 0
    return dense


def by_pairs(dense: Doubles, bias: float, linear: Doubles, factors: Doubles) -> Doubles:
    found = bias + dense @ linear
    for i, j in itertools.combinations(range(dense.shape[1]), 2):
        found += (factors[i] @ factors[j]) * dense[:, i] * dense[:, j]
    return found


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 13, 16, 23, 32, 47])
def test_scores_are_the_sum_over_all_pairs(width: int) -> None:
    draws, dense = np.random.default_rng(width), some(40)
    linear, factors = draws.normal(size=COLUMNS), draws.normal(size=(COLUMNS, width))
    got = scores(linear.astype(np.float32), factors.astype(np.float32), 0.5, sparse(dense))
    np.testing.assert_allclose(got, by_pairs(dense, 0.5, linear, factors), rtol=1e-4, atol=1e-4)


class Reference:
    """The same steps in float64 and dense, with slopes by the formulas of Rendle (2010)."""

    def __init__(self, records: NDArray[np.float32], factors: int) -> None:
        width = (records.shape[1] - HEAD) // 3
        exact = records.astype(np.float64)
        self.linear = exact[:, WEIGHT].copy()
        self.factors = exact[:, HEAD : HEAD + factors].copy()
        self.bias = np.zeros(1)
        self.moments = {
            name: [np.zeros_like(of), np.zeros_like(of)]
            for name, of in (
                ("bias", self.bias), ("linear", self.linear), ("factors", self.factors)
            )
        }  # fmt: skip
        assert width >= factors

    def step(
        self, dense: Doubles, slope_of: Any, labels: Any, weights: Any, settings: Any, pace: Any
    ) -> Doubles:
        scale, rate, linear_wd, factors_wd = pace.astype(np.float64)
        said = by_pairs(dense, self.bias[0], self.linear, self.factors)
        slopes = slope_of(said, labels) * weights * scale
        sums = dense @ self.factors
        of_factors = np.einsum("r,ri,rf->if", slopes, dense, sums)
        of_factors -= self.factors * np.einsum("r,ri->i", slopes, dense**2)[:, None]
        touched = (dense != 0).any(axis=0)
        every = np.ones(1, np.bool_)
        for name, of, slope, lr, wd, where in (
            ("linear", self.linear, dense.T @ slopes, settings[1], linear_wd, touched),
            ("factors", self.factors, of_factors, settings[2], factors_wd, touched),
            ("bias", self.bias, slopes.sum(keepdims=True), settings[0], settings[3], every),
        ):
            first, second = self.moments[name]
            whole = np.clip(slope + wd * of, -settings[7], settings[7])
            first[where] += 0.1 * (whole - first)[where]
            second[where] += 0.001 * (whole**2 - second)[where]
            moved = lr * rate * first / (np.sqrt(second) + settings[6])
            of[where] -= moved[where]
        return said


def squared(said: Doubles, labels: Doubles) -> Doubles:
    return said - labels


def logistic(said: Doubles, labels: Doubles) -> Doubles:
    return 1 / (1 + np.exp(-said)) - labels


def begin(factors: int, seed: int = 1) -> NDArray[np.float32]:
    records = np.zeros((COLUMNS, stride_of(width_of(factors))), np.float32)
    draws = np.random.default_rng(seed)
    records[:, WEIGHT] = draws.normal(size=COLUMNS)
    records[:, HEAD : HEAD + factors] = draws.normal(size=(COLUMNS, factors)) * 0.5
    return records


@pytest.mark.parametrize("factors", [1, 4, 7, 16, 25])
@pytest.mark.parametrize("is_logistic", [False, True])
@pytest.mark.parametrize("clip", [np.inf, 0.02])
def test_steps_are_those_of_adam_on_the_features_that_occur(
    factors: int, is_logistic: bool, clip: float
) -> None:
    dense, draws = some(50), np.random.default_rng(2)
    labels = (draws.random(50) < 0.5).astype(np.float32)
    weights = draws.random(50).astype(np.float32)
    paces = np.column_stack([np.full(4, 1 / 15), [0.3, 0.4, 0.5, 0.6], [0.1] * 4, [0.2] * 4])
    records, bias = begin(factors), np.zeros(HEAD, np.float32)
    reference, settings = Reference(records, factors), SETTINGS.copy()
    settings[7] = clip
    slope_of, size = logistic if is_logistic else squared, 15
    said = []
    for at, pace in zip(range(0, 50, size), paces, strict=True):
        cut = slice(at, at + size)
        said.append(reference.step(dense[cut], slope_of, labels[cut], weights[cut], settings, pace))
    trainer = Trainer(COLUMNS, width_of(factors), is_logistic)
    got = trainer.learn(
        records, bias, sparse(dense), labels, weights, 15, settings, paces.astype(np.float32)
    )
    near = {"rtol": 1e-3, "atol": 2e-4}
    np.testing.assert_allclose(got, np.concatenate(said), **near)
    np.testing.assert_allclose(records[:, WEIGHT], reference.linear, **near)
    np.testing.assert_allclose(records[:, HEAD : HEAD + factors], reference.factors, **near)
    np.testing.assert_allclose(bias[WEIGHT], reference.bias[0], **near)
    np.testing.assert_allclose(records[:, FIRST], reference.moments["linear"][0], **near)
    np.testing.assert_allclose(records[:, SECOND], reference.moments["linear"][1], **near)
    np.testing.assert_array_equal(records[:, SEEN], (dense != 0).sum(axis=0))
    assert bias[SEEN] == 50


def test_what_no_row_has_is_left_as_it_is() -> None:
    records, dense = begin(6), some(30)
    before = records.copy()
    learned(records, sparse(dense), 30)
    np.testing.assert_array_equal(records[4], before[4])
    touched = (dense != 0).any(axis=0)
    assert (records[touched] != before[touched]).any(axis=1).all()


def learned(
    records: NDArray[np.float32], rows: Rows, size: int, each: Any = map, seed: int = 0
) -> NDArray[np.float32]:
    """Steps of the logistic loss; returns the scores before them."""
    labels = (np.random.default_rng(seed).random(len(rows)) < 0.5).astype(np.float32)
    paces = np.full((-(-len(rows) // size), 4), 0.1, np.float32)
    width = (records.shape[1] - HEAD) // 3
    bias = np.zeros(HEAD, np.float32)
    trainer = Trainer(len(records), width, True)
    found = trainer.learn(records, bias, rows, labels, None, size, SETTINGS, paces, each)
    return np.append(found, bias)


@pytest.mark.parametrize("cores", [1, 3])
@pytest.mark.parametrize("factors", [3, 20])
def test_cores_that_share_a_mini_batch_give_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, cores: int, factors: int
) -> None:
    rows, alone, shared = sparse(some(200)), begin(factors), begin(factors)
    wanted = learned(alone, rows, 64)
    monkeypatch.setattr(kernel, "WORTH_SHARING", 1)
    monkeypatch.setattr(kernel, "_BLOCK", 100)
    with ThreadPoolExecutor(cores) as pool:
        got = learned(shared, rows, 64, pool.map)
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(shared, alone)


def test_room_grows_with_the_mini_batches() -> None:
    trainer, records = Trainer(COLUMNS, width_of(3), True), begin(3)
    bias = np.zeros(HEAD, np.float32)
    for count in (1, 50, 5, 200):
        rows, labels = sparse(some(count, seed=count)), np.ones(count, np.float32)
        paces = np.full((-(-count // 64), 4), 0.1, np.float32)
        trainer.learn(records, bias, rows, labels, None, 64, SETTINGS, paces)
    assert np.isfinite(records).all()


@given(
    st.lists(st.lists(st.integers(-1, 5), max_size=4), max_size=5),
    st.sampled_from([1.0, 0.0, np.nan, np.inf, -2.5]),
)
def test_faults_of_sparse_rows_are_found(columns: list[list[int]], value: float) -> None:
    indices = np.array([c for row in columns for c in row], np.int64)
    indptr = np.append(0, np.cumsum([len(row) for row in columns])).astype(np.int64)
    values = np.ones(len(indices), np.float32)
    values[-1:] = value
    wanted = Fault(0)
    if any(b <= a for row in columns for a, b in itertools.pairwise(row)):
        wanted |= Fault.TANGLED
    if len(values) and value == 0:
        wanted |= Fault.ZEROS
    if len(values) and not np.isfinite(value):
        wanted |= Fault.NOT_FINITE
    if any(not 0 <= c < 5 for row in columns for c in row):
        with pytest.raises(IndexError, match="from 0 to 4"):
            checked(indptr, indices, values, 5)
        return
    assert checked(indptr, indices, values, 5).faults == wanted


@pytest.mark.parametrize("indptr", [[0, 3, 2], [1, 2, 2], [0, 1, 5], [0, -1, 2]])
def test_rows_that_do_not_follow_one_another_are_refused(indptr: list[int]) -> None:
    with pytest.raises(IndexError):
        checked(np.array(indptr), np.zeros(2, np.int64), np.ones(2, np.float32), 5)


def test_arrays_that_do_not_fit_are_refused() -> None:
    rows, records, bias = sparse(some(10)), begin(3), np.zeros(HEAD, np.float32)
    labels, paces = np.zeros(10, np.float32), np.ones((1, 4), np.float32)
    good: dict[str, Any] = {
        "records": records, "bias": bias, "rows": rows, "labels": labels, "weights": None,
        "size": 10, "settings": SETTINGS, "paces": paces,
    }  # fmt: skip
    still = records.copy()
    still.flags.writeable = False
    for name, bad in (
        ("records", records[:5]),
        ("records", records[:, :8]),
        ("records", records.astype(np.float64)),
        ("records", np.asfortranarray(records)),
        ("records", still),
        ("bias", bias[:2]),
        ("labels", labels[:9]),
        ("weights", labels[:9]),
        ("paces", np.ones((2, 4), np.float32)),
        ("paces", np.ones((1, 3), np.float32)),
        ("size", 0),
        ("settings", SETTINGS[:7]),
    ):
        with pytest.raises(ValueError, match="fit each other"):
            Trainer(COLUMNS, width_of(3), True).learn(**{**good, name: bad})
    with pytest.raises(ValueError, match="fit each other"):
        scores(np.zeros(3, np.float32), np.zeros((3, 2), np.float32), 0.0, rows)
    with pytest.raises(ValueError, match="fit each other"):
        tally(labels, labels[:3], None, True)


def test_scores_without_bound_have_no_slope_without_bound() -> None:
    records = begin(3)
    records[:, WEIGHT] = 1e30
    learned(records, sparse(np.abs(some(30))), 30)
    assert np.isfinite(records[:, WEIGHT]).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_tallies_are_the_sums_written_out(weighted: bool) -> None:
    draws = np.random.default_rng(0)
    found = (draws.normal(size=999) * 8).astype(np.float32)
    found[:6] = [0, -0.0, 100, -100, 1e-6, -1e-6]
    labels = (draws.random(999) < 0.4).astype(np.float32)
    weights = draws.random(999).astype(np.float32) if weighted else None
    exact, truth, each = found.astype(float), labels.astype(float), np.ones(999)
    each = each if weights is None else weights.astype(float)
    got = tally(found, labels, weights, True)
    np.testing.assert_allclose(got.loss, each @ (np.logaddexp(0, exact) - truth * exact), rtol=1e-6)
    assert got.true_positive == pytest.approx(each @ ((found >= 0) & (labels == 1)))
    assert got.false_positive == pytest.approx(each @ ((found >= 0) & (labels == 0)))
    assert got.positive == pytest.approx(each @ truth)
    assert (got.weight, got.labels) == pytest.approx((each.sum(), each @ truth))
    got = tally(found, labels, weights, False)
    assert got.loss == pytest.approx(each @ (exact - truth) ** 2)
    assert got.distances == pytest.approx(each @ abs(exact - truth))
