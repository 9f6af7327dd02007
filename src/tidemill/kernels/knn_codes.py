"""Vectors as the short codes that the first pass of ``kernels.knn`` goes over."""

from __future__ import annotations

from ctypes import c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels.knn import LANES, Codes, Doubles, Floats, address, check, within
from tidemill.kernels.load import DOUBLE, SIZE, function, library

_P = c_void_p
_LIBRARY = library("knn_codes")
_RELATE = function(_LIBRARY, "knn_relate", [_P, _P, SIZE, SIZE, _P, _P, _P])
_RESTS = function(_LIBRARY, "knn_rests", [_P, _P, SIZE, SIZE, DOUBLE, _P])
_ENCODE_ROWS = function(
    _LIBRARY, "knn_encode_rows",
    [_P, _P, _P, _P, SIZE, SIZE, SIZE, SIZE, SIZE, DOUBLE, DOUBLE, _P, _P, _P, _P, _P],
)  # fmt: skip
_ENCODE_QUERIES = function(
    _LIBRARY, "knn_encode_queries", [_P, _P, SIZE, SIZE, SIZE, SIZE, DOUBLE, DOUBLE, _P, _P, _P]
)


def relate(vectors: Floats, centre: Floats, unit: Floats) -> tuple[Floats, Doubles]:
    """Vectors relative to a centre, times their units, and the squares of their lengths."""
    count, columns = vectors.shape
    check(vectors, np.float32, (count, columns))
    check(centre, np.float32, (columns,))
    check(unit, np.float32, (count,))
    relative, squares = np.empty_like(vectors), np.empty(count, np.float64)
    arrays = (unit, relative, squares)
    _RELATE(address(vectors), address(centre), count, columns, *map(address, arrays))
    return relative, squares


def rests(z: Floats, squares: Doubles, doubt: float) -> Doubles:
    """Lengths of what z leaves of vectors of these squares. doubt: z's error, as a share."""
    count, columns = z.shape
    check(z, np.float32, (count, columns))
    check(squares, np.float64, (count,))
    left = np.empty(count, np.float64)
    _RESTS(address(z), address(squares), count, columns, doubt, address(left))
    return left


@dataclass(frozen=True, slots=True)
class Coding:
    """How vectors are coded.

    steps: see Rows · doubt: see ``rests`` · far: what rounding of the centre's products may add up
    to, as a length
    """

    steps: int
    is_bytes: bool
    is_inner: bool
    doubt: float
    far: float = 0.0

    def blank(self, groups: int) -> tuple[Codes, Floats, Floats, Floats]:
        """Codes, terms, lengths and errors of places without rows."""
        shape = (groups, self.steps, LANES)
        codes: Codes = (
            np.full((*shape, 4), 128, np.uint8) if self.is_bytes else np.zeros(shape, np.float32)
        )
        terms = np.zeros((groups, 3, LANES), np.float32)
        terms[:, 0] = np.inf
        return codes, terms, *np.zeros((2, groups * LANES), np.float32)

    def rows(
        self, z: Floats, squares: Doubles, left: Doubles, places: NDArray[np.int64],
        blank: tuple[Codes, Floats, Floats, Floats],
    ) -> None:  # fmt: skip
        """Code rows into their places in what was blank. left: see ``rests``"""
        count, columns = z.shape
        codes, terms, lengths, errors = blank
        groups = len(codes)
        self._fits(z, squares, left)
        check(places, np.int64, (count,))
        within(places, 0, groups * LANES)
        check(terms, np.float32, (groups, 3, LANES))
        for array in (lengths, errors):
            check(array, np.float32, (groups * LANES,))
        check(codes, *self._shape(groups))
        code = np.zeros(4 * self.steps, np.int8)
        _ENCODE_ROWS(
            *map(address, (z, squares, left, places)), count, columns, self.steps,
            int(self.is_inner), int(self.is_bytes), self.doubt, self.far,
            *map(address, (codes, terms, lengths, errors, code)),
        )  # fmt: skip

    def queries(self, z: Floats, squares: Doubles, left: Doubles) -> tuple[Codes, Floats]:
        """Codes and scalars of queries."""
        count, columns = z.shape
        self._fits(z, squares, left)
        codes: Codes = np.zeros((count, self.steps, 4), np.int8) if self.is_bytes else z
        scalars = np.empty((count, 4), np.float32)
        _ENCODE_QUERIES(
            *map(address, (z, squares)), count, columns, self.steps, int(self.is_bytes), self.doubt,
            1.0 if self.is_inner else 2.0, *map(address, (left, codes, scalars)),
        )  # fmt: skip
        return codes, scalars

    def _shape(self, groups: int) -> tuple[Any, tuple[int, ...]]:
        shape = (groups, self.steps, LANES)
        return (np.uint8, (*shape, 4)) if self.is_bytes else (np.float32, shape)

    def _fits(self, z: Floats, squares: Doubles, left: Doubles) -> None:
        most = 4 * self.steps if self.is_bytes else self.steps
        check(z, np.float32, (None, None))
        check(squares, np.float64, (len(z),))
        check(left, np.float64, (len(z),))
        if z.shape[1] > most or (not self.is_bytes and z.shape[1] != most):
            raise ValueError(f"{most} columns")
