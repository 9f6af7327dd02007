"""Sparse mini-batches for training: only the columns that occur are worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill.data.batch import Csr, Integers

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def compact(rows: Csr) -> tuple[csr_array[Any, tuple[int, int]], Integers]:
    """The rows over the columns that occur in them, and which these are (sorted)."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - only when sparse rows really come

    occurs = np.zeros(rows.columns, np.bool_)
    occurs[rows.indices] = True
    touched = np.flatnonzero(occurs)
    place = np.empty(rows.columns, np.int32)
    place[touched] = np.arange(len(touched), dtype=np.int32)
    pointers = rows.indptr.astype(np.int32)
    matrix = csr_array(
        (rows.values, place[rows.indices], pointers), shape=(len(rows), len(touched))
    )
    return matrix, touched


def whole(rows: Csr) -> csr_array[Any, tuple[int, int]]:
    """The same rows, over all columns."""
    from scipy.sparse import csr_array  # noqa: PLC0415 - only when sparse rows really come

    shape = rows.shape
    return csr_array((rows.values, rows.indices, rows.indptr), shape=shape)
