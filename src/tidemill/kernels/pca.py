"""The products of every two columns of sparse rows, added up."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.errors import InvalidData
from tidemill.kernels.load import DOUBLES, FLOATS, INT64, SIZE, function, library

Integers = NDArray[np.int64]


def check_rows(indptr: Integers, indices: Integers, stored: int, columns: int) -> None:
    """Raise InvalidData unless these are the pointers and columns of so many stored values."""
    sound = (
        len(indices) == stored
        and len(indptr) > 0
        and indptr[0] == 0
        and indptr[-1] == stored
        and bool((indptr[1:] >= indptr[:-1]).all())  # differences might overflow
    )
    if sound and stored:
        sound = int(indices.min()) >= 0 and int(indices.max()) < columns
    if not sound:
        raise InvalidData(
            f"sparse rows must store values at columns from 0 to {columns - 1}, row after row",
            got="pointers or columns out of range",
            do="Check how the rows were made.",
        )


def scatter(
    indptr: Integers,
    indices: Integers,
    values: NDArray[np.float32],
    weights: NDArray[np.float32] | None,
    table: NDArray[np.float64],
    bounds: tuple[int, int],
) -> None:
    """Add ``sum of weight · row ⊗ row`` to the lower triangle of a (columns, columns) table.

    The rows must have passed ``check_rows``, of the table's columns.
    bounds: the rows of the table to work on; calls for others may run side by side
    """
    rows, columns = len(indptr) - 1, len(table)
    if table.shape != (columns, columns) or (weights is not None and weights.shape != (rows,)):
        raise ValueError(f"no room for {rows} rows of {columns} columns in {table.shape}")
    low, high = max(0, bounds[0]), min(columns, bounds[1])
    own = None if weights is None else np.ascontiguousarray(weights, np.float32)
    address = None if own is None else own.ctypes.data
    _scatter()(indptr, indices, values, address, rows, columns, low, high, table)


@functools.cache
def _scatter() -> Any:
    takes = [INT64, INT64, FLOATS, ctypes.c_void_p, SIZE, SIZE, SIZE, SIZE, DOUBLES]
    return function(library("pca"), "scatter", takes)
