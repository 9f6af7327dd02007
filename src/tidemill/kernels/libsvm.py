"""Lines of libsvm into arrays, some hundred megabytes a second."""

from __future__ import annotations

import ctypes
import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels.load import BYTES, FLOATS, INT64, SIZE, function, library

Bytes = NDArray[np.uint8]
MOST_COLUMNS = 2**31 - 1


class Table(NamedTuple):
    """Room for the rows of a block, and how much of it is filled.

    labels, weights : (most rows,) float32 · groups : (most rows,) int64 · indptr : (most rows + 1,)
    indices, values : (most entries,) int64 and float32
    counts : (5,) int64 of rows, entries, rows with a weight, rows with a group, and entries whose
    index is not above the one before
    """

    labels: NDArray[np.float32]
    weights: NDArray[np.float32]
    groups: NDArray[np.int64]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    values: NDArray[np.float32]
    counts: NDArray[np.int64]


def room_for(data: Bytes) -> Table:
    """A table that all lines of a block fit into."""
    lines, colons = np.zeros(1, np.int64), np.zeros(1, np.int64)
    _functions().count(np.ascontiguousarray(data), len(data), lines, colons)
    rows, entries = int(lines[0]), int(colons[0])
    return Table(
        np.empty(rows, np.float32),
        np.empty(rows, np.float32),
        np.empty(rows, np.int64),
        np.zeros(rows + 1, np.int64),
        np.empty(entries, np.int64),
        np.empty(entries, np.float32),
        np.zeros(5, np.int64),
    )


def read(data: Bytes, table: Table, *, columns: int, base: int, is_labelled: bool) -> int:
    """Append whole lines to a table that has room for them; the bytes that were read.

    Fewer than all when a line must be read in another way: it begins there, and nothing of it is in
    the table. Indices are from ``base`` to ``base + columns - 1``; without is_labelled a label may
    be left out, and is not kept.
    """
    done: int = _functions().read(
        np.ascontiguousarray(data), len(data), columns, base, is_labelled, *table
    )
    return done


def highest(data: Bytes, *, is_labelled: bool) -> int:
    """The highest index of whole lines, -1 when they have no entry."""
    found: int = _functions().highest(np.ascontiguousarray(data), len(data), is_labelled)
    return found


class _Functions(NamedTuple):
    count: Any
    read: Any
    highest: Any


@functools.cache
def _functions() -> _Functions:
    found = library("libsvm")
    table = [FLOATS, FLOATS, INT64, INT64, INT64, FLOATS, INT64]
    return _Functions(
        function(found, "libsvm_count", [BYTES, SIZE, INT64, INT64]),
        function(found, "libsvm_read", [BYTES, *[SIZE] * 4, *table], ctypes.c_int64),
        function(found, "libsvm_highest", [BYTES, SIZE, SIZE], ctypes.c_int64),
    )
