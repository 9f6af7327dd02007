"""Rows as boosting takes them: each with a label that its objective can learn from."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.xgboost.hyperparameters import NAME, XGBoostHyperparameters
from tidemill.data.batch import Batch, Csr, Floats
from tidemill.errors import InvalidData, amount

_Test = Callable[[Floats], NDArray[np.bool_]]
_SHARES: tuple[_Test, str] = (lambda y: (y >= 0) & (y <= 1), "from 0 to 1")
_COUNTS: tuple[_Test, str] = (lambda y: y >= 0, "0 or more")
_ANY: tuple[_Test, str] = (np.isfinite, "finite")
_LABELS: dict[str, tuple[_Test, str]] = {
    "binary:logistic": _SHARES,
    "binary:logitraw": _SHARES,
    "reg:logistic": _SHARES,
    "binary:hinge": (lambda y: (y == 0) | (y == 1), "0 or 1"),
    "count:poisson": _COUNTS,
    "reg:tweedie": _COUNTS,
    "reg:gamma": (lambda y: y > 0, "above 0"),
    "reg:squaredlogerror": (lambda y: y > -1, "above -1"),
    "rank:ndcg": (lambda y: (y >= 0) & (y == np.floor(y)), "whole numbers from 0 on"),
    "rank:map": (lambda y: (y == 0) | (y == 1), "0 or 1"),
    "survival:aft": (lambda y: y != 0, "a time, negative where it is censored"),
    "survival:cox": (lambda y: y != 0, "a time, negative where it is censored"),
}


def prepared(
    batch: Batch, given: XGBoostHyperparameters, columns: int, before: Sequence[Batch] = ()
) -> Batch:
    """The rows with their weights told from the features, once all of it was checked.

    columns: that rows before had, or 0 · before: the batches before, for errors to name the
    right row. Raises InvalidData.
    """
    if given.csv_weights and batch.weights is None and not isinstance(batch.features, Csr):
        batch = _weighed(batch, batch.features)
    batch = fitted(batch, columns) if columns else batch
    _check_labels(batch, given, before)
    weights = batch.weights
    if weights is not None and len(weights) and weights.min() < 0:
        raise InvalidData(
            f"{NAME}: weights must be 0 or more", got=float(weights.min()), do="Correct the weight."
        )
    return batch


def fitted(batch: Batch, columns: int) -> Batch:
    """Rows of so many columns, whatever sparse ones say; raises InvalidData for others."""
    features, found = batch.features, batch.columns
    if found == columns:
        return batch
    if isinstance(features, Csr):
        found = int(features.indices.max(initial=-1)) + 1
        if found <= columns:
            return replace(batch, features=replace(features, columns=columns))
    do = "Give all channels, and requests, rows of one width"
    raise InvalidData(
        f"{NAME}: rows must have {amount(columns, 'feature')}, as those that were trained on",
        got=amount(found, "feature"),
        do=f"{do}; for libsvm name feature_dim in the training channel's content type.",
    )


def cells(batches: Sequence[Batch]) -> int:
    """Values in the rows, those that are stored of sparse ones."""
    return sum(_values(b).size for b in batches)


def size(batch: Batch) -> int:
    """Bytes of the rows in memory."""
    f = batch.features
    arrays: list[NDArray[Any] | None] = [batch.labels, batch.weights, batch.groups]
    arrays += [f.indptr, f.indices, f.values] if isinstance(f, Csr) else [f]
    return sum(array.nbytes for array in arrays if array is not None)


def fingerprint(batches: Sequence[Batch]) -> int:
    """A number that rows read again must have too; looks at all labels and at some features."""
    found = 0
    for batch in batches:
        if len(batch):
            labels, values = batch.labels, _values(batch).reshape(-1)
            found = zlib.crc32(b"" if labels is None else labels.tobytes(), found)
            found = zlib.crc32(values[:: max(1, len(values) // 1024)].tobytes(), found)
    return found


def common_width(left: Sequence[Batch], columns: int, right: Sequence[Batch], others: int) -> int:
    """The columns of two workers' rows together; of sparse ones the larger number.

    Raises InvalidData where dense rows have different ones.
    """
    is_dense = any(not isinstance(b.features, Csr) for b in (*left[:1], *right[:1]))
    if columns and others and columns != others and is_dense:
        raise InvalidData(
            f"{NAME}: all instances must have rows of one width",
            got=f"{columns} and {amount(others, 'feature')}",
            do="Give all objects of the channel rows of the same columns.",
        )
    return max(columns, others)


def same_width(batches: Sequence[Batch], columns: int) -> list[Batch]:
    """Sparse rows that are narrower as wide as the others; nothing is copied."""
    return [
        replace(b, features=replace(b.features, columns=columns))
        if isinstance(b.features, Csr)
        else b
        for b in batches
    ]


def _values(batch: Batch) -> Floats:
    return batch.features.values if isinstance(batch.features, Csr) else batch.features


def _weighed(batch: Batch, table: Floats) -> Batch:
    if table.shape[1] < 2:
        raise InvalidData(
            f"{NAME}: with csv_weights a row must have a label, a weight and a feature",
            got=f"{amount(table.shape[1], 'column')} after the label",
            do="Put the weight into the second column, or leave out csv_weights.",
        )
    weights = np.ascontiguousarray(table[:, 0])
    if not np.isfinite(weights).all():
        raise InvalidData(
            f"{NAME}: with csv_weights the second column must be numbers",
            got="NaN",
            do="Give every row a weight.",
        )
    return replace(batch, features=np.ascontiguousarray(table[:, 1:]), weights=weights)


def _check_labels(batch: Batch, given: XGBoostHyperparameters, before: Sequence[Batch]) -> None:
    labels = batch.labels
    if labels is None or labels.ndim != 1:
        raise InvalidData(
            f"{NAME}: every row must have one label",
            got="none" if labels is None else f"{labels.shape[1]}",
            do="Put the label first in CSV and Parquet, and leave label_size out.",
        )
    test, words = _LABELS.get(given.objective, _ANY)
    if given.is_multiclass:
        classes = given.num_class or 0
        words = f"whole numbers from 0 to {classes - 1}, below num_class"
        is_right = (labels >= 0) & (labels < classes) & (labels == np.floor(labels))
    else:
        is_right = test(labels)
    if not is_right.all():
        at = int(np.argmin(is_right))
        row = sum(map(len, before)) + at + 1
        raise InvalidData(
            f"{NAME}: labels of {given.objective} must be {words}; row {row} has another",
            got=float(labels[at]),
            do="Correct the labels, or change 'objective' in HyperParameters.",
        )
