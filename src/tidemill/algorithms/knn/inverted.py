"""Rows dealt to cells, of which a query looks into a few: faiss's IVFFlat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidemill.algorithms.base import Each
from tidemill.algorithms.knn.cells import nearest, trained
from tidemill.algorithms.knn.exact import Searcher
from tidemill.algorithms.knn.ready import searcher
from tidemill.data.batch import Floats
from tidemill.kernels import sound
from tidemill.kernels.knn import Int32

_BLOCK = 2048
_A_CELL = 64
_PASSES = 10


@dataclass(frozen=True, slots=True)
class Inverted:
    """rows : (rows, columns) · cells : (rows,) the cell of each · centres : (cells, columns)
    probes: cells that a query looks into
    """

    rows: Floats
    cells: Int32
    centres: Floats
    probes: int

    def check(self) -> None:
        sound.shaped("rows", self.rows, None, None)
        sound.require(self.rows.size > 0, "an index has rows, and these have columns")
        sound.finite("rows", self.rows)
        sound.shaped("cells", self.cells, len(self.rows))
        sound.shaped("centres", self.centres, None, self.rows.shape[1])
        sound.require(len(self.centres) > 0, "there are cells")
        sound.within("cells", self.cells, 0, len(self.centres))
        sound.finite("centres", self.centres)
        sound.between("probes", self.probes, 1)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and columns of a row as it is indexed."""
        return len(self.rows), self.rows.shape[1]

    def open(self, is_inner: bool, k: int, each: Each = map) -> InvertedSearch:
        """Ready to be searched. k: neighbours that are usually asked for."""
        cells = len(self.centres)
        inner = searcher(self.rows, is_inner, k, each, self.cells.astype(np.intp), cells)
        outer = searcher(self.centres, is_inner, self.probes, each)
        return InvertedSearch(inner, outer, self.probes)


@dataclass(frozen=True, slots=True)
class InvertedSearch:
    """Exact within the cells whose centres are nearest to the query."""

    inner: Searcher
    outer: Searcher
    probes: int

    def search(self, queries: Floats, k: int, each: Each = map) -> tuple[Floats, Int32]:
        """(queries, k) distances, ascending, and whose they are. A query whose cells hold fewer
        than k rows looks into all."""
        probes = self.outer.search(queries, min(self.probes, len(self.inner.cells)), each)[1]
        distances, found = self.inner.search(queries, k, each, probes)
        short = np.flatnonzero(found[:, -1] < 0)
        if len(short):
            distances[short], found[short] = self.inner.search(queries[short], k, each)
        return distances, found


def inverted(rows: Floats, cells: int, probes: int, each: Each = map) -> Inverted:
    """Deal rows, which are in random order, to cells by k-means."""
    centres = trained(rows[: _A_CELL * cells], cells, _PASSES)
    return Inverted(rows, dealt(rows, centres, each), centres, probes)


def dealt(rows: Floats, centres: Floats, each: Each = map) -> Int32:
    """(rows,) the cell of each row."""
    # Blocks have the same bounds however many run at once: same bytes.
    blocks = range(0, len(rows), _BLOCK)
    found = each(lambda at: nearest(rows[at : at + _BLOCK], centres), blocks)
    return np.concatenate([np.empty(0, np.int32), *found]).astype(np.int32)
