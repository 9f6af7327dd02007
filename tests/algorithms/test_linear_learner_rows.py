"""Rows that cannot be learned from: each complaint names the row, the value and the remedy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.algorithms.test_linear_learner import binary, learner, numbers, train
from tidemill.data.batch import Batch, to_csr
from tidemill.errors import Invalid, InvalidData


def spoiled(batch: Batch, row: int, label: float) -> Batch:
    labels = np.array(batch.labels)
    labels[row] = label
    return Batch(batch.features, labels)


@pytest.mark.parametrize(
    ("kind", "label", "wanted"),
    [
        ("binary_classifier", 2.0, "0 or 1"),
        ("binary_classifier", float("nan"), "0 or 1"),
        ("multiclass_classifier", 3.0, "whole numbers from 0 to 2"),
        ("multiclass_classifier", 0.5, "whole numbers from 0 to 2"),
        ("multiclass_classifier", -1.0, "whole numbers from 0 to 2"),
        ("regressor", float("nan"), "finite numbers"),
        ("regressor", float("inf"), "finite numbers"),
    ],
)
@pytest.mark.parametrize("row", [5, 250])
def test_a_wrong_label_is_named_with_its_row(
    kind: str, label: float, wanted: str, row: int
) -> None:
    rows = spoiled(binary(300), row, label)
    with pytest.raises(InvalidData, match=f"{wanted}.*row {row + 1} .*got {label}"):
        train(kind, rows, num_classes=3, mini_batch_size=100, num_point_for_scaler=150)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_feature_that_is_no_number_is_named_with_its_place(value: float, sparse: bool) -> None:
    rows = numbers(300)
    features = np.array(rows.features)
    features[217, 3] = value
    bad = Batch(to_csr(features) if sparse else features, rows.labels)
    with pytest.raises(InvalidData, match=f"row 218 .*feature 4 .*got {value}"):
        train("regressor", bad, mini_batch_size=100, num_point_for_scaler=150)


def test_a_bad_feature_among_the_first_rows_is_named_too() -> None:
    rows = numbers(300)
    features = np.array(rows.features)
    features[7, 2] = np.nan
    with pytest.raises(InvalidData, match="row 8 .*feature 3"):
        train("regressor", Batch(features, rows.labels), mini_batch_size=100)


def test_a_bad_validation_row_is_named() -> None:
    with pytest.raises(InvalidData, match="row 10 .*got 7"):
        train("binary_classifier", binary(300), spoiled(binary(50), 9, 7.0))


def test_another_width_names_both() -> None:
    with pytest.raises(Invalid, match=r"feature_dim = 5.*got 6"):
        train("binary_classifier", binary(100), feature_dim=5)
    narrow = Batch(binary(100).features[:, :4].copy(), binary(100).labels)
    with pytest.raises(InvalidData, match=r"must have 6 features.*got 4"):
        train("binary_classifier", binary(100), narrow)
    model, _ = train("binary_classifier", binary(100), epochs=1)
    with pytest.raises(Invalid, match=r"must have 6 features.*got 4"):
        model.predict(narrow)


def test_rows_without_labels_say_where_labels_belong() -> None:
    with pytest.raises(InvalidData, match="must have a label.*first column"):
        train("regressor", Batch(numbers(50).features))
    two = Batch(numbers(50).features, np.zeros((50, 2), np.float32))
    with pytest.raises(InvalidData, match="one label.*label_size"):
        train("regressor", two)


def test_labels_may_come_as_a_column() -> None:
    rows = numbers(200)
    column = Batch(rows.features, np.asarray(rows.labels)[:, None])
    left, _ = train("regressor", rows, num_models=1)
    right, _ = train("regressor", column, num_models=1)
    np.testing.assert_array_equal(left.weights, right.weights)


def test_no_rows_at_all_are_named() -> None:
    algorithm = learner("regressor")
    with pytest.raises(InvalidData, match="train channel must have rows"):
        algorithm.finalize(algorithm.close_pass(algorithm.start()))


def test_one_row_and_one_class_are_enough_for_a_model() -> None:
    for kind in ("binary_classifier", "regressor"):
        model, _ = train(kind, binary(1), epochs=2)
        assert np.isfinite(model.predict(binary(5))["score"]).all()
