"""The rows of a batch about their mean, for products; sparse ones are never filled in."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Batch, Csr, Floats
from tidemill.data.checks import require_finite
from tidemill.errors import InvalidData

Doubles = NDArray[np.float64]
_RUN = 256
_FAR = 16.0
_SAMPLE = 256
_FILLED = 0.1
_PART, _SPARSE_PART = 1024, 8192


def positive(batch: Batch) -> Batch:
    """The batch without the rows that weigh nothing."""
    if batch.weights is None or (batch.weights > 0).all():
        return batch
    return batch.take(np.flatnonzero(batch.weights > 0))


def roots_of(batch: Batch) -> Floats | None:
    """(rows,) square roots of the weights: rows times these weigh one each. None for ones."""
    return None if batch.weights is None else np.sqrt(batch.weights)


def weight_of(batch: Batch) -> float:
    """Of all rows together."""
    return float(len(batch) if batch.weights is None else batch.weights.sum(dtype=np.float64))


def is_sparse(features: Floats | Csr) -> TypeGuard[Csr]:
    """Whether rows have so few entries that filling them in would be a waste."""
    if not isinstance(features, Csr):
        return False
    return len(features.values) < _FILLED * len(features) * features.columns


def origin_of(batch: Batch) -> Floats:
    """(columns,) a point to measure filled rows from, lest float32 lose what they differ by.

    Zero, but amid the data in columns that lie far from zero beside their spread.
    """
    picked = batch.take(np.arange(0, len(batch), max(1, len(batch) // _SAMPLE)))
    some = picked.dense().astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = some.mean(axis=0), some.var(axis=0)
        far = mean * mean > _FAR * spread
    return np.where(far, mean, 0.0).astype(np.float32)


def relative(rows: Floats, origin: Floats, roots: Floats | None) -> Floats:
    """Rows less the origin, times their roots; the rows themselves where that changes nothing."""
    out = rows - origin if origin.any() else rows
    return out if roots is None else out * roots[:, None]


def column_sums(rows: Floats, roots: Floats | None) -> Doubles:
    """(columns,) of ``relative`` rows by weight: float32 over some rows, float64 over all."""
    each = np.ones(len(rows), np.float32) if roots is None else roots
    whole = len(rows) // _RUN * _RUN
    runs = rows[:whole].reshape(-1, _RUN, rows.shape[1])
    sums = np.matmul(each[:whole].reshape(-1, 1, _RUN), runs)
    tail = each[whole:].astype(np.float64) @ rows[whole:]
    total: Doubles = sums.sum(axis=(0, 1), dtype=np.float64) + tail
    return total


def sparse_sums(rows: Csr, weights: Floats | None) -> Doubles:
    """(columns,) of sparse rows, by weight."""
    values = rows.values.astype(np.float64)
    if weights is not None:
        values *= np.repeat(weights.astype(np.float64), np.diff(rows.indptr))
    return np.bincount(rows.indices, values, rows.columns).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Centred:
    """Rows about their mean, as a matrix that can be multiplied by.

    matrix: dense rows with the mean taken off, or sparse ones without
    roots, mean: what a sparse matrix still lacks, None for a dense one · squares: added up
    """

    matrix: Any
    roots: Floats | None
    mean: Floats | None
    squares: float

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def parts(self) -> Iterator[Centred]:
        """The same in parts of some rows; squares stay with the whole."""
        rows = _PART if self.mean is None else _SPARSE_PART
        for at in range(0, len(self), rows):
            cut = slice(at, at + rows)
            roots = None if self.roots is None else self.roots[cut]
            yield Centred(self.matrix[cut], roots, self.mean, 0.0)

    def times(self, directions: Floats) -> Floats:
        """(rows, directions) from (columns, directions)."""
        product: Floats = self.matrix @ directions
        if self.mean is not None and self.roots is not None:
            product -= self.roots[:, None] * (self.mean @ directions)
        return product

    def back(self, weights: Floats) -> Floats:
        """(columns, directions): the rows added up by each of (rows, directions) weights."""
        product: Floats = self.matrix.T @ weights
        if self.mean is not None and self.roots is not None:
            product -= self.mean[:, None] * (self.roots @ weights)
        return product

    def dense(self) -> Floats:
        """The rows filled in."""
        if self.mean is None or self.roots is None:
            return np.asarray(self.matrix)
        filled: Floats = self.matrix.toarray() - self.roots[:, None] * self.mean
        return filled


def centred(batch: Batch) -> tuple[Centred, Doubles]:
    """The rows about their weighted mean, and that mean."""
    features, weight = batch.features, weight_of(batch)
    if is_sparse(features):
        mean = sparse_sums(features, batch.weights) / weight
        return _sparse(features, batch, mean), mean
    origin, roots = origin_of(batch), roots_of(batch)
    moved = relative(batch.dense(), origin, roots)
    apart = column_sums(moved, roots) / weight
    near = apart.astype(np.float32)
    rows = moved - (near if roots is None else roots[:, None] * near)
    flat = rows.ravel()
    return Centred(rows, None, None, float(flat @ flat)), origin + apart


def _sparse(features: Csr, batch: Batch, mean: Doubles) -> Centred:
    roots = roots_of(batch)
    each = np.ones(len(batch), np.float32) if roots is None else roots
    values = features.values
    if roots is not None:
        values = values * np.repeat(roots, np.diff(features.indptr))
    matrix = scipy("sparse").csr_array(
        (values, features.indices, features.indptr), shape=features.shape
    )
    squares = float(values.astype(np.float64) @ values) - weight_of(batch) * float(mean @ mean)
    return Centred(matrix, each, mean.astype(np.float32), max(0.0, squares))


def check(batch: Batch, totals: Doubles) -> None:
    """Raise InvalidData where what rows added up to is no finite number."""
    if np.isfinite(totals).all():
        return
    require_finite(batch)
    raise InvalidData(
        "pca: features must be of a size that float32 can square",
        got="an overflow",
        do="Scale huge columns before training.",
    )


@functools.cache
def scipy(part: str) -> Any:
    """A module of SciPy; late, because a replica, which only predicts, never needs these 0.1 s."""
    return importlib.import_module(f"scipy.{part}")
