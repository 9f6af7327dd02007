"""Rows as the library's matrices: of bins where it needs no more, in memory or on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from tidemill.algorithms.xgboost.library import library, sparse_rows
from tidemill.algorithms.xgboost.rows import size
from tidemill.algorithms.xgboost.shelf import Shelf
from tidemill.data.batch import Batch, Csr, Floats, concatenate

PAGE, PIECE = 32 << 20, 8 << 20
"""Bytes of rows that are handed over together, at least: for a page on disk, and in memory."""
_AFT = "survival:aft"


def matrix_of(
    batches: Sequence[Batch],
    settings: dict[str, Any],
    *,
    in_bins: bool,
    like: Any = None,
    shelf: Shelf | None = None,
) -> Any:
    """The rows as a matrix of the library: what it learns is what it learns of a DMatrix of them.

    batches: of one width, with labels · settings: the library's parameters
    in_bins: keep one byte or two of each value, which is all that a histogram needs
    like: the matrix of the training rows, whose bins are taken over
    shelf: that the rows are kept on, beside which the bins shall lie and take no memory
    """
    threads = settings.get("nthread")
    if _is_whole(batches, settings) or not in_bins:
        rows = _arguments(_by_group(concatenate(list(batches))), settings["objective"])
        features = rows.pop("data")
        if not in_bins or settings["objective"] == _AFT:
            bounds = {name: rows.pop(name) for name in list(rows) if name.startswith("label_")}
            matrix = library().DMatrix(features, nthread=threads, **rows)
            matrix.set_info(**bounds)
            return matrix
        return library().QuantileDMatrix(
            features, max_bin=_bins(settings), ref=like, nthread=threads, **rows
        )
    kind = library().QuantileDMatrix if shelf is None else library().ExtMemQuantileDMatrix
    source = _source_class()(batches, settings["objective"], shelf)
    matrix = kind(source, max_bin=_bins(settings), ref=like, nthread=threads)
    source.let_go()
    return matrix


def can_lie_on_disk(batches: Sequence[Batch], settings: dict[str, Any]) -> bool:
    """Whether the library can keep the bins of these rows in pages."""
    return hasattr(library(), "ExtMemQuantileDMatrix") and not _is_whole(batches, settings)


def library_features(features: Any) -> Any:
    """Features as the library takes them: an array, or SciPy's sparse rows."""
    if not isinstance(features, Csr):
        return features
    parts = (features.values, features.indices, features.indptr)
    return sparse_rows()(parts, shape=features.shape)


def _is_whole(batches: Sequence[Batch], settings: dict[str, Any]) -> bool:
    """Whether rows must be given all at once: a group, or a time's bounds, know no batches."""
    return batches[0].groups is not None or settings["objective"] == _AFT


def _bins(settings: dict[str, Any]) -> int:
    return int(settings.get("max_bin", 256))


def _by_group(rows: Batch) -> Batch:
    """Rows of one group beside each other, each group weighed as its first row."""
    if rows.groups is None:
        return rows
    if (np.diff(rows.groups) < 0).any():
        rows = rows.take(np.argsort(rows.groups, kind="stable"))
    if rows.weights is None or rows.groups is None:
        return rows
    first = np.flatnonzero(np.diff(rows.groups, prepend=rows.groups[:1] - 1))
    return Batch(rows.features, rows.labels, rows.weights[first], groups=rows.groups)


def _arguments(batch: Batch, objective: str) -> dict[str, Any]:
    """What the library's matrices and iterators are given of some rows."""
    found = {"data": library_features(batch.features), "label": batch.labels}
    if batch.weights is not None:
        found["weight"] = batch.weights
    if batch.groups is not None:
        found["qid"] = batch.groups
    if objective == _AFT:
        assert batch.labels is not None
        found["label_lower_bound"] = time = np.abs(batch.labels)
        found["label_upper_bound"] = np.where(batch.labels < 0, np.float32(np.inf), time)
    return found


@cache
def _source_class() -> Any:
    """Rows as an iterator of the library's, which it goes through some times."""

    class Source(library().DataIter):  # type: ignore[misc]
        def __init__(self, batches: Sequence[Batch], objective: str, shelf: Shelf | None) -> None:
            self._pages: Iterable[Batch] = _Pages(batches, shelf)
            self._objective = objective
            self._next: Iterator[Batch] = iter(())
            self._places = _Places()
            prefix = None if shelf is None else f"{shelf.pages}/{id(self):x}"
            super().__init__(cache_prefix=prefix)

        def reset(self) -> None:
            self._next = iter(self._pages)

        def next(self, input_data: Any) -> bool:
            batch = next(self._next, None)
            if batch is None:
                return False
            batch = replace(batch, features=self._places.stored(batch.features))
            input_data(**_arguments(batch, self._objective))
            return True

        def let_go(self) -> None:
            """Forget the rows: the library's own callbacks keep the rest of this for a while."""
            self._pages, self._next, self._places = (), iter(()), _Places()

    return Source


class _Places:
    """Dense rows as sparse ones, missing values and all: the library reads these a third quicker,
    and makes the same bins of them."""

    def __init__(self) -> None:
        self._indptr = self._indices = np.empty(0, np.int64)

    def stored(self, features: Floats | Csr) -> Csr:
        if isinstance(features, Csr):
            return features
        rows, columns = features.shape
        if len(self._indptr) <= rows:
            # 32 bits are quicker where they do; all pages but the last have as many rows, or nearly
            kind = np.int32 if features.size < 2**31 else np.int64
            self._indices = np.tile(np.arange(columns, dtype=kind), rows)
            self._indptr = np.arange(0, features.size + 1, columns, dtype=kind)
        indptr, indices = self._indptr[: rows + 1], self._indices[: features.size]
        return Csr(indptr, indices, features.reshape(-1), columns)


class _Pages:
    """Batches joined to larger ones, one at a time."""

    def __init__(self, batches: Sequence[Batch], shelf: Shelf | None) -> None:
        self._batches, self._shelf = batches, shelf
        self._size = PIECE if shelf is None else PAGE

    def __iter__(self) -> Iterator[Batch]:
        held: list[Batch] = []
        for batch in self._batches:
            held.append(batch)
            if sum(map(size, held)) >= self._size:
                yield concatenate(held)
                held = []
                if self._shelf is not None:
                    self._shelf.rest()
        if held:
            yield concatenate(held)
