"""All rows as they are, searched exactly: faiss's Flat."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.algorithms.base import Each
from tidemill.algorithms.knn.exact import Searcher, joined
from tidemill.algorithms.knn.ready import searcher
from tidemill.data.batch import Floats
from tidemill.kernels import sound
from tidemill.kernels.knn import Int32, straight

_QUERIES = 8
_FEW = 48
"""Queries whose rows are all measured in less time than it takes to make the rows ready."""


@dataclass(frozen=True, slots=True)
class Flat:
    """rows : (rows, columns)"""

    rows: Floats

    def check(self) -> None:
        sound.shaped("rows", self.rows, None, None)
        sound.require(self.rows.size > 0, "an index has rows, and these have columns")
        sound.finite("rows", self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and columns of a row as it is indexed."""
        return len(self.rows), self.rows.shape[1]

    def open(self, is_inner: bool, k: int, each: Each = map) -> FlatSearch:
        """To be searched. k: neighbours that are usually asked for."""
        return FlatSearch(self.rows, is_inner, k)


class FlatSearch:
    """Measures all rows for the first few queries, and makes them ready when more are asked."""

    def __init__(self, rows: Floats, is_inner: bool, k: int) -> None:
        self._rows, self._is_inner, self._k = rows, is_inner, k
        self._asked = 0
        self._searcher: Searcher | None = None

    def search(self, queries: Floats, k: int, each: Each = map) -> tuple[Floats, Int32]:
        """(queries, k) distances, ascending, and whose they are; ties go to the lower number."""
        if self._searcher is None and self._asked + len(queries) <= _FEW:
            self._asked += len(queries)
            return self._straight(queries, k, each)
        return self.ready(each).search(queries, k, each)

    def ready(self, each: Each = map) -> Searcher:
        """With the rows made ready now."""
        if self._searcher is None:
            self._searcher = searcher(self._rows, self._is_inner, self._k, each)
        return self._searcher

    def _straight(self, queries: Floats, k: int, each: Each) -> tuple[Floats, Int32]:
        blocks = [queries[at : at + _QUERIES] for at in range(0, len(queries), _QUERIES)]
        parts = each(lambda block: straight(self._rows, block, k, self._is_inner), blocks)
        return joined(parts, k)
