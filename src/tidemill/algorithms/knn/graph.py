"""Rows as a graph along which a query walks to its neighbours: faiss's HNSW.

faiss (``pip install 'tidemill[knn]'``) makes the graph; it is kept as plain arrays, which are
checked before they are followed, and walked by Tidemill's own kernel.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Each
from tidemill.algorithms.knn.exact import joined
from tidemill.algorithms.knn.frame import Frame, centred
from tidemill.algorithms.knn.ready import searcher
from tidemill.data.batch import Floats
from tidemill.errors import Missing
from tidemill.kernels import sound
from tidemill.kernels.knn import LANES, MOST_COLUMNS, Int32, has_bytes
from tidemill.kernels.knn_codes import Coding
from tidemill.kernels.knn_graph import CODE, Graph, Int64, Room

_QUERIES = 256
_BLOCK = 2048
_FEWEST_COLUMNS = 32


@dataclass(frozen=True, slots=True)
class Navigable:
    """rows : (rows, columns) · offsets : (rows + 1,) where a row's neighbours begin · neighbors :
    level by level, -1 for none · begins : (levels + 1,) of a row's neighbours, where those of a
    level begin · entry: the row to begin with · beam: rows that a query goes on from
    """

    rows: Floats
    offsets: Int64
    neighbors: Int32
    begins: Int32
    entry: int
    beam: int

    def check(self) -> None:
        sound.shaped("rows", self.rows, None, None)
        sound.require(self.rows.size > 0, "an index has rows, and these have columns")
        sound.finite("rows", self.rows)
        for name in ("offsets", "neighbors", "begins"):  # see ``Graph``, which looks into them
            sound.shaped(name, getattr(self, name), None)
        sound.between("beam", self.beam, 1)
        sound.between("entry", self.entry, 0, len(self.rows) - 1)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and columns of a row as it is indexed."""
        return len(self.rows), self.rows.shape[1]

    def open(self, is_inner: bool, k: int, each: Each = map) -> NavigableSearch:
        """Ready to be searched; ValueError when the graph is damaged."""
        codes, terms, frame = _coded(self.rows, is_inner)
        graph = Graph(
            self.rows, codes, terms, self.offsets, self.neighbors, self.begins, self.entry, is_inner
        )
        return NavigableSearch(graph, frame, self.beam)


@dataclass(frozen=True, slots=True)
class NavigableSearch:
    """frame: that the codes are relative to · rooms: to walk in, of those that do not now"""

    graph: Graph
    frame: Frame
    beam: int
    rooms: list[Room] = field(default_factory=list)

    def search(self, queries: Floats, k: int, each: Each = map) -> tuple[Floats, Int32]:
        """(queries, k) distances, ascending, and whose they are."""
        blocks = range(0, len(queries), _QUERIES)
        return joined(each(lambda at: self._block(queries[at : at + _QUERIES], k), blocks), k)

    def _block(self, queries: Floats, k: int) -> tuple[Floats, Int32]:
        try:
            room = self.rooms.pop()
        except IndexError:
            room = Room(len(self.graph.vectors))
        distances, found = self._walk(queries, k, self.beam, room)
        short = np.flatnonzero(found[:, -1] < 0)
        if len(short):  # what hangs together with the entry is smaller than k, or the beam was
            exact = searcher(self.graph.vectors, self.graph.is_inner, k)
            distances[short], found[short] = exact.search(queries[short], k)
        self.rooms.append(room)
        return distances, found

    def _walk(self, queries: Floats, k: int, beam: int, room: Room) -> tuple[Floats, Int32]:
        size = self.graph.codes.shape[1]
        seen = self.frame.queries(queries, self.graph.is_inner).seen
        codes, scalars = np.zeros((len(queries), 0), np.int8), np.zeros((len(queries), 4), "f4")
        if size:
            coding = Coding(size // 4, True, self.graph.is_inner, 0.0)
            made, scalars = coding.queries(seen.z, seen.squares, seen.rest)
            codes = made.reshape(len(queries), size)
        scales = np.ascontiguousarray(scalars[:, 0])
        return self.graph.walk(queries, codes, scales, k, beam, room)


def navigable(
    rows: Floats, is_inner: bool, neighbors: int, construction: int, beam: int
) -> Navigable:
    """The graph of these rows: on one core, for the same rows must give the same bytes."""
    faiss = require_faiss()
    metric = faiss.METRIC_INNER_PRODUCT if is_inner else faiss.METRIC_L2
    index = faiss.IndexHNSWFlat(rows.shape[1], neighbors, metric)
    index.hnsw.efConstruction = construction
    threads = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(1)
        index.add(rows)
    finally:
        faiss.omp_set_num_threads(threads)
    hnsw = index.hnsw
    offsets = faiss.vector_to_array(hnsw.offsets).astype(np.int64)
    found = faiss.vector_to_array(hnsw.neighbors).astype(np.int32)
    begins = faiss.vector_to_array(hnsw.cum_nneighbor_per_level)[: hnsw.max_level + 2]
    return Navigable(rows, offsets, found, begins.astype(np.int32), int(hnsw.entry_point), beam)


def _coded(rows: Floats, is_inner: bool) -> tuple[NDArray[np.uint8], Floats, Frame]:
    """(rows, size) codes of bytes where they are quicker than the rows themselves."""
    count, columns = rows.shape
    frame, terms = centred(rows, rows), np.zeros((count, 2), np.float32)
    size = -(-columns // CODE) * CODE
    if not has_bytes() or columns < _FEWEST_COLUMNS or size > MOST_COLUMNS:
        return np.zeros((count, 0), np.uint8), terms, frame
    coding, codes = Coding(size // 4, True, is_inner, 0.0), np.empty((count, size), np.uint8)
    for at in range(0, count, _BLOCK):
        seen = frame.rows(rows[at : at + _BLOCK])
        blank = coding.blank(-(-len(seen.z) // LANES))
        coding.rows(seen.z, seen.squares, seen.rest, np.arange(len(seen.z)), blank)
        own = slice(at, at + len(seen.z))
        codes[own] = blank[0].transpose(0, 2, 1, 3).reshape(-1, size)[: len(seen.z)]
        terms[own] = blank[1][:, :2].transpose(0, 2, 1).reshape(-1, 2)[: len(seen.z)]
    return codes, terms, frame


def require_faiss() -> Any:
    """The library that makes graphs; raises Missing where it is not installed."""
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise Missing(
            "an index of type faiss.HNSW needs faiss-cpu",
            got=str(error),
            do="pip install 'tidemill[knn]'",
        ) from error
