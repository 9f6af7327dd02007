"""Rows kept as a few bytes each: faiss's IVFPQ, product quantisation of what a cell's centre leaves
(Jegou, Douze & Schmid, 2011)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Each
from tidemill.algorithms.knn.cells import nearest, trained
from tidemill.algorithms.knn.exact import Searcher, joined
from tidemill.algorithms.knn.inverted import dealt
from tidemill.algorithms.knn.ready import searcher
from tidemill.data.batch import Floats
from tidemill.kernels import sound
from tidemill.kernels.knn import Int32
from tidemill.kernels.knn_pq import WORDS, Coded

_BLOCK = 2048
_QUERIES = 256
_A_CELL, _A_WORD = 64, 64
_PASSES = 10


@dataclass(frozen=True, slots=True)
class Quantised:
    """codes : (rows, parts) uint8 · cells : (rows,) the cell of each · centres : (cells, columns)
    words : (parts, words, columns / parts), 256 or fewer, of what the centres leave
    probes: cells that a query looks into
    """

    codes: NDArray[np.uint8]
    cells: Int32
    centres: Floats
    words: Floats
    probes: int

    def check(self) -> None:
        sound.shaped("codes", self.codes, None, None)
        rows, parts = self.codes.shape
        sound.shaped("words", self.words, parts, None, None)
        sound.require(rows > 0 and self.words.size > 0, "an index has rows and words")
        count, width = self.words.shape[1:]
        sound.between("words of a part", count, 1, WORDS)
        sound.within("codes", self.codes, 0, count)
        sound.shaped("centres", self.centres, None, parts * width)
        sound.require(len(self.centres) > 0, "there are cells")
        sound.shaped("cells", self.cells, rows)
        sound.within("cells", self.cells, 0, len(self.centres))
        sound.finite("centres", self.centres)
        sound.finite("words", self.words)
        sound.between("probes", self.probes, 1)

    @property
    def parts(self) -> int:
        return int(self.codes.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and columns of a row as it is indexed."""
        return len(self.codes), self.centres.shape[1]

    def open(self, is_inner: bool, k: int, each: Each = map) -> QuantisedSearch:
        """Ready to be searched."""
        order = np.argsort(self.cells, kind="stable")
        codes, own = self.codes[order], self.cells[order]
        starts = np.searchsorted(own, np.arange(len(self.centres) + 1)).astype(np.int64)
        terms = _terms(codes, own, self.centres, self.words)
        coded = Coded(codes, terms, order.astype(np.int32), starts)
        outer = searcher(self.centres, is_inner, self.probes, each)
        return QuantisedSearch(coded, outer, self.centres, self.words, self.probes)


@dataclass(frozen=True, slots=True)
class QuantisedSearch:
    """Distances to what the rows' bytes say that they are."""

    coded: Coded
    outer: Searcher
    centres: Floats
    words: Floats
    probes: int

    def search(self, queries: Floats, k: int, each: Each = map) -> tuple[Floats, Int32]:
        """(queries, k) squared distances, ascending, and whose they are. A query whose cells hold
        fewer than k rows looks into all."""
        columns = self.centres.shape[1]
        filled = np.zeros((len(queries), columns), np.float32)
        filled[:, : queries.shape[1]] = queries
        blocks = range(0, len(queries), _QUERIES)
        return joined(each(lambda at: self._block(filled[at : at + _QUERIES], k), blocks), k)

    def _block(self, queries: Floats, k: int) -> tuple[Floats, Int32]:
        cells = len(self.centres)
        apart, probes = self.outer.search(queries, min(self.probes, cells))
        tables = _tables(queries, self.words)
        distances, found = self.coded.search(probes, apart, tables, k)
        short = np.flatnonzero(found[:, -1] < 0)
        if len(short):
            apart, probes = self.outer.search(queries[short], cells)
            wide = np.ascontiguousarray(tables[short])
            distances[short], found[short] = self.coded.search(probes, apart, wide, k)
        return np.maximum(distances, 0), found


def quantised(rows: Floats, cells: int, parts: int, probes: int, each: Each = map) -> Quantised:
    """Compress rows, which are in random order; they are filled up to a multiple of ``parts``."""
    columns = -(-rows.shape[1] // parts) * parts
    filled = np.zeros((len(rows), columns), np.float32)
    filled[:, : rows.shape[1]] = rows
    centres = trained(filled[: _A_CELL * cells], cells, _PASSES)
    own = dealt(filled, centres, each)
    sample = slice(0, _A_WORD * WORDS)
    left = _parted(filled[sample] - centres[own[sample]], parts)
    count = min(WORDS, len(rows))
    words = np.stack(list(each(lambda part: trained(part, count, _PASSES), left)))

    def code(at: int) -> NDArray[np.uint8]:
        block = slice(at, at + _BLOCK)
        pieces = _parted(filled[block] - centres[own[block]], parts)
        named = [nearest(p, w) for p, w in zip(pieces, words, strict=True)]
        return np.stack(named, axis=1).astype(np.uint8)

    codes = np.concatenate(list(each(code, range(0, len(rows), _BLOCK))))
    return Quantised(codes, own, centres, words, probes)


def _parted(rows: Floats, parts: int) -> list[Floats]:
    return [np.ascontiguousarray(part) for part in np.split(rows, parts, axis=1)]


def _terms(codes: NDArray[np.uint8], cells: Int32, centres: Floats, words: Floats) -> Floats:
    """(rows,) what of a row's distance does not depend on the query: with p its words and c its
    cell's centre, |p|^2 + 2 c.p."""
    total = np.zeros(len(codes))
    squares = np.einsum("pwd,pwd->pw", words, words, dtype=np.float64)
    for part, (own, square) in enumerate(zip(words, squares, strict=True)):
        pieces = np.split(centres, len(words), axis=1)[part]
        with_centres = 2 * (pieces.astype(np.float64) @ own.T)
        total += square[codes[:, part]] + with_centres[cells, codes[:, part]]
    return total.astype(np.float32)


def _tables(queries: Floats, words: Floats) -> Floats:
    """(queries, parts, 256) what each word adds: minus twice its product with the query."""
    parts, count, width = words.shape
    pieces = queries.reshape(len(queries), parts, width).transpose(1, 2, 0)
    products = np.matmul(words, pieces)
    tables = np.zeros((len(queries), parts, WORDS), np.float32)
    np.multiply(products.transpose(2, 0, 1), -2, out=tables[:, :, :count])
    return tables
