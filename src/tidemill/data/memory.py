"""Data already in memory, whatever library holds it, as arrays that a batch can be made of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Batch, Csr, floats
from tidemill.errors import InvalidData

Matrix = NDArray[Any]
HOLDERS = (
    "Give a NumPy array, a pandas DataFrame, an Arrow table, a SciPy sparse matrix or nested lists."
)


def features_of(data: Any) -> Matrix | Csr:
    """(rows, columns) numbers of any type, without a copy where possible.

    data: NumPy array, pandas DataFrame, polars DataFrame, Arrow table, SciPy sparse matrix or
    array, Csr, or nested lists. A single row may have one dimension. Raises InvalidData.
    """
    if isinstance(data, Csr):
        return data
    if hasattr(data, "tocsr"):
        return _csr(data.tocsr())
    array = _array(data, "features")
    if array.ndim == 1:
        array = array[None, :]
    if array.ndim != 2:
        raise InvalidData(
            "features must have two dimensions, rows and columns", got=array.shape, do=HOLDERS
        )
    return array


def labels_of(data: Any, rows: int) -> Matrix | None:
    """(rows,) or (rows, width) numbers, or None for None. Raises InvalidData."""
    if data is None:
        return None
    array = _array(data, "labels")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or len(array) != rows:
        raise InvalidData(
            f"labels must have {rows} rows, as the features",
            got=array.shape,
            do="Pass one per row.",
        )
    return array


def _array(data: Any, what: str) -> Matrix:
    """The numbers of anything that is not sparse."""
    if hasattr(data, "column_names") and hasattr(data, "to_batches"):  # an Arrow table
        columns = [column.to_numpy() for column in data.columns]
        array = np.column_stack(columns) if columns else np.empty((0, 0))
    elif hasattr(data, "to_numpy"):  # pandas, polars, Arrow arrays
        array = np.asarray(data.to_numpy())
    else:
        try:
            array = np.asarray(data)
        except ValueError as error:
            raise InvalidData(
                f"{what} must have rows of one length", got=str(error), do=HOLDERS
            ) from None
    if array.dtype == object:
        array = _numbers(array, what)
    if array.dtype.kind not in "fiub":
        raise InvalidData(f"{what} must be numbers", got=str(array.dtype), do=HOLDERS)
    return array


def _numbers(array: Matrix, what: str) -> Matrix:
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidData(
            f"{what} must be numbers", got=str(error), do="Encode text and categories as numbers."
        ) from None


def _csr(matrix: Any) -> Csr:
    return Csr(
        np.asarray(matrix.indptr, np.int64),
        np.asarray(matrix.indices, np.int64),
        floats(matrix.data),
        int(matrix.shape[1]),
    )


BLOCK, SMALL_BLOCK = 4 << 20, 256 << 10
"""Bytes of a block, and of one that is drawn and shuffled with others."""


class MemorySource(NamedTuple):
    """Rows in memory; blocks of float32 rows share the array's memory."""

    features: Matrix | Csr
    labels: Matrix | None
    weights: Matrix | None
    batch_rows: int
    name: str = "data in memory"

    def open(self, is_random: bool) -> MemoryShard:
        fitting = (SMALL_BLOCK if is_random else BLOCK) // (4 * max(1, self.features.shape[1]))
        # in order, blocks hold whole batches, so that every batch is a view of the array
        rows = fitting if is_random else max(1, fitting // self.batch_rows) * self.batch_rows
        return MemoryShard(self, max(1, rows))


class MemoryShard:
    """The one shard of data in memory; offsets count rows."""

    def __init__(self, source: MemorySource, rows: int) -> None:
        self.name = source.name
        self._source = source
        self._rows = rows

    def cut(self, start: int) -> int:
        return min(len(self._source.features), start + self._rows)

    def read(self, start: int, stop: int) -> Batch:
        features, labels, weights = self._source[:3]
        return Batch(
            features.rows(start, stop)
            if isinstance(features, Csr)
            else floats(features[start:stop]),
            None if labels is None else floats(labels[start:stop]),
            None if weights is None else floats(weights[start:stop]),
        )

    def close(self) -> None:
        """Nothing to give back."""
