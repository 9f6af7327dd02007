"""Rows on their way into the kernel: checked and put in order. Every complaint names the row."""

from __future__ import annotations

import numpy as np

from tidemill.algorithms.factorization_machines.hyperparameters import (
    NAME,
    FactorizationMachinesHyperparameters,
)
from tidemill.data.batch import Batch, Csr, Floats, pointers, to_csr
from tidemill.errors import InvalidData, amount
from tidemill.kernels import factorization_machines as kernel
from tidemill.kernels.factorization_machines import Fault, Rows


def training_rows(
    given: FactorizationMachinesHyperparameters, batch: Batch, seen: int
) -> tuple[Rows, Floats, Floats | None]:
    """Rows, labels and weights of a batch; rows that weigh nothing are looked at and left out.

    seen: rows of this pass before the batch
    """
    labels, rows = labels_of(given, batch, seen), rows_of(batch, given.feature_dim, seen)
    if batch.weights is None or (batch.weights > 0).all():
        return rows, labels, batch.weights
    kept = np.flatnonzero(batch.weights > 0)
    part = batch.take(kept)
    return rows_of(part, given.feature_dim, seen), labels[kept], part.weights


def rows_of(batch: Batch, columns: int, seen: int = 0) -> Rows:
    """The batch as sparse rows without zeros, columns ascending, each there once.

    Sparse rows may have fewer columns than the model: those that they lack are zeros, too.
    seen: rows of this pass before the batch
    """
    features = batch.features
    is_sparse = isinstance(features, Csr)
    if batch.columns != columns and not (is_sparse and batch.columns < columns):
        raise InvalidData(
            f"{NAME}: rows must have feature_dim = {columns} features",
            got=batch.columns,
            do="Set feature_dim to the columns of the data without the label, and send such rows.",
        )
    stored = features if isinstance(features, Csr) else _stored(features)
    rows = _checked(stored, columns)
    if Fault.NOT_FINITE in rows.faults:
        raise _not_finite(stored, seen)
    return _checked(_tidied(stored), columns) if rows.faults else rows


def labels_of(given: FactorizationMachinesHyperparameters, batch: Batch, seen: int) -> Floats:
    """The labels, (rows,), all of them usable."""
    labels = batch.labels
    if labels is None:
        raise InvalidData(
            f"{NAME}: every row must have a label",
            got="rows without labels",
            do="Put the label into the first column of CSV, or into the record's label.",
        )
    if labels.ndim > 1:
        labels = _only_column(labels.reshape(len(batch), -1))
    good = (labels == 0) | (labels == 1) if given.is_logistic else np.isfinite(labels)
    if good.all():
        return np.ascontiguousarray(labels)
    row = int(np.argmin(good))
    wanted = "0 or 1" if given.is_logistic else "finite numbers"
    raise InvalidData(
        f"{NAME}: labels of a {given.predictor_type} must be {wanted}; row {seen + row + 1} of "
        "this pass has another",
        got=float(labels[row]),
        do="Map the labels to these numbers, or drop the row.",
    )


def _only_column(labels: Floats) -> Floats:
    if labels.shape[1] != 1:
        raise InvalidData(
            f"{NAME}: rows must have one label",
            got=amount(labels.shape[1], "label"),
            do="Set the content type's label_size to 1.",
        )
    return labels[:, 0]


def _stored(features: Floats) -> Csr:
    if not features.all():
        return to_csr(features)
    rows, columns = features.shape  # without a zero there is nothing to look for
    indices = np.tile(np.arange(columns), rows)
    return Csr(np.arange(rows + 1) * columns, indices, features.reshape(-1), columns)


def _checked(stored: Csr, columns: int) -> Rows:
    try:
        return kernel.checked(stored.indptr, stored.indices, stored.values, columns)
    except IndexError:
        highest = int(stored.indices.max(initial=-1))
        raise InvalidData(
            f"{NAME}: sparse rows must have column indices from 0 to {columns - 1}",
            got=highest if highest >= columns else int(stored.indices.min(initial=0)),
            do="Set feature_dim to the columns of the data, or mend the row.",
        ) from None


def _tidied(stored: Csr) -> Csr:
    row = np.repeat(np.arange(len(stored)), np.diff(stored.indptr))
    order = np.lexsort((stored.indices, row))
    row, column, value = row[order], stored.indices[order], stored.values[order]
    fresh = np.append(True, (np.diff(row) != 0) | (np.diff(column) != 0))[: len(row)]
    starts = np.flatnonzero(fresh)
    total = np.add.reduceat(value, starts) if len(starts) else value
    kept = starts[total != 0]
    counts = np.bincount(row[kept], minlength=len(stored))
    return Csr(pointers(counts), column[kept], total[total != 0], stored.columns)


def _not_finite(stored: Csr, seen: int) -> InvalidData:
    at = int(np.argmin(np.isfinite(stored.values)))
    row = int(np.searchsorted(stored.indptr, at, side="right")) - 1
    return InvalidData(
        f"{NAME}: features must be finite numbers; row {seen + row + 1} of this pass, "
        f"feature {int(stored.indices[at]) + 1} is not",
        got=float(stored.values[at]),
        do="Fill in missing values before training.",
    )
