"""The unit that flows: some thousand rows in memory, never a whole data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tidemill.data.text import Text, join_text

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)


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
        bounds = self.indptr[start : stop + 1]
        stored = slice(bounds[0], bounds[-1])
        return Csr(bounds - bounds[0], self.indices[stored], self.values[stored], self.columns)

    def take(self, order: Integers) -> Csr:
        """The rows at these indices, in this order, copied."""
        lengths = np.diff(self.indptr)[order]
        stored = spread(self.indptr[:-1][order], lengths)
        return Csr(
            pointers(lengths), self.indices.take(stored), self.values.take(stored), self.columns
        )

    def to_dense(self) -> Floats:
        """The same rows as a (rows, columns) array; entries stored twice are added up."""
        dense = np.zeros(self.shape, np.float32)
        places = np.repeat(np.arange(len(self)) * self.columns, np.diff(self.indptr))
        places += self.indices
        np.add.at(dense.reshape(-1), places, self.values)
        return dense


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in arrival order.

    features : (rows, columns) float32, dense (C-contiguous) or Csr
    labels   : (rows,) or (rows, width) float32, or None where the channel carries none
    weights  : (rows,) float32, or None for all ones
    text     : the rows where they are lines of text, whose features then have no columns
    groups   : (rows,) int64, rows of one query have one number, or None where there are none
    """

    features: Floats | Csr
    labels: Floats | None = None
    weights: Floats | None = None
    text: Text | None = None
    groups: Integers | None = None

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
            None if self.text is None else self.text.rows(start, min(stop, len(self))),
            None if self.groups is None else self.groups[cut],
        )

    def take(self, order: Integers) -> Batch:
        """The rows at these indices, in this order, copied."""
        return Batch(
            # twice as fast as features[order]
            self.features.take(order)
            if isinstance(self.features, Csr)
            else self.features.take(order, axis=0),
            None if self.labels is None else self.labels.take(order, axis=0),
            None if self.weights is None else self.weights.take(order),
            None if self.text is None else self.text.take(order),
            None if self.groups is None else self.groups.take(order),
        )

    def split(self, rows: int) -> Iterator[Batch]:
        """Cut into batches of at most ``rows`` rows, sharing memory."""
        for at in range(0, len(self), rows):
            yield self.rows(at, min(at + rows, len(self)))


def concatenate(batches: Sequence[Batch]) -> Batch:
    """All rows of one or more batches of one width as one batch; a single one is given back.

    Dense and sparse together become sparse. Labels, groups and text must be in all or in none;
    where only some have weights, the rows of the others weigh one.
    """
    if len(batches) == 1:
        return batches[0]
    features = [b.features for b in batches]
    dense = [f for f in features if not isinstance(f, Csr)]
    return Batch(
        np.concatenate(dense)
        if len(dense) == len(features)
        else _join([f if isinstance(f, Csr) else to_csr(f) for f in features]),
        _stack([b.labels for b in batches]),
        _stack(_all_weights(batches)),
        join_text(texts) if (texts := [b.text for b in batches if b.text is not None]) else None,
        _stack([b.groups for b in batches]),
    )


def of_text(text: Text, labels: Floats | None = None) -> Batch:
    """A batch whose rows are lines of text."""
    return Batch(np.empty((len(text), 0), np.float32), labels, text=text)


def floats(array: NDArray[Any]) -> Floats:
    """Numbers of any type as float32, C-contiguous and aligned; copied only if they are not.

    Numbers beyond float32 become infinite.
    """
    if array.dtype == np.float32 and array.flags.c_contiguous and array.flags.aligned:
        return array
    with np.errstate(over="ignore"):
        return np.array(array, np.float32, order="C")


def to_csr(dense: Floats) -> Csr:
    """A dense array's non-zero entries as sparse rows."""
    rows, columns = np.nonzero(dense)
    counts = np.bincount(rows, minlength=len(dense))
    return Csr(pointers(counts), columns.astype(np.int64), dense[rows, columns], dense.shape[1])


def pointers(lengths: Integers) -> Integers:
    """Where each row starts, and the end of the last: (rows + 1,) from (rows,) lengths."""
    out = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=out[1:])
    return out


def spread(starts: Integers, lengths: Integers) -> Integers:
    """The indices of many ranges, one after the other, without a loop over them.

    >>> spread(np.array([7, 20]), np.array([3, 2])).tolist()
    [7, 8, 9, 20, 21]
    """
    before = pointers(lengths)
    indices = np.repeat(starts - before[:-1], lengths)
    indices += np.arange(before[-1])
    return indices


def _all_weights(batches: Sequence[Batch]) -> list[Floats | None]:
    if all(b.weights is None for b in batches):
        return []
    return [np.ones(len(b), np.float32) if b.weights is None else b.weights for b in batches]


def _stack(parts: Sequence[NDArray[Number] | None]) -> NDArray[Number] | None:
    present = [p for p in parts if p is not None]
    return np.concatenate(present) if present else None


def _join(parts: Sequence[Csr]) -> Csr:
    return Csr(
        pointers(np.concatenate([np.diff(p.indptr) for p in parts])),
        np.concatenate([p.indices for p in parts]),
        np.concatenate([p.values for p in parts]),
        parts[0].columns,
    )
