"""Exact nearest neighbours in C: a quick first pass over short codes, then a true measure of the
rows that it could not rule out (``knn.c`` says how, and why nothing is lost)."""

from __future__ import annotations

from ctypes import POINTER, Structure, addressof, byref, c_char, c_int64, c_void_p
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels.load import FLOAT, SIZE, function, library

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Int32 = NDArray[np.int32]
Codes = NDArray[Any]
"""(…, 4) bytes, or floats."""
LANES = 16
"""Rows whose codes stand side by side: a group."""
MOST_COLUMNS = 1 << 15
"""Of a code of bytes, lest the sums of products overflow."""
_TILE = 12
_ROOM = 512


class _Rows(Structure):
    _fields_ = [
        *((n, c_void_p) for n in ("vectors", "vector_of", "row_of", "codes", "terms", "most")),
        *((n, c_int64) for n in ("columns", "groups", "steps", "is_inner", "is_bytes")),
    ]


class _Queries(Structure):
    _fields_ = [
        *((n, c_void_p) for n in ("vectors", "codes", "scalars", "base", "unit", "doubt", "limit")),
        *((n, c_void_p) for n in ("values", "places", "waiting", "best", "rows", "found")),
        *((n, c_int64) for n in ("count", "room", "k")),
    ]


_P = c_void_p
_BOTH = [POINTER(_Rows), POINTER(_Queries)]
_LIBRARY = library("knn")
_HAS_BYTES = function(_LIBRARY, "knn_has_bytes", [], SIZE)
_READY = function(_LIBRARY, "knn_ready", [POINTER(_Queries), _P])
_STRAIGHT = function(_LIBRARY, "knn_straight", [POINTER(_Queries), _P, SIZE, SIZE, SIZE])
_BEGIN = function(_LIBRARY, "knn_begin", [*_BOTH, _P, SIZE, _P, _P, _P, _P, _P])
_VISIT = function(_LIBRARY, "knn_visit", [*_BOTH, _P, SIZE, _P, _P, _P, _P, _P])
_NEAR = function(_LIBRARY, "knn_near", [_P, _P, _P, SIZE, SIZE, SIZE, FLOAT, FLOAT, _P, _P])
_SETTLE = function(_LIBRARY, "knn_settle", [*_BOTH, SIZE])
_FINISH = function(_LIBRARY, "knn_finish", [POINTER(_Queries), _P, _P])


def has_bytes() -> bool:
    """Whether this processor can pass over bytes."""
    return bool(_HAS_BYTES())


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows, and what the first pass knows of them.

    vectors : (count, columns) · starts : (cells + 1,) the groups where cells begin
    vector_of, row_of : (groups x 16,) of each place its vector (-1 for none) and its number
    codes : (groups, steps, 16, 4) bytes, or (groups, steps, 16) floats
    terms : (groups, 3, 16) squares, scales of bytes or lengths of floats, lengths of the rest
    most : (groups, 2) of lengths and errors of bytes
    """

    vectors: Floats
    starts: Int32
    vector_of: Int32
    row_of: Int32
    codes: Codes
    terms: Floats
    most: Floats
    is_inner: bool
    struct: _Rows = field(init=False, repr=False)

    def __post_init__(self) -> None:
        groups, steps = self.codes.shape[:2]
        for array, kind in ((self.starts, np.int32), (self.vector_of, np.int32)):
            check(array, kind, (None,))
        check(self.vectors, np.float32, (None, None))
        check(self.vector_of, np.int32, (groups * LANES,))
        check(self.row_of, np.int32, (groups * LANES,))
        check(self.terms, np.float32, (groups, 3, LANES))
        check(self.most, np.float32, (groups, 2))
        if self.is_bytes:
            check(self.codes, np.uint8, (groups, steps, LANES, 4))
        else:
            check(self.codes, np.float32, (groups, steps, LANES))
        within(self.vector_of, -1, len(self.vectors))
        within(self.starts, 0, groups + 1)
        if not len(self.starts) or (np.diff(self.starts) < 0).any():
            raise ValueError("cells must begin one after the other")
        if self.is_bytes and (4 * steps > MOST_COLUMNS or not has_bytes()):
            raise ValueError("bytes need a processor that has them, and fewer columns")
        arrays = (self.vectors, self.vector_of, self.row_of, self.codes, self.terms, self.most)
        sizes = (self.vectors.shape[1], groups, steps, self.is_inner, self.is_bytes)
        object.__setattr__(self, "struct", _Rows(*map(address, arrays), *map(int, sizes)))

    @property
    def is_bytes(self) -> bool:
        return self.codes.dtype == np.uint8

    @property
    def cells(self) -> int:
        return len(self.starts) - 1


class Queries:
    """The queries of one call and what is found for them; not to be shared among threads.

    vectors : (count, columns) · codes : (count, steps, 4) bytes, or (count, steps) floats
    scalars : (count, 4) · base, unit, doubt : (count,), as the C says · k: neighbours of each
    """

    def __init__(
        self,
        rows: Rows,
        vectors: Floats,
        codes: Codes,
        scalars: Floats,
        base: Doubles,
        unit: Doubles,
        doubt: Floats,
        k: int,
    ) -> None:
        count, room, steps = len(vectors), max(_ROOM, 2 * k), rows.codes.shape[1]
        check(vectors, np.float32, (None, rows.vectors.shape[1]))
        if rows.is_bytes:
            check(codes, np.int8, (count, steps, 4))
        else:
            check(codes, np.float32, (count, steps))
        check(scalars, np.float32, (count, 4))
        check(base, np.float64, (count,))
        check(unit, np.float64, (count,))
        check(doubt, np.float32, (count,))
        if k < 1:
            raise ValueError("k must be at least 1")
        self._rows, self._count, self._k = rows, count, k
        self._given = vectors, codes, scalars, base, unit, doubt
        tiles = 4 * steps
        waiting = 4 * count * (room + LANES)
        self._room, at = _room(
            4 * count, waiting, waiting, 4 * count, 8 * count * k, 4 * count * k, 4 * count,
            4 * count, 4 * count + 4, (count + _TILE) * tiles, _TILE * tiles,
        )  # fmt: skip
        self._struct = _Queries(*map(address, self._given), *at[:7], count, room, k)
        self._all, self._which, self._tiles, self._tile = at[7:]
        self._both = byref(rows.struct), byref(self._struct)
        _READY(self._both[1], self._all)

    def begin(self, first: Int32, near: Floats) -> None:
        """Pass over the cell that each query begins with, -1 for none; ``near`` leaves it out then,
        for a row must not come twice."""
        rows = self._rows
        check(first, np.int32, (self._count,))
        check(near, np.float32, (rows.cells, self._count))
        ends = np.empty(rows.cells + 1, np.int32)
        given = map(address, (first, near, ends))
        _BEGIN(*self._both, address(rows.starts), rows.cells, *given, self._which, self._tile)
        _SETTLE(*self._both, self._k)

    def visit(self, near: Floats) -> None:
        """Pass over all cells that may hold a row near enough. near : (cells, count) values that no
        row of a cell is below; infinite for cells not to visit."""
        rows = self._rows
        check(near, np.float32, (rows.cells, self._count))
        room = (self._all, self._which, self._tiles, self._tile)
        _VISIT(*self._both, address(rows.starts), rows.cells, address(near), *room)

    def finish(self) -> tuple[Floats, Int32]:
        """(count, k) distances, the least first, and whose they are: infinity and -1 for none."""
        _SETTLE(*self._both, 1 << 62)
        return _ordered(self._struct)


def straight(vectors: Floats, queries: Floats, k: int, is_inner: bool) -> tuple[Floats, Int32]:
    """What ``Queries`` finds, by measuring all rows: quickest where these are few."""
    count, columns = vectors.shape
    check(vectors, np.float32, (count, columns))
    check(queries, np.float32, (len(queries), columns))
    if k < 1:
        raise ValueError("k must be at least 1")
    asked = len(queries)
    room, at = _room(4 * asked, 4 * asked, 8 * asked * k, 4 * asked * k, 4 * asked, 4 * asked)
    limit, waiting, best, rows, found, every = at
    given = (address(queries), *[None] * 5, limit, None, None, waiting, best, rows, found)
    struct = _Queries(*given, asked, 0, k)
    _READY(byref(struct), every)
    _STRAIGHT(byref(struct), address(vectors), count, columns, int(is_inner))
    return _ordered(struct)


def near(
    products: Floats, centres: Floats, asked: Floats, is_inner: bool, doubt: float, share: float
) -> tuple[Floats, Int32]:
    """(cells, count) values that no row of a cell is below, in place of the products of the cells'
    centres and the queries, and (count,) the cell whose centre is nearest.

    centres : (cells, 4) square, length, radius and rest, the last two rounded up
    asked : (4, count) square and length of z, square of the whole (rounded up), rest
    doubt: how far a product may be off, as a share of the lengths · share: how far z, of the whole
    """
    cells, count = products.shape
    check(products, np.float32, (cells, count))
    check(centres, np.float32, (cells, 4))
    check(asked, np.float32, (4, count))
    best, first = np.empty(count, np.float32), np.empty(count, np.int32)
    given = map(address, (products, centres, asked))
    _NEAR(*given, cells, count, int(is_inner), doubt, share, address(best), address(first))
    return products, first


def address(array: Any) -> int:
    """Where an array's numbers are: of one that stays alive while the pointer is used."""
    if array.size and array.flags.writeable:
        return addressof(c_char.from_buffer(array))  # four times as quick
    pointer: int = array.__array_interface__["data"][0]
    return pointer


def check(array: NDArray[Any], kind: Any, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError unless C may read an array as this; None stands for any length."""
    fits = array.dtype == kind and array.flags.c_contiguous
    if fits and array.shape == shape:
        return
    some = array.ndim == len(shape) and all(
        w is None or w == g for w, g in zip(shape, array.shape, strict=True)
    )
    if not (fits and some):
        raise ValueError(f"an array {shape} of {kind.__name__}; got {array.shape} {array.dtype}")


def within(array: NDArray[Any], low: int, high: int) -> None:
    """Raise ValueError unless all indices are from low to below high."""
    if len(array) and not (low <= array.min() and array.max() < high):
        raise ValueError(f"indices from {low} to below {high}")


def _room(*sizes: int) -> tuple[NDArray[np.uint8], list[int]]:
    """Memory for so many bytes each, and where each begins: one array is quicker than many."""
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + (size + 63) // 64 * 64)
    room = np.empty(starts[-1] + 64, np.uint8)
    base = (address(room) + 63) // 64 * 64
    return room, [base + start for start in starts[:-1]]


def _ordered(queries: _Queries) -> tuple[Floats, Int32]:
    distances = np.empty((queries.count, queries.k), np.float32)
    found = np.empty((queries.count, queries.k), np.int32)
    _FINISH(byref(queries), address(distances), address(found))
    return distances, found
