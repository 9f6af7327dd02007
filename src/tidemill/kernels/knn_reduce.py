"""Random projections in C: a vector comes out as the same bytes whatever vectors are beside it."""

from __future__ import annotations

from ctypes import c_void_p

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels.knn import Floats, address, check, within
from tidemill.kernels.load import DOUBLE, SIZE, function, library

WIDE = 64
"""Columns of signs come in multiples of this."""
_P = c_void_p
_LIBRARY = library("knn_reduce")
_PROJECT = function(_LIBRARY, "knn_project", [_P, SIZE, SIZE, _P, SIZE, DOUBLE, _P])
_HADAMARD = function(_LIBRARY, "knn_hadamard", [_P, SIZE, SIZE, _P, SIZE, _P, SIZE, DOUBLE, _P, _P])


def project(vectors: Floats, signs: Floats, factor: float) -> Floats:
    """(count, target) the vectors times signs (columns, target) and a factor. target: a multiple of
    ``WIDE``"""
    count, columns = vectors.shape
    target = signs.shape[1]
    check(vectors, np.float32, (count, columns))
    check(signs, np.float32, (columns, target))
    if target % WIDE:
        raise ValueError(f"signs of a multiple of {WIDE} columns")
    out = np.empty((count, target), np.float32)
    _PROJECT(address(vectors), count, columns, address(signs), target, factor, address(out))
    return out


def hadamard(
    vectors: Floats, signs: Floats, chosen: NDArray[np.int64], size: int, factor: float
) -> Floats:
    """(count, target) chosen columns of the Walsh-Hadamard transform of the vectors times signs.

    signs : (columns,) · size: of the transform, a power of two, at least columns
    """
    count, columns = vectors.shape
    check(vectors, np.float32, (count, columns))
    check(signs, np.float32, (columns,))
    check(chosen, np.int64, (None,))
    within(chosen, 0, size)
    if size < columns or size & (size - 1):
        raise ValueError("a power of two, no less than the columns")
    out, room = np.empty((count, len(chosen)), np.float32), np.empty(size, np.float32)
    _HADAMARD(
        address(vectors), count, columns, address(signs), size, address(chosen), len(chosen),
        factor, address(room), address(out),
    )  # fmt: skip
    return out
