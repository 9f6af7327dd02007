"""Search that finds exactly what measuring every row would, at a fraction of the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Each
from tidemill.algorithms.knn.cells import (
    Cells,
    Labels,
    add_up,
    nearest,
    sample_size,
    spread,
    trained,
)
from tidemill.algorithms.knn.frame import Asked, Frame
from tidemill.algorithms.knn.plan import Plan, plan
from tidemill.kernels.knn import LANES, Doubles, Floats, Int32, Queries, Rows, straight
from tidemill.kernels.knn_codes import Coding

Probes = NDArray[np.int32]
_BLOCK = 2048
_QUERIES, _FEW = 960, 48
_NEAR_BYTES = 8 << 20
_LOCAL_COLUMNS = 64
_LITTLE, _A_ROW = 1 << 19, 30
_ROUNDING = 2.0**-24


@dataclass(frozen=True, slots=True)
class Searcher:
    """Rows made ready to be searched. Holds their codes, a byte or a float a direction, besides.

    vectors : (rows, columns) · longest: of them, for products
    """

    vectors: Floats
    frame: Frame
    cells: Cells
    coding: Coding
    rows: Rows
    longest: float

    def search(
        self, queries: Floats, k: int, each: Each = map, probes: Probes | None = None
    ) -> tuple[Floats, Int32]:
        """(queries, k) distances, ascending, and whose they are; ties go to the lower number.

        Distances are squares, or minus the products. probes : (queries, some) the cells to look
        into, -1 for none; all if None. Where those hold fewer than k rows there are infinities
        and -1.
        """
        rows, columns = self.vectors.shape
        if probes is None and len(queries) * rows * (columns + _A_ROW) <= _LITTLE:
            return straight(self.vectors, np.ascontiguousarray(queries), k, self.coding.is_inner)
        most = max(_FEW, min(_QUERIES, _NEAR_BYTES // (4 * len(self.cells))))
        blocks = _blocks(len(queries), most)
        if not blocks:
            return np.empty((0, k), np.float32), np.empty((0, k), np.int32)
        parts = each(
            lambda b: self._block(queries[b], k, None if probes is None else probes[b]), blocks
        )
        distances, found = zip(*parts, strict=True)
        if len(distances) == 1:
            return distances[0], found[0]
        return np.concatenate(distances), np.concatenate(found)

    def _block(self, vectors: Floats, k: int, probes: Probes | None) -> tuple[Floats, Int32]:
        asked = self.frame.queries(vectors, self.coding.is_inner)
        queries = self._queries(vectors, asked, k)
        if len(self.cells) == 1:
            queries.visit(np.full((1, len(vectors)), -np.inf, np.float32))
            return queries.finish()
        near, nearest_ = self.cells.near(asked.seen, self.coding.is_inner)
        first = nearest_[None]
        if probes is not None:
            near[~_probed(probes, len(self.cells))] = np.inf
            first = np.ascontiguousarray(probes[:, :1].T)
        for one in self._first(near, first, k):
            queries.begin(np.ascontiguousarray(one), near)
        queries.visit(near)
        return queries.finish()

    def _first(self, near: Floats, first: Int32, k: int) -> Int32:
        """(some, queries) the cells that queries begin with: those nearest, with about twice k rows
        together; none where those would be many."""
        cells = len(self.cells)
        count = -(-2 * k * cells // max(1, len(self.vectors)))
        if count * 4 > cells:
            return first[:0]
        return first if count == 1 else np.argpartition(near, count, 0)[:count].astype(np.int32)

    def _queries(self, vectors: Floats, asked: Asked, k: int) -> Queries:
        seen = asked.seen
        codes, scalars = self.coding.queries(seen.z, seen.squares, seen.rest)
        share = (vectors.shape[1] + 4) * _ROUNDING
        if self.coding.is_inner:
            lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
            doubt = share * self.longest * lengths + 1e-37
        else:
            doubt = np.full(len(vectors), share if share < 1 else np.inf)
        doubt = np.minimum(doubt, np.finfo(np.float32).max).astype(np.float32)
        return Queries(self.rows, vectors, codes, scalars, asked.base, asked.unit, doubt, k)


def searcher(
    vectors: Floats,
    is_inner: bool,
    k: int,
    each: Each = map,
    labels: Labels | None = None,
    cells: int = 0,
) -> Searcher:
    """Make rows ready. k: neighbours that are usually asked for

    labels, cells: the cell of each row, and how many there are, where queries will name those that
    they look into
    """
    made = plan(vectors, is_inner, k)
    coding = Coding(_steps(made), made.is_bytes, is_inner, made.frame.doubt)
    if labels is None:
        centres, labels = _dealt(vectors, made, each)
    else:
        centres = _means(vectors, made.frame, labels, cells)
    places, starts = _places(labels, len(centres))
    vector_of = np.full(int(starts[-1]) * LANES, -1, np.int32)
    vector_of[places] = np.arange(len(vectors), dtype=np.int32)
    blank = coding.blank(int(starts[-1]))
    radius, rest = np.zeros((2, len(centres)))

    def code(block: slice) -> tuple[Labels, Doubles, Doubles]:
        seen, own = made.frame.rows(vectors[block]), labels[block]
        coding.rows(seen.z, seen.squares, seen.rest, places[block], blank)
        return own, spread(seen, own, centres), seen.rest

    for own, far, left in each(code, _blocks(len(vectors))):
        np.maximum.at(radius, own, far)
        np.maximum.at(rest, own, left)
    codes, terms, lengths, errors = blank
    most = np.stack([lengths, errors]).reshape(2, -1, LANES).max(axis=2).T
    held, where = _held(vectors, vector_of)
    return Searcher(
        vectors,
        made.frame,
        Cells(centres, _up(radius), _up(rest)),
        coding,
        Rows(held, starts, where, vector_of, codes, terms, np.ascontiguousarray(most), is_inner),
        _longest(vectors) if is_inner else 0.0,
    )


def _dealt(vectors: Floats, made: Plan, each: Each) -> tuple[Floats, Labels]:
    """Centres of cells, and the cell of each row."""
    if made.cells == 1:
        centre = np.zeros((1, made.frame.directions), np.float32)
        return centre, np.zeros(len(vectors), np.intp)
    size = min(len(vectors), sample_size(made.cells))
    chosen = np.linspace(0, len(vectors) - 1, size).astype(np.intp)
    centres = trained(made.frame.rows(vectors[chosen]).z, made.cells)
    found = each(
        lambda block: nearest(made.frame.rows(vectors[block]).z, centres), _blocks(len(vectors))
    )
    return centres, np.concatenate(list(found))


def _means(vectors: Floats, frame: Frame, labels: Labels, cells: int) -> Floats:
    """The middle of each cell, as the frame sees it."""
    sums, sizes = np.zeros((cells, frame.directions)), np.bincount(labels, minlength=cells)
    for block in _blocks(len(vectors)):
        add_up(sums, frame.rows(vectors[block]).z, labels[block])
    return (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)


def _places(labels: Labels, cells: int) -> tuple[NDArray[np.int64], Int32]:
    """Where rows stand, cell by cell, and the groups where cells begin."""
    sizes = np.bincount(labels, minlength=cells)
    starts = np.concatenate([[0], np.cumsum(-(-sizes // LANES))])
    order = np.argsort(labels, kind="stable")
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    places = np.empty(len(labels), np.int64)
    places[order] = np.arange(len(labels)) - np.repeat(first, sizes)
    places += starts[labels] * LANES
    return places, starts.astype(np.int32)


def _held(vectors: Floats, vector_of: Int32) -> tuple[Floats, Int32]:
    """The vectors to measure: of few columns a copy in the order of places, quicker to read."""
    if vectors.shape[1] > _LOCAL_COLUMNS:
        return vectors, vector_of
    where = np.where(vector_of >= 0, np.arange(len(vector_of), dtype=np.int32), np.int32(-1))
    return vectors.take(np.maximum(vector_of, 0), axis=0), where


def _probed(probes: Probes, cells: int) -> NDArray[np.bool_]:
    """(cells, queries) from (queries, some), of which -1 stands for none."""
    wanted = np.zeros((cells + 1, len(probes)), np.bool_)
    wanted[probes.T, np.arange(len(probes))] = True
    return wanted[:-1]


def _longest(vectors: Floats) -> float:
    squares = [
        np.einsum("ij,ij->i", v, v, dtype=np.float64).max(initial=0)
        for v in (vectors[b] for b in _blocks(len(vectors)))
    ]
    return float(np.sqrt(max(squares, default=0.0)))


def _steps(made: Plan) -> int:
    directions = made.frame.directions
    return -(-directions // 4) if made.is_bytes else directions


def _blocks(rows: int, size: int = _BLOCK) -> Sequence[slice]:
    return [slice(at, min(at + size, rows)) for at in range(0, rows, size)]


def _up(values: NDArray[np.float64]) -> Floats:
    return (values * (1 + 2.0**-20)).astype(np.float32)
