"""Search that finds exactly what measuring every row would, at a fraction of the work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Each
from tidemill.algorithms.knn.cells import Cells
from tidemill.algorithms.knn.frame import Asked, Frame
from tidemill.kernels.knn import Floats, Int32, Queries, Rows, straight
from tidemill.kernels.knn_codes import Coding

Probes = NDArray[np.int32]
_QUERIES, _FEW = 960, 48
_NEAR_BYTES = 8 << 20
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
        blocks = [slice(at, at + most) for at in range(0, len(queries), most)]
        parts = each(
            lambda b: self._block(queries[b], k, None if probes is None else probes[b]), blocks
        )
        return joined(parts, k)

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
        share = 1.1 * (vectors.shape[1] + 4) * _ROUNDING
        if self.coding.is_inner:
            lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
            doubt = share * self.longest * lengths + 1e-37
        else:
            doubt = np.full(len(vectors), share if share < 1 else np.inf)
        doubt = np.minimum(doubt, np.finfo(np.float32).max).astype(np.float32)
        return Queries(self.rows, vectors, codes, scalars, asked.base, asked.unit, doubt, k)


def joined(parts: Iterable[tuple[Floats, Int32]], k: int) -> tuple[Floats, Int32]:
    """What was found for several blocks of queries, as one."""
    every = list(parts)
    if len(every) == 1:
        return every[0]
    none = np.empty((0, k), np.float32), np.empty((0, k), np.int32)
    distances, found = zip(none, *every, strict=True)
    return np.concatenate(distances), np.concatenate(found)


def _probed(probes: Probes, cells: int) -> NDArray[np.bool_]:
    """(cells, queries) from (queries, some), of which -1 stands for none."""
    wanted = np.zeros((cells + 1, len(probes)), np.bool_)
    wanted[probes.T, np.arange(len(probes))] = True
    return wanted[:-1]
