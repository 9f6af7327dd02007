"""The unit that flows: some thousand rows in memory, never a whole data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Csr:
    """Sparse rows: row i has ``values[indptr[i]:indptr[i + 1]]`` at columns ``indices[…]``.

    indptr : (rows + 1,) int64 · indices : (stored,) int64 · values : (stored,) float32
    """

    indptr: Integers
    indices: Integers
    values: Floats
    columns: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self.columns

    def rows(self, start: int, stop: int) -> Csr:
        """Rows start..stop, sharing the stored values."""
        pointers = self.indptr[start : stop + 1]
        stored = slice(pointers[0], pointers[-1])
        return Csr(pointers - pointers[0], self.indices[stored], self.values[stored], self.columns)

    def to_dense(self) -> Floats:
        """The same rows as a (rows, columns) array; entries stored twice are added up."""
        dense = np.zeros(self.shape, np.float32)
        row_of = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        np.add.at(dense, (row_of, self.indices), self.values)
        return dense


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in arrival order.

    features : (rows, columns) float32, dense (C-contiguous) or Csr
    labels   : (rows,) or (rows, width) float32, or None where the channel carries none
    weights  : (rows,) float32, or None for all ones
    """

    features: Floats | Csr
    labels: Floats | None = None
    weights: Floats | None = None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def columns(self) -> int:
        return int(self.features.shape[1])

    def dense(self) -> Floats:
        """The features as a (rows, columns) array, without a copy when they are one already."""
        return self.features.to_dense() if isinstance(self.features, Csr) else self.features

    def rows(self, start: int, stop: int) -> Batch:
        """Rows start..stop, sharing memory."""
        cut = slice(start, stop)
        features = self.features
        return Batch(
            features.rows(start, min(stop, len(self)))
            if isinstance(features, Csr)
            else features[cut],
            None if self.labels is None else self.labels[cut],
            None if self.weights is None else self.weights[cut],
        )

    def split(self, rows: int) -> Iterator[Batch]:
        """Cut into batches of at most ``rows`` rows, sharing memory."""
        for at in range(0, len(self), rows):
            yield self.rows(at, min(at + rows, len(self)))
