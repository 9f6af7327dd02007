"""Documents under topics, in C: what words say of mixtures, and mixtures of words.

Work is cut into ranges, of documents or of words, which may run side by side: none of them writes
where another does, and how they are cut changes no bit.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels.load import (
    DOUBLE,
    DOUBLES,
    FLOAT,
    FLOATS,
    INT32,
    INT64,
    SIZE,
    function,
    library,
)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]
MOST_COUNT = 1e9
"""A word cannot come more often in a document: the sums of float32 would lose track."""
_LANES = 16


class Fault(ValueError):
    """An entry that is not a count of a word; ``entry``: its index among the stored ones."""

    def __init__(self, entry: int) -> None:
        super().__init__(f"entry {entry} is not a count from 0 to {MOST_COUNT:g} of a known word")
        self.entry = entry


class Documents(NamedTuple):
    """Sparse rows of counts, with their entries by word beside them.

    indptr : (rows + 1,) int64 · indices, values : (stored,) int64 and float32
    ids : (stored,) int32, the word's place in ``words`` · words : (words that occur,) int64
    starts : (words + 1,) int64, where a word's entries stand in ``order`` and ``row_of``, (stored,)
    int32 each: the entry's index, and its row · lengths : (rows,) float64, words of each document
    """

    indptr: Integers
    indices: Integers
    values: Floats
    ids: NDArray[np.int32]
    words: Integers
    starts: Integers
    order: NDArray[np.int32]
    row_of: NDArray[np.int32]
    lengths: Doubles

    def __len__(self) -> int:
        return len(self.indptr) - 1


def index(indptr: Integers, indices: Integers, values: Floats, columns: int) -> Documents:
    """The documents with their words numbered; raises Fault for what is not a count of a word."""
    rows, stored = len(indptr) - 1, len(values)
    if rows < 0 or len(indices) != stored or max(stored, rows, columns) >= 2**31:
        raise ValueError("indptr, indices and values must be those of sparse rows")
    calls = _functions()
    wrong = calls.fault(indptr, rows, indices, values, stored, columns, MOST_COUNT)
    if wrong == -2:
        raise ValueError("indptr must rise from 0 to the number of stored values")
    if wrong >= 0:
        raise Fault(wrong)
    ids, order, row_of = (np.empty(stored, np.int32) for _ in range(3))
    words, starts = np.empty(stored, np.int64), np.empty(stored + 1, np.int64)
    place, lengths = np.empty(columns, np.int32), np.empty(rows)
    found = calls.index(
        indptr, rows, indices, values, stored, columns, place, ids, words, starts, order, row_of,
        lengths,
    )  # fmt: skip
    return Documents(
        indptr, indices, values, ids, words[:found], starts[: found + 1], order, row_of, lengths
    )


def project(documents: Documents, first: int, last: int, basis: Floats, projected: Floats) -> None:
    """Fill rows first..last of ``projected``: counts times ``basis`` (words, width)."""
    _require(0 <= first <= last <= len(documents))
    _require(projected.shape == (len(documents), basis.shape[1]))
    _require_words(documents, len(basis))
    d = documents
    _functions().project(
        d.indptr, first, last, d.indices, d.values, basis, basis.shape[1], projected
    )


def add_moments(
    documents: Documents,
    first: int,
    last: int,
    projected: Floats,
    weights: tuple[Doubles, Doubles, Doubles],
    basis: Floats,
    sums: tuple[Doubles, Doubles, Doubles],
) -> None:
    """Add what words first..last say to ``sums``: ones (words,), pairs and triples (words, width).

    weights: of each document's words, pairs and triples, (rows,) each
    """
    d, (ones, pairs, triples) = documents, sums
    _require(0 <= first <= last <= len(d.words))
    _require(projected.shape == (len(d), basis.shape[1]))
    _require([len(w) for w in weights] == [len(d)] * 3)
    _require(len(ones) == len(basis) and pairs.shape == triples.shape == basis.shape)
    _require_words(d, len(basis))
    _functions().moments(
        first, last, d.words, d.starts, d.order, d.row_of, d.values, projected, *weights,
        basis, basis.shape[1], ones, pairs, triples,
    )  # fmt: skip


def chances(
    documents: Documents,
    first: int,
    last: int,
    tables: tuple[Floats, Floats, Doubles],
    fade: float,
    smoothing: float,
    inverse: Doubles,
    out: Floats,
) -> None:
    """Fill ``out`` (words that occur, topics) from first to last: chances of words under topics.

    tables: base, past and fresh counts (words, topics), of which the past fade
    inverse : (topics,) of each topic's counts and smoothing
    """
    base, past, fresh = tables
    _require(0 <= first <= last <= len(documents.words))
    _require(base.shape == past.shape == fresh.shape and base.shape[1] == len(inverse))
    _require(out.shape == (len(documents.words), len(inverse)))
    _require_words(documents, len(base))
    _functions().chances(
        first, last, documents.words, len(inverse), base, past, fresh, fade, smoothing, inverse,
        out,
    )  # fmt: skip


def mixtures(
    documents: Documents,
    first: int,
    last: int,
    chances: Floats,
    prior: Floats,
    steps: int,
    tolerance: float,
    out: tuple[Floats, Floats, Doubles],
) -> None:
    """Fill in, for documents first..last, their mixtures, ratios and fits.

    chances : (words that occur, topics), positive · prior : (topics,) Dirichlet's, positive
    steps, tolerance: when to stop, the latter as a share of the document's length
    out: mixtures (rows, topics), each as large as its prior and its words together; ratios
    (stored,), count by likelihood of an entry; fits (rows,), log-likelihood of the words
    """
    d, (mixed, ratios, fits) = documents, out
    topics = len(prior)
    _require(0 <= first <= last <= len(d))
    _require(chances.shape == (len(d.words), topics) and mixed.shape == (len(d), topics))
    _require(len(ratios) == len(d.values) and len(fits) == len(d))
    if first == last:
        return
    longest = int(np.diff(d.indptr[first : last + 1]).max())
    whole = -(-longest // _LANES) * _LANES
    scratch = np.empty((whole + _LANES) * (topics + 1) + _LANES, np.float32)
    _functions().mixtures(
        d.indptr, first, last, d.ids, d.values, chances, topics, prior, steps, tolerance, mixed,
        ratios, fits, scratch,
    )  # fmt: skip


def add_counts(
    documents: Documents,
    first: int,
    last: int,
    ratios: Floats,
    mixtures: Floats,
    chances: Floats,
    fresh: Doubles,
) -> Doubles:
    """Add to ``fresh`` (words, topics) the expected counts of words first..last; their totals."""
    d, topics = documents, chances.shape[1]
    _require(0 <= first <= last <= len(d.words))
    _require(chances.shape == (len(d.words), topics) and mixtures.shape == (len(d), topics))
    _require(len(ratios) == len(d.values) and fresh.ndim == 2 and fresh.shape[1] == topics)
    _require_words(d, len(fresh))
    totals = np.zeros(topics)
    _functions().counts(
        first, last, d.words, d.starts, d.order, d.row_of, ratios, mixtures, chances, topics,
        fresh, totals, np.empty(topics, np.float32),
    )  # fmt: skip
    return totals


def _require(fits: bool) -> None:
    if not fits:
        raise ValueError("arrays and ranges must fit one another")


def _require_words(documents: Documents, columns: int) -> None:
    """Words ascend, so the last tells."""
    _require(len(documents.words) == 0 or int(documents.words[-1]) < columns)


class _Functions(NamedTuple):
    fault: Any
    index: Any
    project: Any
    moments: Any
    chances: Any
    mixtures: Any
    counts: Any


@functools.cache
def _functions() -> _Functions:
    found = library("lda")
    span, by_word = [SIZE, SIZE], [INT64, INT64, INT32, INT32]
    whole = ctypes.c_int64
    return _Functions(
        function(found, "lda_fault", [INT64, SIZE, INT64, FLOATS, SIZE, SIZE, FLOAT], whole),
        function(
            found, "lda_index",
            [INT64, SIZE, INT64, FLOATS, SIZE, SIZE, INT32, INT32, INT64, INT64, INT32, INT32,
             DOUBLES], whole,
        ),
        function(
            found, "lda_project", [INT64, *span, INT64, FLOATS, FLOATS, SIZE, FLOATS]
        ),
        function(
            found, "lda_moments",
            [*span, *by_word, FLOATS, FLOATS, *[DOUBLES] * 3, FLOATS, SIZE, *[DOUBLES] * 3],
        ),
        function(
            found, "lda_chances",
            [*span, INT64, SIZE, FLOATS, FLOATS, DOUBLES, DOUBLE, DOUBLE, DOUBLES, FLOATS],
        ),
        function(
            found, "lda_mixtures",
            [INT64, *span, INT32, FLOATS, FLOATS, SIZE, FLOATS, SIZE, FLOAT, FLOATS, FLOATS,
             DOUBLES, FLOATS],
        ),
        function(
            found, "lda_counts",
            [*span, *by_word, *[FLOATS] * 3, SIZE, DOUBLES, DOUBLES, FLOATS],
        ),
    )  # fmt: skip
