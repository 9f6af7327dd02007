"""Rows made ready to be searched exactly: seen from a frame, dealt to cells, coded."""

from __future__ import annotations

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
from tidemill.algorithms.knn.exact import Searcher
from tidemill.algorithms.knn.frame import Frame
from tidemill.algorithms.knn.plan import Plan, plan
from tidemill.kernels.knn import LANES, Doubles, Floats, Int32, Rows
from tidemill.kernels.knn_codes import Coding

_BLOCK = 2048
_LOCAL_COLUMNS = 64


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
    frame = made.frame
    coding = Coding(_steps(made), made.is_bytes, is_inner, frame.doubt, frame.far)
    if labels is None:
        centres, labels = _dealt(vectors, made, each)
    else:
        centres = _means(vectors, frame, labels, cells)
    places, starts = _places(labels, len(centres))
    vector_of = np.full(int(starts[-1]) * LANES, -1, np.int32)
    vector_of[places] = np.arange(len(vectors), dtype=np.int32)
    blank = coding.blank(int(starts[-1]))
    radius, rest = np.zeros((2, len(centres)))

    def code(block: slice) -> tuple[Labels, Doubles, Doubles]:
        seen, own = frame.rows(vectors[block]), labels[block]
        coding.rows(seen.z, seen.squares, seen.rest, places[block], blank)
        return own, spread(seen, own, centres, frame), seen.rest

    for own, far, left in each(code, _blocks(len(vectors))):
        np.maximum.at(radius, own, far)
        np.maximum.at(rest, own, left)
    codes, terms, lengths, errors = blank
    most = np.stack([lengths, errors]).reshape(2, -1, LANES).max(axis=2).T
    held, where = _held(vectors, vector_of)
    return Searcher(
        vectors,
        frame,
        Cells(centres, _up(radius), _up(rest), frame.doubt),
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


def _longest(vectors: Floats) -> float:
    squares = [
        np.einsum("ij,ij->i", v, v, dtype=np.float64).max(initial=0)
        for v in (vectors[b] for b in _blocks(len(vectors)))
    ]
    return float(np.sqrt(max(squares, default=0.0)))


def _steps(made: Plan) -> int:
    directions = made.frame.directions
    return -(-directions // 4) if made.is_bytes else directions


def _blocks(rows: int) -> list[slice]:
    return [slice(at, min(at + _BLOCK, rows)) for at in range(0, rows, _BLOCK)]


def _up(values: NDArray[np.float64]) -> Floats:
    return (values * (1 + 2.0**-20)).astype(np.float32)
