"""Factorization machines in C: scores of sparse rows, and Adam steps over their mini-batches.

Rows are looked at once (``checked``) before any of their indices is followed.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels.load import FLOAT, SIZE, function, library

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]

WEIGHT, FIRST, SECOND, SEEN, HEAD = range(5)
"""Of a record: weight, its first and second moment, entries seen; then come the factors."""
SETTINGS = 8
"""Of all steps: learning rates of bias, weights and factors; decay of the bias; one less Adam's
betas; epsilon; the bound that slopes are clipped to."""
PACE = 4
"""Of one step: what slopes are scaled by, what rates are, decay of weights, decay of factors."""
_CACHE = 1 << 21
WORTH_SHARING = 1 << 22
"""Entries times factors of a mini-batch from which cores share it."""
_BLOCK = 1 << 20
_MOST_ENTRIES = 2**31 - 1
_PLACE = ctypes.c_char * 0


class Fault(enum.IntFlag):
    """What may be wrong with sparse rows."""

    OUT_OF_RANGE = 1
    TANGLED = 2
    """Columns do not ascend within a row, or one comes twice."""
    ZEROS = 4
    NOT_FINITE = 8


class Rows(NamedTuple):
    """Sparse rows that were looked at: made by ``checked``.

    indptr: (rows + 1,) int64 · indices: (stored,) int64, each below ``columns`` · values: (stored,)
    float32
    """

    indptr: Integers
    indices: Integers
    values: Floats
    columns: int
    faults: Fault

    def __len__(self) -> int:
        return len(self.indptr) - 1


def checked(indptr: Integers, indices: Integers, values: Floats, columns: int) -> Rows:
    """The rows, and what is wrong with them but for OUT_OF_RANGE, which raises IndexError."""
    _require(len(indptr) > 0 and indices.ndim == 1 and indices.shape == values.shape)
    found = Fault(
        _calls().check(
            _at(indptr, np.int64), _at(indices, np.int64), _at(values), len(indptr) - 1,
            len(values), columns,
        )
    )  # fmt: skip
    if Fault.OUT_OF_RANGE in found:
        raise IndexError(f"sparse rows must have indices from 0 to {columns - 1}")
    return Rows(indptr, indices, values, columns, found)


def width_of(factors: int) -> int:
    """Floats that so many factors take in a record."""
    return -(-factors // 8) * 8 if factors > 4 else 4


def stride_of(width: int) -> int:
    """Floats of a record."""
    return HEAD + 3 * width


def scores(weights: Floats, factors: Floats, bias: float, rows: Rows) -> Floats:
    """(rows,) raw scores of a model. weights: (columns,) · factors: (columns, factors)"""
    columns, width = factors.shape
    _require(weights.shape == (columns,) and rows.columns <= columns)
    found = np.empty(len(rows), np.float32)
    _calls().score(
        _at(weights), 1, _at(factors), width, width, bias, *_where(rows), 0, len(rows),
        factors.nbytes > _CACHE, _at(found), None,
    )  # fmt: skip
    return found


def parts(records: Floats, factors: int, bias: Floats, rows: Rows) -> tuple[Floats, Floats]:
    """(rows,) each: what bias and weights, and what pairs add to the scores of a model in training.

    records: (columns, stride) · bias: (HEAD,), as a record begins
    """
    stride, flat = records.shape[1], records.reshape(-1)
    _require(rows.columns <= len(records) and HEAD + factors <= stride and len(bias) > 0)
    linear, whole = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32)
    for width, found in ((0, linear), (factors, whole)):
        _calls().score(
            _at(flat), stride, _at(flat[HEAD:]), stride, width, bias[WEIGHT], *_where(rows), 0,
            len(rows), records.nbytes > _CACHE, _at(found), None,
        )  # fmt: skip
    return linear, whole - linear


class Tally(NamedTuple):
    """What rows say of their scores, each sum weighted by the rows.

    loss: squared errors, or cross entropies · squares: of the labels · distances: absolute errors
    true_positive, false_positive: scored 0 or more and labelled 1, or not · positive: labelled 1
    """

    weight: float
    loss: float
    labels: float
    squares: float
    distances: float
    true_positive: float
    false_positive: float
    positive: float


def tally(found: Floats, labels: Floats, weights: Floats | None, is_logistic: bool) -> Tally:
    """Of raw scores. All (rows,)"""
    _require(found.ndim == 1 and found.shape == labels.shape)
    _require(weights is None or weights.shape == labels.shape)
    sums = (ctypes.c_double * len(Tally._fields))()
    _calls().tally(_at(found), _at(labels), _maybe(weights), len(labels), is_logistic, sums)
    return Tally(*sums)


class Trainer:
    """Steps over mini-batches. Has room to work in, and nothing to remember.

    columns: of the rows · width: of the factors in a record · is_logistic: the loss
    """

    def __init__(self, columns: int, width: int, is_logistic: bool) -> None:
        self._columns, self._width, self._is_logistic = columns, width, is_logistic
        self._place = np.full(columns, -1, np.int32)
        self._room = _Room(0, 0, width)

    def learn(
        self,
        records: Floats,
        bias: Floats,
        rows: Rows,
        labels: Floats,
        weights: Floats | None,
        size: int,
        settings: Floats,
        paces: Floats,
        each: Each = map,
    ) -> Floats:
        """(rows,) scores before each step; records and bias are changed in place.

        records: (columns, stride) · bias: (HEAD,), as a record begins · labels, weights: (rows,)
        size: rows a mini-batch · settings: (SETTINGS,) · paces: (mini-batches, PACE)
        each: like map; large mini-batches are shared out by it, and the result is the same
        """
        count, width = len(rows), self._width
        _require(rows.columns <= self._columns == len(records) and count > 0 and size > 0)
        steps = -(-count // size)
        _require(records.shape[1:] == (stride_of(width),) and bias.shape == (HEAD,))
        _require(records.flags.writeable and bias.flags.writeable)
        _require(labels.shape == (count,) and (weights is None or weights.shape == (count,)))
        _require(settings.shape == (SETTINGS,) and paces.shape == (steps, PACE))
        size = min(size, count)
        entries = int(np.diff(rows.indptr[np.append(np.arange(0, count, size), count)]).max())
        _require(entries < _MOST_ENTRIES)
        self._room = room = self._room.for_at_least(entries, size)
        found = np.empty(count, np.float32)
        is_far = records.nbytes > _CACHE
        if each is map or entries * width < WORTH_SHARING:
            _calls().learn(
                _at(records), width, _at(bias), *_where(rows), _at(labels), _maybe(weights), count,
                size, self._is_logistic, is_far, _at(settings), _at(paces), _at(found),
                _at(self._place, np.int32), *room.listed, *room.scored,
            )  # fmt: skip
            return found
        for start, pace in zip(range(0, count, size), paces, strict=True):
            cut = slice(start, min(count, start + size))
            own = None if weights is None else weights[cut]
            self._step(records, bias, rows, cut, labels[cut], own, settings, pace, found[cut], each)
        return found

    def _step(
        self,
        records: Floats,
        bias: Floats,
        rows: Rows,
        cut: slice,
        labels: Floats,
        weights: Floats | None,
        settings: Floats,
        pace: Floats,
        found: Floats,
        each: Each,
    ) -> None:
        """One step, as ``fm_learn`` makes it, with its two long phases cut into blocks."""
        calls, room, width, stride = _calls(), self._room, self._width, stride_of(self._width)
        is_far, start, stop = records.nbytes > _CACHE, cut.start, cut.stop
        slots = calls.group(*_where(rows), start, stop, _at(self._place, np.int32), *room.listed)
        entries = int(rows.indptr[stop] - rows.indptr[start])
        blocks = max(1, min(64, entries * width // _BLOCK))
        flat, where = records.reshape(-1), _where(rows)

        def score(block: tuple[int, int]) -> None:
            first, last = block
            calls.score(
                _at(flat), stride, _at(flat[HEAD:]), stride, width, bias[WEIGHT], *where,
                start + first, start + last, is_far, _at(found[first:last]),
                _at(room.sums[first:last]),
            )  # fmt: skip

        def turn(block: tuple[int, int]) -> None:
            calls.step(
                _at(records), width, *room.listed[1:], *block, *room.scored, is_far, _at(settings),
                _at(pace),
            )  # fmt: skip

        _all(each(score, _evenly(rows.indptr[start : stop + 1], blocks)))
        calls.slopes(
            _at(found), _at(labels), _maybe(weights), stop - start, self._is_logistic,
            _at(settings), _at(pace), room.scored[0], _at(bias),
        )  # fmt: skip
        _all(each(turn, _evenly(room.starts[: slots + 1], blocks)))


class _Room:
    """Room to work in.

    listed: where a mini-batch is listed by feature · scored: where slopes and sums of its rows go
    """

    def __init__(self, entries: int, rows: int, width: int) -> None:
        self._entries, self._rows, self._width = entries, rows, width
        self._slot, self._row_of = np.empty(entries, np.int32), np.empty(entries, np.int32)
        self._feature, self._value_of = np.empty(entries, np.int64), np.empty(entries, np.float32)
        self._slopes = np.empty(rows, np.float32)
        self.starts = np.empty(entries + 1, np.int32)
        self.sums = np.empty((rows, width), np.float32)
        self.listed = (
            _at(self._slot, np.int32),
            _at(self._feature, np.int64),
            _at(self.starts, np.int32),
            _at(self._row_of, np.int32),
            _at(self._value_of),
        )
        self.scored = _at(self._slopes), _at(self.sums)

    def for_at_least(self, entries: int, rows: int) -> _Room:
        """Room for a mini-batch of so many entries and rows: this, or a larger one."""
        if entries <= self._entries and rows <= self._rows:
            return self
        return _Room(max(entries, self._entries), max(rows, self._rows), self._width)


def _evenly(starts: NDArray[Any], blocks: int) -> list[tuple[int, int]]:
    """Ranges of rows, or slots, that have about the same number of entries."""
    targets = np.linspace(int(starts[0]), int(starts[-1]), blocks + 1)[1:-1]
    cuts = [0, *np.searchsorted(starts, targets).tolist(), len(starts) - 1]
    return [(a, b) for a, b in itertools.pairwise(cuts) if a < b]


def _all(results: Iterable[Any]) -> None:
    for _ in results:
        pass


def _require(fits: bool) -> None:
    if not fits:
        raise ValueError("arrays of a factorization machine must fit each other")


def _where(rows: Rows) -> tuple[Any, Any, Any]:
    return _at(rows.indptr, np.int64), _at(rows.indices, np.int64), _at(rows.values)


def _at(array: NDArray[Any], kind: type[np.generic] = np.float32) -> Any:
    """Where an array begins; in a fraction of the time that NumPy's own way of telling takes."""
    flags = array.flags
    _require(array.dtype == kind and flags.c_contiguous and flags.aligned)
    return _PLACE.from_buffer(array.data) if flags.writeable else array.ctypes.data


def _maybe(array: Floats | None) -> Any:
    return None if array is None else _at(array)


class _Calls(NamedTuple):
    check: Any
    group: Any
    score: Any
    slopes: Any
    tally: Any
    step: Any
    learn: Any


@functools.cache
def _calls() -> _Calls:
    found = library("factorization_machines")
    at: Any = ctypes.c_void_p
    rows = [at] * 3
    listed = [at] * 5
    return _Calls(
        function(found, "fm_check", [*rows, SIZE, SIZE, SIZE], SIZE),
        function(found, "fm_group", [*rows, SIZE, SIZE, at, *listed], SIZE),
        function(
            found,
            "fm_score",
            [at, SIZE, at, SIZE, SIZE, FLOAT, *rows, SIZE, SIZE, SIZE, at, at],
        ),
        function(found, "fm_slopes", [at, at, at, SIZE, SIZE, at, at, at, at]),
        function(found, "fm_tally", [at, at, at, SIZE, SIZE, at]),
        function(found, "fm_step", [at, SIZE, *listed[1:], SIZE, SIZE, at, at, SIZE, at, at]),
        function(
            found,
            "fm_learn",
            [at, SIZE, at, *rows, at, at, SIZE, SIZE, SIZE, SIZE, at, at, at, at, *listed, at, at],
        ),
    )
