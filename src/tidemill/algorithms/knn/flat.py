"""All rows as they are, searched exactly: faiss's Flat."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.algorithms.base import Each
from tidemill.algorithms.knn.exact import Searcher, searcher
from tidemill.data.batch import Floats


@dataclass(frozen=True, slots=True)
class Flat:
    """rows : (rows, columns)"""

    rows: Floats

    def open(self, is_inner: bool, k: int, each: Each = map) -> Searcher:
        """Ready to be searched. k: neighbours that are usually asked for."""
        return searcher(self.rows, is_inner, k, each)
