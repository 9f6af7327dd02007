"""Search among rows that are known by a few bytes each, in C."""

from __future__ import annotations

from ctypes import c_void_p
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels.knn import Floats, Int32, address, check, within
from tidemill.kernels.load import SIZE, function, library

WORDS = 256
_P = c_void_p
_PQ = function(
    library("knn_pq"), "knn_pq",
    [_P, _P, _P, _P, _P, _P, _P, SIZE, SIZE, SIZE, SIZE, _P, _P, _P],
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Coded:
    """Rows by their codes, cell by cell.

    codes : (rows, parts) uint8 · terms, numbers : (rows,) · starts : (cells + 1,) rows where cells
    begin
    """

    codes: NDArray[np.uint8]
    terms: Floats
    numbers: Int32
    starts: NDArray[np.int64]

    def __post_init__(self) -> None:
        rows, parts = self.codes.shape
        check(self.codes, np.uint8, (rows, parts))
        check(self.terms, np.float32, (rows,))
        check(self.numbers, np.int32, (rows,))
        check(self.starts, np.int64, (None,))
        within(self.starts, 0, rows + 1)

    def search(self, probes: Int32, bases: Floats, tables: Floats, k: int) -> tuple[Floats, Int32]:
        """(count, k) distances, the least first, and whose they are: infinity and -1 for none.

        probes, bases : (count, some) cells, -1 for none, and what a cell's rows have in common
        tables : (count, parts, 256) what each word of each part adds
        """
        count, some = probes.shape
        parts = self.codes.shape[1]
        check(probes, np.int32, (count, some))
        check(bases, np.float32, (count, some))
        check(tables, np.float32, (count, parts, WORDS))
        within(probes.reshape(-1), -1, len(self.starts) - 1)
        heap = np.empty(k, np.float64)
        distances, found = np.empty((count, k), np.float32), np.empty((count, k), np.int32)
        given = (self.codes, self.terms, self.numbers, self.starts, probes, bases, tables)
        made = (heap, distances, found)
        _PQ(*map(address, given), count, some, parts, k, *map(address, made))
        return distances, found
