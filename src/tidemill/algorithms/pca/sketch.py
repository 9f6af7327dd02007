"""The strongest directions of a stream of rows, in memory for some directions only.

A block of rows is told in few by one step of block power iteration, begun at the directions known
so far (Yang, Hsieh & Wang, "History PCA: a new algorithm for streaming PCA", 2018) and at random
ones beside them, that nothing new be missed (Halko, Martinsson & Tropp, "Finding structure with
randomness", 2011). Of the directions kept, the weakest pay for those that are dropped, as in
Frequent Directions (Liberty, 2013; Desai, Ghashami & Phillips, "Improved practical matrix
sketching with guarantees", 2016). Sketches merge: a sketch of two is one of all their rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Each
from tidemill.algorithms.pca.rows import Centred, scipy
from tidemill.data.batch import Floats
from tidemill.errors import InvalidData
from tidemill.kernels import sound

Doubles = NDArray[np.float64]
_PAY = 0.2
_PROBES = 0.2
_FEW_PROBES = 8
_USUAL_BLOCK = 4096
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Sketch:
    """Rows whose scatter is nearly that of all rows seen.

    rows: (kept, columns) float32, at most twice ``directions`` · squares: of all seen, added up
    """

    rows: Floats
    directions: int
    squares: float = 0.0

    def check(self) -> None:
        sound.shaped("rows", self.rows, None, None)
        sound.between("directions", self.directions, 1, max(1, self.rows.shape[1]))
        sound.between("squares", self.squares, 0, sys.float_info.max)
        sound.finite("rows", self.rows)

    @staticmethod
    def empty(columns: int, directions: int) -> Sketch:
        """Of no rows."""
        return Sketch(np.zeros((0, columns), np.float32), min(directions, max(1, columns)))

    def merge(self, other: Sketch) -> Sketch:
        """Of both sets of rows, about one mean."""
        most = max(self.directions, other.directions)
        both = Sketch(self.rows, most, self.squares)
        return both._with(other.rows, other.squares)

    def add(self, rows: Floats) -> Sketch:
        """Of these rows too."""
        flat = rows.ravel()
        return self._with(rows, float(flat @ flat))

    def absorb(
        self, block: Centred, draws: Callable[[], np.random.Generator], each: Each
    ) -> Sketch:
        """Of a block too, of any number of rows. draws: for the random directions"""
        if len(block) <= 2 * self.directions:
            return self._with(block.dense(), block.squares)
        probes = max(_FEW_PROBES, int(_PROBES * self.directions))
        start = _beside(self.rows, self.directions + probes, draws())
        basis = _powered(self.rows, block, start, self._steps(block), each)
        rows = _told_in(basis, self.rows, block, self.directions, each)
        return Sketch(rows, self.directions, self.squares + block.squares)

    def _steps(self, block: Centred) -> int:
        """The less is known of a block's directions beforehand, the more."""
        if len(self.rows) < self.directions:
            return 3
        return 1 if len(block) <= _USUAL_BLOCK else 2

    def _with(self, rows: Floats, squares: float) -> Sketch:
        stacked = np.concatenate([self.rows, rows])
        most = self.directions
        while len(stacked) > 2 * most:  # some at a time, for the cost goes by their square
            head, stacked = stacked[: 3 * most], stacked[3 * most :]
            stacked = np.concatenate([_shrunk(head, most), stacked])
        return Sketch(stacked, most, self.squares + squares)


def _beside(known: Floats, count: int, draws: np.random.Generator) -> Floats:
    """(columns, at most count) directions to start from: those known, and random signs."""
    columns = known.shape[1]
    lengths = np.sqrt(np.einsum("ij,ij->i", known, known))
    strong = np.argsort(-lengths, kind="stable")[:count]
    kept = known[strong[lengths[strong] > 0]]
    kept = kept / np.sqrt(np.einsum("ij,ij->i", kept, kept))[:, None]
    random = draws.integers(0, 2, (max(0, min(count, columns) - len(kept)), columns), np.int8)
    signs = (random * 2 - 1).astype(np.float32) / np.float32(np.sqrt(columns))
    return np.concatenate([kept, signs]).T


def _powered(known: Floats, block: Centred, start: Floats, steps: int, each: Each) -> Floats:
    """An orthonormal basis near the strongest directions of what is known and of the block."""
    basis = start
    for _ in range(steps):

        def pulled(part: Centred, by: Floats = basis) -> Floats:
            return part.back(part.times(by))

        total = known.T @ (known @ basis)
        for pull in each(pulled, block.parts()):
            total += pull
        basis = orthonormal(total)[0]
    return basis


def orthonormal(columns: Floats) -> tuple[Floats, Floats]:
    """Directions at right angles that span the same, and the columns as sums of them.

    Of tall columns thrice as quick as NumPy's.
    """
    found, sums = scipy("linalg").qr(
        np.asfortranarray(columns), mode="economic", overwrite_a=True, check_finite=False
    )
    return np.ascontiguousarray(found), sums


def _told_in(basis: Floats, known: Floats, block: Centred, most: int, each: Each) -> Floats:
    """At most so many rows, within the basis, that tell of what is known and of the block."""

    def products(part: Centred) -> Floats:
        inside = part.times(basis)
        return inside.T @ inside

    inside = (known @ basis).astype(np.float64)
    total = inside.T @ inside
    for product in each(products, block.parts()):
        total += product
    strengths, turns = _turned(total)
    paid = _paid(strengths[::-1], most)
    turned: Floats = basis @ turns[:, ::-1][:, : len(paid)].astype(np.float32)
    rows: Floats = np.sqrt(paid).astype(np.float32)[:, None] * turned.T
    return np.ascontiguousarray(rows[paid > 0])


def _shrunk(rows: Floats, most: int) -> Floats:
    """At most so many rows in place of these: what they span is kept but for the weakest."""
    strengths, turns = _turned((rows @ rows.T).astype(np.float64))
    strengths, turns = strengths[::-1], turns[:, ::-1]
    paid = _paid(strengths, most)
    scale = np.sqrt(paid / np.maximum(strengths[: len(paid)], _TINY))
    kept = paid > 0
    made: Floats = (turns[:, : len(paid)] * scale)[:, kept].T.astype(np.float32) @ rows
    return made


def _turned(products: Doubles) -> tuple[Doubles, Doubles]:
    """Strengths, the least first, and directions of a table of products."""
    if not np.isfinite(products).all():
        raise InvalidData(
            "pca: rows of a size that float32 can square",
            got="an overflow",
            do="Scale huge features before training.",
        )
    found = np.linalg.eigh(products)
    return found.eigenvalues, found.eigenvectors


def _paid(strengths: Doubles, most: int) -> Doubles:
    """The strongest of falling strengths; of these, the weakest pay for the next."""
    kept = np.maximum(strengths[:most], 0.0)
    if len(strengths) > most:
        poor = most - int(_PAY * most)
        kept[poor:] = np.maximum(kept[poor:] - max(0.0, float(strengths[most])), 0.0)
    return kept
