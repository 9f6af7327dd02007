"""Rows checked on their way in: every complaint names the row, the value and the remedy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.linear_learner.hyperparameters import (
    BINARY,
    MULTICLASS,
    NAME,
    REGRESSOR,
    LinearLearnerHyperparameters,
)
from tidemill.data.batch import Batch, Csr, Floats
from tidemill.errors import InvalidData, amount


def check_width(given: LinearLearnerHyperparameters, batch: Batch, columns: int | None) -> None:
    """The batch has feature_dim columns, and as many as the batches before it."""
    if given.feature_dim is not None and batch.columns != given.feature_dim:
        raise InvalidData(
            f"{NAME}: rows must have feature_dim = {given.feature_dim} features",
            got=batch.columns,
            do="Set feature_dim to the columns of the data without the label, or to auto.",
        )
    if columns is not None and batch.columns != columns:
        raise InvalidData(
            f"{NAME}: every row and channel must have {columns} features, as the first rows had",
            got=batch.columns,
            do="Give all channels the same columns; mind content types' label_size.",
        )


def labels_of(given: LinearLearnerHyperparameters, batch: Batch, seen: int) -> Floats:
    """The labels, (rows,), all of them usable. seen: rows of this pass before the batch"""
    if batch.labels is None:
        raise InvalidData(
            f"{NAME}: every row must have a label",
            got="rows without labels",
            do="Put the label into the first column of CSV, or into the record's label.",
        )
    labels = batch.labels if batch.labels.ndim == 1 else batch.labels.reshape(len(batch), -1)
    if labels.ndim == 2:
        labels = _only_column(labels)
    good = _usable(given, labels)
    if good.all():
        return labels
    row = int(np.argmin(good))
    raise InvalidData(
        f"{NAME}: labels of a {given.predictor_type} must be {_wanted(given)}; "
        f"row {seen + row + 1} of this pass has another",
        got=float(labels[row]),
        do=_remedy(given),
    )


def _only_column(labels: Floats) -> Floats:
    if labels.shape[1] != 1:
        raise InvalidData(
            f"{NAME}: rows must have one label",
            got=amount(labels.shape[1], "label"),
            do="Set the content type's label_size to 1.",
        )
    return labels[:, 0]


def check_finite(batch: Batch, seen: int) -> None:
    """No feature is NaN or infinite; after the survey, looked at only when a loss came out so."""
    features = batch.features
    if isinstance(features, Csr):
        bad = np.flatnonzero(~np.isfinite(features.values))
        if len(bad):
            row = int(np.searchsorted(features.indptr, bad[0], side="right")) - 1
            _refuse(seen + row, int(features.indices[bad[0]]), float(features.values[bad[0]]))
        return
    good = np.isfinite(features)
    if not good.all():
        row, column = (int(v) for v in np.argwhere(~good)[0])
        _refuse(seen + row, column, float(features[row, column]))


def _refuse(row: int, column: int, value: float) -> None:
    raise InvalidData(
        f"{NAME}: features must be finite numbers; row {row + 1} of this pass, feature "
        f"{column + 1} is not",
        got=value,
        do="Fill in missing values before training.",
    )


def _usable(given: LinearLearnerHyperparameters, labels: Floats) -> NDArray[np.bool_]:
    good: NDArray[np.bool_] = np.isfinite(labels)
    if given.predictor_type == BINARY:
        good = (labels == 0) | (labels == 1)
    elif given.predictor_type == MULTICLASS:
        good = (labels >= 0) & (labels < given.outputs) & (labels == np.floor(labels))
    return good


def _wanted(given: LinearLearnerHyperparameters) -> str:
    if given.predictor_type == BINARY:
        return "0 or 1"
    if given.predictor_type == MULTICLASS:
        return f"whole numbers from 0 to {given.outputs - 1} (num_classes - 1)"
    return "finite numbers"


def _remedy(given: LinearLearnerHyperparameters) -> str:
    if given.predictor_type == REGRESSOR:
        return "Drop the row or fill its label in."
    return "Map the labels to these numbers; the label is the first column of CSV."
