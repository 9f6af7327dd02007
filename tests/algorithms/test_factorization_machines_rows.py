"""Factorization machines: rows in every form, and those that are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.algorithms.machines import BINARY, NUMBERS, machine, pairs, trained
from tidemill.algorithms.factorization_machines.declaration import DECLARATION
from tidemill.algorithms.factorization_machines.hyperparameters import (
    FactorizationMachinesHyperparameters,
)
from tidemill.algorithms.factorization_machines.state import factors_of
from tidemill.algorithms.hyperparameters import read
from tidemill.artifact.codec import to_bytes
from tidemill.data.batch import Batch, Csr, to_csr
from tidemill.errors import Invalid, InvalidData, InvalidHyperparameter


def test_rows_in_any_order_of_columns_with_zeros_and_in_parts_are_the_same_rows() -> None:
    rows = pairs(100)
    tidy = to_csr(rows.dense())
    # Every entry in two halves, back to front, with a zero at a column of its own.
    columns = np.stack([tidy.indices[1::2], tidy.indices[::2], tidy.indices[1::2],
                        tidy.indices[::2], np.full(100, 3)], axis=1)  # fmt: skip
    values = np.tile(np.array([0.5, 0.5, 0.5, 0.5, 0], np.float32), 100)
    tangled = Csr(np.arange(0, 501, 5), columns.ravel(), values, 8)
    assert_array_equal(tangled.to_dense(), rows.dense())
    algorithm = machine()
    wanted = algorithm.update(algorithm.start(), replace(rows, features=tidy))
    got = algorithm.update(algorithm.start(), replace(rows, features=tangled))
    assert to_bytes(got) == to_bytes(wanted)
    model = algorithm.finalize(wanted)
    assert_array_equal(model.raw(Batch(tangled)), model.raw(rows))


def test_rows_without_a_zero_are_the_same_dense_and_sparse() -> None:
    draws = np.random.default_rng(0)
    full = Batch(draws.normal(size=(50, 8)).astype(np.float32), draws.normal(size=50).astype("f4"))
    algorithm = machine()
    got = algorithm.update(algorithm.start(), full)
    sparse = replace(full, features=to_csr(full.dense()))
    assert to_bytes(got) == to_bytes(algorithm.update(algorithm.start(), sparse))


def test_sparse_rows_may_lack_the_last_columns() -> None:
    rows = pairs(100)
    narrow = replace(rows, features=to_csr(rows.dense()[:, :6]))
    wide = replace(rows, features=np.where(np.arange(8) < 6, rows.dense(), 0).astype(np.float32))
    algorithm = machine()
    wanted = algorithm.update(algorithm.start(), wide)
    assert to_bytes(algorithm.update(algorithm.start(), narrow)) == to_bytes(wanted)
    model = algorithm.finalize(wanted)
    assert_array_equal(model.raw(narrow), model.raw(wide))


def test_rows_that_weigh_nothing_are_as_if_they_were_not_there() -> None:
    rows = pairs(100)
    weights = np.where(np.arange(100) % 3, 2.0, 0.0).astype(np.float32)
    algorithm = machine()
    got = algorithm.update(algorithm.start(), replace(rows, weights=weights))
    kept = rows.take(np.flatnonzero(weights))
    wanted = algorithm.update(algorithm.start(), kept)
    assert_allclose(got.records, wanted.records, rtol=1e-4, atol=1e-6)
    none = algorithm.update(algorithm.start(), replace(rows, weights=np.zeros(100, np.float32)))
    assert none == algorithm.start()


def test_a_row_that_weighs_two_counts_as_two_in_its_mini_batch() -> None:
    rows = pairs(12, BINARY)
    weights = np.array([1, 2, 3] * 4, np.float32)
    algorithm = machine(BINARY, mini_batch_size=100)
    got = algorithm.update(algorithm.start(), replace(rows, weights=weights))
    twice = rows.take(np.repeat(np.arange(12), weights.astype(int)))
    wanted = algorithm.update(algorithm.start(), twice)
    assert_allclose(factors_of(got), factors_of(wanted), rtol=1e-4)
    assert got.seen is not None
    assert wanted.seen is not None
    assert got.seen.loss == pytest.approx(wanted.seen.loss)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([0, 1, 2, 1], r"0 or 1; row 3 .*got 2\.0"),
        ([0, 1, 1, -1], r"0 or 1; row 4 .*got -1\.0"),
        ([0.5, 1, 1, 0], r"0 or 1; row 1 .*got 0\.5"),
        ([0, np.nan, 1, 0], r"0 or 1; row 2 .*got nan"),
        ([[0, 1]] * 4, "one label"),
        (None, "must have a label"),
    ],
)
def test_labels_of_other_values_are_told_of(labels: Any, told: str) -> None:
    algorithm, rows = machine(BINARY), pairs(4, BINARY)
    bad = None if labels is None else np.array(labels, np.float32)
    with pytest.raises(InvalidData, match=told):
        algorithm.update(algorithm.start(), replace(rows, labels=bad))
    model = algorithm.finalize(algorithm.update(algorithm.start(), rows))
    with pytest.raises(InvalidData, match=told):
        algorithm.evaluate(model, replace(rows, labels=bad))


def test_the_row_of_a_bad_label_is_counted_from_the_start_of_the_pass() -> None:
    algorithm, rows = machine(BINARY), pairs(10, BINARY)
    state = algorithm.update(algorithm.start(), rows)
    bad = replace(rows, labels=np.array([0] * 9 + [3], np.float32))
    with pytest.raises(InvalidData, match=r"row 20 .*got 3\.0"):
        algorithm.update(state, bad)


def test_rows_of_another_width_are_refused() -> None:
    algorithm, rows = machine(), pairs(10)
    model = algorithm.finalize(algorithm.update(algorithm.start(), rows))
    for wrong in (rows.dense()[:, :7].copy(), np.zeros((10, 9), np.float32),
                  to_csr(np.zeros((10, 9), np.float32))):  # fmt: skip
        for ask in (lambda b: algorithm.update(algorithm.start(), b), model.predict):
            with pytest.raises(Invalid, match="feature_dim = 8"):
                ask(replace(rows, features=wrong))


@pytest.mark.parametrize("column", [8, -1, 2**40])
def test_indices_that_no_column_has_are_refused(column: int) -> None:
    algorithm = machine()
    wild = Csr(np.array([0, 1]), np.array([column]), np.ones(1, np.float32), 8)
    batch = Batch(wild, np.ones(1, np.float32))
    with pytest.raises(InvalidData, match=f"from 0 to 7.*got {column}"):
        algorithm.update(algorithm.start(), batch)
    model = algorithm.finalize(algorithm.update(algorithm.start(), pairs(10)))
    with pytest.raises(InvalidData, match="from 0 to 7"):
        model.predict(batch)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(bad: float) -> None:
    rows = pairs(10)
    rows.dense()[7, 3] = bad
    algorithm = machine()
    for features in (rows.features, to_csr(rows.dense())):
        with pytest.raises(InvalidData, match=r"row 8 of this pass, feature 4"):
            algorithm.update(algorithm.start(), replace(rows, features=features))


def test_training_that_runs_away_says_so() -> None:
    rows = pairs(40)
    huge = replace(rows, features=rows.dense() * np.float32(1e30))
    with pytest.raises(Invalid, match=r"finite number.*factors_lr=0\.05.*Lower the learning rates"):
        trained(machine(epochs=5), huge)


def test_no_rows_are_told_of() -> None:
    algorithm = machine()
    with pytest.raises(InvalidData, match="train channel must have rows"):
        algorithm.finalize(trained(algorithm, pairs(10).rows(0, 0)))


@pytest.mark.parametrize("name", ["epochs", "mini_batch_size", "num_factors", "feature_dim"])
def test_counts_must_be_positive(name: str) -> None:
    given = {"feature_dim": "8", "num_factors": "3", "predictor_type": NUMBERS, name: "0"}
    with pytest.raises(InvalidHyperparameter, match=f"{name} must be an integer of at least 1"):
        read(FactorizationMachinesHyperparameters, given, algorithm=DECLARATION.name)
