"""Random cut trees in C: grown from rows, laid out, and walked by rows that want a score.

``randomcutforest_grow.c`` and ``randomcutforest.c`` say how.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, byref, c_int64, c_void_p
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels import sound
from tidemill.kernels.load import (
    DOUBLES,
    FLOATS,
    INT32,
    INT64,
    SEED,
    SIZE,
    function,
    library,
)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
FARTHEST = 1e30
"""Numbers farther from zero than this are neither grown from nor scored."""
_SIDE = 16
_STEP, _CLIMB, _LEAF = 16, 16, 16
_MOST_NODES = 1 << 26
_ROOM_FLOATS, _FEWEST_ROWS, _MOST_ROWS = 1 << 18, 64, 4096


class _Forest(Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("steps", "climbs", "leaves", "boxes", "points", "nodes")),
        *((name, c_int64) for name in ("trees", "columns", "padded")),
    ]


class _Room(Structure):
    _fields_ = [
        *(
            (name, c_void_p)
            for name in ("rows", "scores", "keys", "where", "list", "node", "inside")
        ),
        ("block", c_int64),
    ]


_LIBRARY = library("randomcutforest")
_GROW = function(
    library("randomcutforest_grow"), "forest_grow",
    [FLOATS, SIZE, INT32, SIZE, SEED, FLOATS, INT32, INT32, FLOATS, INT32, INT32, INT32],
    ctypes.c_int64,
)  # fmt: skip
_LAY_OUT = function(
    _LIBRARY, "forest_lay_out",
    [
        FLOATS, SIZE, SIZE, SIZE, SIZE, INT64, SIZE,
        INT32, FLOATS, INT32, INT32, INT32, c_void_p, c_void_p, c_void_p, c_void_p,
    ],
    ctypes.c_int64,
)  # fmt: skip
_SCORE = function(
    _LIBRARY, "forest_score", [POINTER(_Forest), POINTER(_Room), FLOATS, SIZE, DOUBLES],
    ctypes.c_int64,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees of cuts over rows that stand elsewhere, one after the other.

    A tree has its nodes, the first at the top and every one before its children, and one leaf more.

    nodes : (trees,) int64, of each
    column, cut : (all nodes,) int32 and float32: rows not above the cut go left
    child : (all nodes, 2) int32: left and right, each a node of the tree, or ~ a leaf of it
    leaf_row, leaf_mass : (all leaves,) int32: one of the rows there, all equal, and how many
    """

    nodes: Int64
    column: Int32
    cut: Floats
    child: Int32
    leaf_row: Int32
    leaf_mass: Int32

    def check(self) -> None:
        """Raise ValueError unless arrays are as long as the trees' nodes say."""
        sound.shaped("nodes", self.nodes, None)
        sound.shaped("column", self.column, None)
        nodes = len(self.column)
        leaves = nodes + len(self.nodes)
        sound.shaped("cut", self.cut, nodes)
        sound.shaped("child", self.child, nodes, 2)
        sound.shaped("leaf_row", self.leaf_row, leaves)
        sound.shaped("leaf_mass", self.leaf_mass, leaves)
        sound.within("nodes", self.nodes, 0, _MOST_NODES)
        sound.require(len(self.nodes) > 0 and int(self.nodes.sum()) == nodes, "nodes are of trees")


def grow(rows: Floats, members: Int32, key: int) -> Trees:
    """One tree of the rows with these indices; the same key cuts alike. Rows must be finite."""
    size, columns = len(members), rows.shape[1]
    if not size or not columns or members.min() < 0 or members.max() >= len(rows):
        raise ValueError("a tree grows from one or more rows that there are")
    child, ints = np.empty((size, 2), np.int32), np.empty((3, size), np.int32)
    cut, box, pending = (
        np.empty(size, np.float32),
        np.empty(2 * columns, np.float32),
        np.empty(3 * size, np.int32),
    )
    column, leaf_row, leaf_mass = ints
    nodes = _GROW(
        rows, columns, members.copy(), size, key, box, pending,
        column, cut, child, leaf_row, leaf_mass,
    )  # fmt: skip
    return Trees(
        np.array([nodes]),
        column[:nodes],
        cut[:nodes],
        child[:nodes],
        leaf_row[: nodes + 1],
        leaf_mass[: nodes + 1],
    )


def join(parts: list[Trees]) -> Trees:
    """The trees of all."""
    return Trees(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("nodes", "column", "cut", "child", "leaf_row", "leaf_mass")
        )
    )


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """Trees laid out to be walked: 4 x (2 x columns + 12) bytes a node, and the points.

    points : (rows, padded) float32 · boxes : (all nodes, 2, padded) float32, lows and highs
    steps, climbs, leaves: what C makes of the trees
    """

    columns: int
    nodes: Int64
    points: Floats
    boxes: Floats
    steps: Int32
    climbs: Int32
    leaves: Int32

    def _forest(self) -> _Forest:
        arrays = (self.steps, self.climbs, self.leaves, self.boxes, self.points, self.nodes)
        ends = len(self.nodes), self.columns, self.points.shape[1]
        return _Forest(*(a.ctypes.data for a in arrays), *ends)


def lay_out(trees: Trees, rows: Floats, mass: int) -> Walk:
    """Trees over these rows, each grown from ``mass`` of them; ValueError where they are none."""
    _check(trees, rows, mass)
    count, columns = rows.shape
    points = _padded(rows)
    padded, nodes = points.shape[1], len(trees.column)
    boxes = _aligned((nodes, 2, padded))
    steps = np.empty((2 * nodes + len(trees.nodes), _STEP // 4), np.int32)
    climbs = np.empty((nodes, _CLIMB // 4), np.int32)
    leaves = np.empty((len(trees.leaf_row), _LEAF // 4), np.int32)
    sound = _LAY_OUT(
        points, count, columns, padded, len(trees.nodes), trees.nodes, mass,
        trees.column, trees.cut, trees.child, trees.leaf_row, trees.leaf_mass,
        steps.ctypes.data, climbs.ctypes.data, leaves.ctypes.data, boxes.ctypes.data,
    )  # fmt: skip
    if sound < len(trees.nodes):
        raise ValueError(f"tree {sound} is no tree over these rows")
    return Walk(columns, trees.nodes, points, boxes, steps, climbs, leaves)


def score(walk: Walk, rows: Floats) -> Doubles | None:
    """(rows,) float64, the trees' scores added up; None where a number is none or too large.

    rows: (rows, columns). Bytes read: 4 x columns a row and node where it is outside, some 3 to 6 a
    tree, and 16 a node on its way down, some 12.
    """
    if rows.shape[1] != walk.columns:
        raise ValueError(f"rows of {walk.columns} columns, not {rows.shape[1]}")
    padded = walk.points.shape[1]
    block = min(_MOST_ROWS, max(_FEWEST_ROWS, _ROOM_FLOATS // padded), len(rows))
    block = -(-block // _SIDE) * _SIDE
    own, keys = _aligned((block, padded)), np.empty((block, padded), np.int32)
    scores, lists = np.empty(block, np.float32), np.empty((4, block + _SIDE), np.int32)
    room = _Room(*(a.ctypes.data for a in (own, scores, keys, *lists)), block)
    sums = np.zeros(len(rows))
    done = _SCORE(byref(walk._forest()), byref(room), rows, len(rows), sums)
    return sums if done == len(rows) else None


def _check(trees: Trees, rows: Floats, mass: int) -> None:
    """That arrays belong together; ``lay_out`` looks at what is in them."""
    trees.check()
    numbers = trees.column, trees.child, trees.leaf_row, trees.leaf_mass
    is_whole = (
        trees.nodes.dtype == np.int64
        and trees.cut.dtype == np.float32
        and all(array.dtype == np.int32 for array in numbers)
        and rows.dtype == np.float32
        and rows.ndim == 2
        and rows.size > 0
        and mass > 0
    )
    if not is_whole:
        raise ValueError("arrays of trees that do not belong together")


def _padded(rows: Floats) -> Floats:
    """Rows with as many columns more, of zeros, as vectors need; zero has one sign."""
    columns = rows.shape[1]
    padded = _aligned((len(rows), 4 if columns <= 4 else -(-columns // 8) * 8))
    padded[:, :columns] = rows
    padded[:, :columns] += 0
    padded[:, columns:] = 0
    return padded


def _aligned(shape: tuple[int, ...]) -> Floats:
    """Room for floats that begins where a cache line does."""
    floats = int(np.prod(shape))
    room = np.empty(floats + 16, np.float32)
    start = -room.ctypes.data % 64 // 4
    return room[start : start + floats].reshape(shape)
