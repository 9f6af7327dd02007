"""Rows as documents: counts of words, checked, some hundred documents at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.lda.hyperparameters import NAME
from tidemill.data.batch import Batch, Csr, to_csr
from tidemill.errors import InvalidData, amount
from tidemill.kernels import lda as kernel
from tidemill.kernels.lda import Documents

Doubles = NDArray[np.float64]
Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""What ``map`` does, perhaps side by side: results come in the order of the items."""

CHUNK = 2048
_ROWS, _WORDS = 256, 1024


def chunks(batch: Batch, columns: int, seen: int = 0) -> Iterator[tuple[Documents, Doubles | None]]:
    """Documents and their weights, ``CHUNK`` rows at a time.

    columns: words of the vocabulary · seen: rows before these, for errors to name the right one.
    Raises InvalidData that names row and column of what is no count.
    """
    if batch.columns != columns:
        raise width_error(columns, batch.columns)
    for start in range(0, len(batch), CHUNK):
        rows = batch.rows(start, min(start + CHUNK, len(batch)))
        weights = None if rows.weights is None else rows.weights.astype(np.float64)
        yield _indexed(rows, seen + start), weights


def row_ranges(documents: Documents) -> list[tuple[int, int]]:
    """All documents, cut into ranges for work side by side."""
    return _ranges(len(documents), _ROWS)


def word_ranges(documents: Documents) -> list[tuple[int, int]]:
    """All words that occur, cut into ranges for work side by side."""
    return _ranges(len(documents.words), _WORDS)


def run(each: Each, work: Callable[[tuple[int, int]], Any], ranges: list[tuple[int, int]]) -> None:
    """Do the work on every range."""
    for _ in each(work, ranges):
        pass


def width_error(wanted: int, got: int) -> InvalidData:
    """Rows of another width than the vocabulary."""
    return InvalidData(
        f"{NAME}: rows must have {amount(wanted, 'feature')}, as feature_dim says",
        got=amount(got, "feature"),
        do="Set feature_dim to the width of the rows, or send rows of that width.",
    )


def _indexed(rows: Batch, seen: int) -> Documents:
    features = rows.features
    sparse = features if isinstance(features, Csr) else to_csr(features)
    # As the kernel takes them; copied only where they are not so already.
    indptr, indices = (np.ascontiguousarray(a, np.int64) for a in (sparse.indptr, sparse.indices))
    values = np.ascontiguousarray(sparse.values, np.float32)
    try:
        return kernel.index(indptr, indices, values, sparse.columns)
    except kernel.Fault as fault:
        row = int(np.searchsorted(indptr, fault.entry, side="right")) - 1
        raise InvalidData(
            f"{NAME}: row {seen + row + 1}, feature {int(indices[fault.entry]) + 1}: must be a "
            f"count of words, from 0 to {kernel.MOST_COUNT:g}",
            got=float(values[fault.entry]),
            do="Send how often each word of the vocabulary comes in the document.",
        ) from None


def _ranges(count: int, step: int) -> list[tuple[int, int]]:
    return [(at, min(at + step, count)) for at in range(0, count, step)]
