"""Columns brought to one size, without filling zeros that sparse rows leave out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Batch, Csr, Floats, to_csr
from tidemill.stats.moments import Moments

Doubles = NDArray[np.float64]
_BLOCK = 4096
_FULL = 0.5


@dataclass(frozen=True, slots=True)
class ColumnScaling:
    """(value - shift) · scale, a column each.

    A dense column that is mostly filled is centred and gets deviation 1. All others keep their
    zeros, and what they hold else gets mean square 1: ones stay ones.
    """

    shift: Doubles
    scale: Doubles

    @staticmethod
    def of(rows: Batch) -> ColumnScaling:
        """As these rows, by their weights, need it."""
        seen = _moments(rows)
        is_sparse = isinstance(rows.features, Csr)
        full = np.zeros(rows.columns, np.bool_) if is_sparse else _filled(seen)
        squares = np.where(full, seen.variance(), seen.nonzero_mean_square())
        # Of a constant, centred, only rounding is left.
        squares[squares <= 1e-12 * seen.mean**2] = 0
        scale = 1 / np.sqrt(np.where(squares > 0, squares, 1.0))
        return ColumnScaling(np.where(full, seen.mean, 0.0), scale)

    def apply(self, features: Floats | Csr) -> Floats | Csr:
        """The scaled features; a dense array that is mostly zeros afterwards becomes sparse."""
        if isinstance(features, Csr) and self.shift.any():
            features = features.to_dense()
        if isinstance(features, Csr):
            if (self.scale == 1).all():
                return features
            values = features.values * self.scale.astype(np.float32)[features.indices]
            return Csr(features.indptr, features.indices, values, features.columns)
        found = features
        if self.shift.any() or (self.scale != 1).any():
            found = np.empty_like(features)
            for at in range(0, len(features), _BLOCK):
                block = features[at : at + _BLOCK].astype(np.float64)
                found[at : at + _BLOCK] = (block - self.shift) * self.scale
        return to_csr(found) if np.count_nonzero(found) < _FULL * found.size else found


def _filled(seen: Moments) -> NDArray[np.bool_]:
    filled: NDArray[np.bool_] = seen.nonzero > _FULL * seen.weight
    return filled


def _moments(rows: Batch) -> Moments:
    features, weights = rows.features, rows.weights
    if not isinstance(features, Csr):
        seen = Moments.none(rows.columns)
        for block in rows.split(_BLOCK):
            seen = seen.merge(Moments.of(block.dense(), block.weights))
        return seen
    if weights is None and (features.values == 1).all():  # the usual one-hot rows
        counts = np.bincount(features.indices, minlength=rows.columns).astype(np.float64)
        return Moments.of_sums(float(len(rows)), counts, counts, counts)
    each = np.ones(len(rows)) if weights is None else weights.astype(np.float64)
    values = features.values.astype(np.float64)
    of_entry = np.repeat(each, np.diff(features.indptr))

    def sums(by: Doubles) -> Doubles:
        return np.bincount(features.indices, of_entry * by, rows.columns).astype(np.float64)

    filled = (values != 0).astype(np.float64)
    return Moments.of_sums(float(each.sum()), sums(values), sums(values * values), sums(filled))
