"""Search in a navigable small world in C; a damaged graph is refused, never followed."""

from __future__ import annotations

from ctypes import POINTER, Structure, byref, c_int64, c_void_p
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels.knn import Floats, Int32, address, check, has_bytes, within
from tidemill.kernels.load import SIZE, function, library

Int64 = NDArray[np.int64]
CODE = 64
"""Codes have multiples of this many bytes."""
_P = c_void_p


class _Graph(Structure):
    _fields_ = [
        *((n, c_void_p) for n in ("vectors", "codes", "terms", "offsets", "neighbors", "begins")),
        *((n, c_int64) for n in ("count", "columns", "size", "levels", "entry", "is_inner")),
    ]


class _Asked(Structure):
    _fields_ = [(n, c_void_p) for n in ("vectors", "codes", "scales", "starts")]


_WALK = function(
    library("knn_graph"), "knn_walk",
    [POINTER(_Graph), POINTER(_Asked), SIZE, SIZE, SIZE, SIZE, _P, _P, _P, _P, _P, _P, _P],
)  # fmt: skip


class Room:
    """Where a walk notes what it has seen; for one walk at a time."""

    def __init__(self, rows: int) -> None:
        self.seen = np.zeros(rows, np.int64)
        self.values, self.ways = np.empty(rows, np.float32), np.empty(rows, np.int32)
        self.mark = 0


@dataclass(frozen=True, slots=True)
class Graph:
    """Rows and how they hang together.

    vectors : (count, columns) · codes : (count, size) uint8 with 128 added, or (count, 0)
    terms : (count, 2) squares and scales of the codes · offsets : (count + 1,) where a row's
    neighbours begin · neighbors : level by level, -1 for none · begins : (levels + 1,) of a row's
    neighbours, where those of a level begin · entry: the row to begin with
    """

    vectors: Floats
    codes: NDArray[np.uint8]
    terms: Floats
    offsets: Int64
    neighbors: Int32
    begins: Int32
    entry: int
    is_inner: bool
    struct: _Graph = field(init=False, repr=False)

    def __post_init__(self) -> None:
        count, columns = self.vectors.shape
        size, levels = self.codes.shape[1], len(self.begins) - 1
        check(self.vectors, np.float32, (count, columns))
        check(self.codes, np.uint8, (count, size))
        check(self.terms, np.float32, (count, 2))
        check(self.offsets, np.int64, (count + 1,))
        check(self.neighbors, np.int32, (None,))
        check(self.begins, np.int32, (None,))
        within(self.offsets, 0, len(self.neighbors) + 1)
        within(self.neighbors, -1, count)
        within(self.begins, 0, 1 << 30)
        rises = (np.diff(self.offsets) >= 0).all() and (np.diff(self.begins) >= 0).all()
        if not rises or levels < 1 or not 0 <= self.entry < count or size % CODE:
            raise ValueError("a graph whose rows, levels and neighbours fit each other")
        if size and not has_bytes():
            raise ValueError("codes need a processor that has them")
        arrays = (self.vectors, self.codes, self.terms, self.offsets, self.neighbors, self.begins)
        where = [address(a) if a.size else None for a in arrays]
        sizes = (count, columns, size, levels, self.entry, int(self.is_inner))
        object.__setattr__(self, "struct", _Graph(*where, *sizes))

    def walk(
        self,
        vectors: Floats,
        codes: NDArray[np.int8],
        scales: Floats,
        k: int,
        beam: int,
        room: Room,
    ) -> tuple[Floats, Int32]:
        """(count, k) distances, the least first, and whose they are: infinity and -1 for none.

        codes : (count, size), scales : (count,) times the factor of the products, as of the rows
        beam: rows that a query goes on from at most
        """
        count, beam = len(vectors), min(max(beam, k), len(self.vectors))
        check(vectors, np.float32, (count, self.vectors.shape[1]))
        check(codes, np.int8, (count, self.codes.shape[1]))
        check(scales, np.float32, (count,))
        for array, kind in (
            (room.seen, np.int64),
            (room.values, np.float32),
            (room.ways, np.int32),
        ):
            check(array, kind, (len(self.vectors),))
        starts = -128 * codes.sum(axis=1, dtype=np.int32)
        best, found = np.empty((count, k), np.float32), np.empty((count, k), np.int32)
        kept, held = np.empty(max(beam, 1), np.float64), np.empty(max(beam, 1), np.int32)
        asked = _Asked(*map(address, (vectors, codes, scales, starts)))
        rooms: tuple[Any, ...] = (room.seen, room.values, room.ways, kept, held, best, found)
        _WALK(byref(self.struct), byref(asked), count, k, beam, room.mark, *map(address, rooms))
        room.mark += count
        return best, found
