"""Which centre is nearest to each row, and what the rows of each centre add up to.

The squared distance to a centre is ``|x|² - 2 x·c + |c|²``; to find the nearest one
``x·c - |c|²/2`` will do, one matrix product. All of it is relative to an origin amid the data,
lest float32 lose the small distances between rows that lie far from zero.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Each
from tidemill.data.batch import Batch, Csr, Floats

Doubles = NDArray[np.float64]
Labels = NDArray[np.intp]

_BLOCK_BYTES = 8 << 20
_FAR = 16.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What rows say about the centres that they are nearest to.

    sums: (centres, columns) weighted, relative to the origin · counts: (centres,) total weight
    squares: weighted squared lengths of the rows, relative to the origin, added up
    """

    sums: Floats | Doubles
    counts: Doubles
    squares: float

    def loss(self, centres: Floats) -> float:
        """Weighted squared distances to these centres, the rows staying with their labels."""
        exact = centres.astype(np.float64)
        between = self.counts @ np.einsum("ij,ij->i", exact, exact)
        return max(0.0, float(self.squares + between - 2.0 * np.vdot(exact, self.sums)))


def block_rows(columns: int, centres: int) -> int:
    """Rows to work on at once: rows and distances fit the cache, the overheads stay small.

    >>> block_rows(784, 100), block_rows(32, 100)
    (2368, 4096)
    """
    return min(4096, max(32, _BLOCK_BYTES // (4 * (columns + centres)) // 32 * 32))


def origin_of(batch: Batch) -> Floats:
    """A point to measure from: zero, or the mean where it is far from zero beside the spread."""
    zero = np.zeros(batch.columns, np.float32)
    if isinstance(batch.features, Csr) or len(batch) == 0:
        return zero
    mean = batch.features.mean(axis=0, dtype=np.float64)
    spread = float(((batch.features[:256] - mean) ** 2).sum(axis=1).mean())
    return mean.astype(np.float32) if float(mean @ mean) > _FAR * spread else zero


def rows_of(batch: Batch, start: int, stop: int, origin: Floats) -> Floats:
    """Rows start..stop as a dense array relative to the origin; may share the batch's memory."""
    features = batch.features
    if isinstance(features, Csr):
        features = features.rows(start, stop).to_dense()
    else:
        features = features[start:stop]
    return features - origin if origin.any() else features


def labels_of(rows: Floats, centres: Floats) -> Labels:
    """Of each row the index of its nearest centre, the first of equals."""
    nearness = rows @ centres.T
    nearness -= 0.5 * np.einsum("ij,ij->i", centres, centres)
    labels: Labels = nearness.argmax(axis=1)
    return labels


def positive(batch: Batch) -> Batch:
    """The batch without the rows that weigh nothing."""
    if batch.weights is None or (batch.weights > 0).all():
        return batch
    return batch.take(np.flatnonzero(batch.weights > 0))


def gather(batch: Batch, centres: Floats, origin: Floats, each: Each = map) -> Evidence:
    """The evidence of a batch about the centres, which are relative to the origin.

    Memory: some blocks of 8 MiB, whatever the rows.
    """
    total = Evidence(np.zeros(centres.shape, np.float64), np.zeros(len(centres), np.float64), 0.0)
    step = block_rows(batch.columns, len(centres))
    squares = 0.0
    # Blocks have the same bounds however many run at once, and add up in order: same bytes.
    for part in each(
        lambda start: _gather_block(batch, start, min(start + step, len(batch)), centres, origin),
        range(0, len(batch), step),
    ):
        total.sums[...] += part.sums
        total.counts[...] += part.counts
        squares += part.squares
    return Evidence(total.sums, total.counts, squares)


def _gather_block(batch: Batch, start: int, stop: int, centres: Floats, origin: Floats) -> Evidence:
    rows = rows_of(batch, start, stop, origin)
    weights = None if batch.weights is None else batch.weights[start:stop]
    # What is not finite shows in the squares, for the caller to refuse.
    with np.errstate(over="ignore", invalid="ignore"):
        labels = labels_of(rows, centres)
        return Evidence(
            sums_by_label(rows, labels, weights, len(centres)),
            np.bincount(labels, weights, len(centres)).astype(np.float64),
            _squares(rows, weights),
        )


def sums_by_label(rows: Floats, labels: Labels, weights: Floats | None, count: int) -> Floats:
    """(count, columns): the weighted sum of the rows of each label."""
    ones = np.ones(len(rows), np.float32) if weights is None else weights.astype(np.float32)
    picks = _sparse().csc_matrix((ones, labels, np.arange(len(rows) + 1)), (count, len(rows)))
    sums: Floats = picks @ rows
    return sums


def _squares(rows: Floats, weights: Floats | None) -> float:
    if weights is None:
        flat = rows.ravel()
        return float(flat @ flat)
    return float(np.einsum("ij,ij->i", rows, rows) @ weights.astype(np.float64))


@functools.cache
def _sparse() -> Any:
    # Late, because it takes 0.1 s and a replica, which only predicts, never needs it.
    return importlib.import_module("scipy.sparse")
