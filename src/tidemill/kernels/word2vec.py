"""Word vectors by negative sampling in C; threads may train copies of a model side by side."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels import sound
from tidemill.kernels.load import (
    BYTES,
    DOUBLE,
    DOUBLES,
    FLOAT,
    FLOATS,
    INT32,
    INT64,
    SEED,
    SIZE,
    UINT64,
    function,
    library,
)
from tidemill.kernels.tokens import Lines, check

Floats = NDArray[np.float32]
Numbers = NDArray[np.int32]
Integers = NDArray[np.int64]
LANES = 16
"""Rows are padded to a multiple of so many floats, and begin where a cache line does."""
MOST_GROUP, _MOST_OUT = 32, 264
MOST_NEGATIVES = 128
_FAR = 1 << 30
_LINE = 64


class Parts(NamedTuple):
    """Rows that a word is the mean of, besides its own: ``rows[starts[w]:starts[w + 1]]``."""

    rows: Numbers
    starts: Integers


class Setting(NamedTuple):
    """What does not change from call to call.

    chance, alias : (words,) float32 and int32, see ``alias_of``
    keep : (words,) uint32, the chance of each to stay, of 2^32
    is_cbow: the mean of the words about a word against it, or each of them
    window, negatives: words to each side, words drawn against each
    group: words of a window that share their negatives · rate: the first · seed: of all draws
    """

    chance: Floats
    alias: Numbers
    keep: NDArray[np.uint32]
    parts: Parts | None
    is_cbow: bool
    window: int
    negatives: int
    group: int
    rate: float
    seed: int


class Pace(NamedTuple):
    """done: words of ``length`` that were trained on before · step: how often one counts
    counter: words that were drawn for before"""

    done: float
    length: float
    step: float
    counter: int


def zeros(rows: int, columns: int) -> Floats:
    """(rows, padded columns) float32 that kernels take."""
    return _aligned((rows, padded(columns)))


def padded(columns: int) -> int:
    """Columns of a matrix that kernels take, for so many that are used."""
    return -(-columns // LANES) * LANES


def aligned(matrix: Floats) -> Floats:
    """The matrix itself where kernels take it, else a copy that they do."""
    if matrix.ctypes.data % _LINE == 0 and matrix.flags.c_contiguous and matrix.flags.writeable:
        return matrix
    copy = _aligned((matrix.shape[0], matrix.shape[1]))
    copy[:] = matrix
    return copy


def train(
    setting: Setting, inner: Floats, outer: Floats, ids: Numbers, starts: Integers, pace: Pace
) -> None:
    """Train both matrices on lines of words, in turn.

    inner : (rows, width), of words first · outer : (words, width), both as of ``zeros``
    ids : (found,) int32 numbers of words · starts : (lines + 1,) where each line's begin
    Raises ValueError for numbers and shapes that do not fit each other.
    """
    words, width = outer.shape
    _check_call(setting, inner, outer, ids, starts)
    longest = int(np.diff(starts).max(initial=0))
    most = 1
    parts = setting.parts
    if parts is not None:
        _check_parts(parts, words, len(inner))
        most += int(np.diff(parts.starts).max(initial=0))
    about = min(2 * setting.window, longest) if setting.is_cbow else 1
    rows = np.empty(max(1, about * most), np.int32)
    scratch = _aligned((1, 4 * width + MOST_GROUP * _MOST_OUT + LANES))
    _train()(
        ids, starts, len(starts) - 1, inner, outer, words, width // LANES, setting.chance,
        setting.alias, setting.keep, None if parts is None else parts.rows.ctypes.data,
        None if parts is None else parts.starts.ctypes.data, int(setting.is_cbow),
        min(setting.window, _FAR),
        setting.negatives, setting.group, setting.rate, pace.done, pace.step, pace.length,
        setting.seed % 2**64, pace.counter, np.empty(longest, np.int32),
        np.empty(longest, np.uint64), rows, scratch,
    )  # fmt: skip


def join(base: Floats, copies: Sequence[Floats], first: int, last: int) -> None:
    """Rows first..last of the base with the changes that all copies made to it, in all of them."""
    if any(copy.shape != base.shape or not copy.flags.c_contiguous for copy in copies):
        raise ValueError("copies must be of the base's shape")
    if not 0 <= first <= last <= len(base):
        raise ValueError("rows must be there")
    pointers = (ctypes.c_void_p * len(copies))(*(copy.ctypes.data for copy in copies))
    width = base.shape[1]
    _join()(base, pointers, len(copies), first * width, last * width)


def alias_of(weights: NDArray[np.float64]) -> tuple[Floats, Numbers]:
    """Tables to draw numbers in proportion to positive weights with."""
    count = len(weights)
    shares = weights * (count / weights.sum()) if count else weights.copy()
    chance, alias = np.empty(count, np.float32), np.empty(count, np.int32)
    _alias()(shares, count, chance, alias, np.empty(count, np.int32))
    return chance, alias


def begin(
    matrix: Floats, words: Lines, which: Integers, columns: int, scale: float, seed: int
) -> None:
    """Give rows ``which`` first values within ±scale, a function of word, column and seed alone."""
    check(words)
    count = len(words.offsets) - 1
    if columns > matrix.shape[1] or count > len(matrix):
        raise ValueError("the matrix must have a row for each word")
    if len(which) and (which.min() < 0 or which.max() >= count):
        raise ValueError("words must be there")
    _begin()(
        words.bytes, words.offsets, which, len(which), matrix, matrix.shape[1], columns, scale,
        seed % 2**64,
    )  # fmt: skip


def _aligned(shape: tuple[int, int]) -> Floats:
    size = shape[0] * shape[1]
    buffer = np.zeros(size + LANES, np.float32)
    start = (-buffer.ctypes.data % _LINE) // 4
    return buffer[start : start + size].reshape(shape)


def _check_call(
    setting: Setting, inner: Floats, outer: Floats, ids: Numbers, starts: Integers
) -> None:
    words, width = outer.shape
    for matrix in (inner, outer):
        if matrix.ctypes.data % _LINE or matrix.shape[1] != width or width % LANES:
            raise ValueError("matrices must be of one width, as of zeros()")
    if len(inner) < words or not len(setting.chance) == len(setting.alias) == words:
        raise ValueError("there must be a row for each word")
    if len(setting.keep) != words or setting.keep.dtype != np.uint32:
        raise ValueError("there must be a chance for each word")
    if setting.alias.min(initial=0) < 0 or setting.alias.max(initial=0) >= max(1, words):
        raise ValueError("negatives must be words")
    if len(ids) and (ids.min() < 0 or ids.max() >= words):
        raise ValueError("numbers must be of words")
    sound.bounds("starts", starts, None, len(ids))
    if not 1 <= setting.group <= MOST_GROUP or not 0 <= setting.negatives <= MOST_NEGATIVES:
        raise ValueError("group or negatives are too large")
    if setting.window < 1:
        raise ValueError("a window must have a word to each side")


def _check_parts(parts: Parts, words: int, rows: int) -> None:
    sound.shaped("rows of parts", parts.rows, None)
    sound.bounds("starts of parts", parts.starts, words, len(parts.rows))
    if parts.rows.dtype != np.int32 or parts.starts.dtype != np.int64:
        raise ValueError("parts must be numbers of rows")
    sound.within("rows of parts", parts.rows, 0, rows)


_POINTER: Any = ctypes.c_void_p
_COUNTS: Any = np.ctypeslib.ndpointer(np.uint32, flags="C_CONTIGUOUS")


@functools.cache
def _train() -> Any:
    takes = [INT32, INT64, SIZE, FLOATS, FLOATS, SIZE, SIZE, FLOATS, INT32, _COUNTS, _POINTER]
    takes += [_POINTER, SIZE, SIZE, SIZE, SIZE, DOUBLE, DOUBLE, DOUBLE, DOUBLE, SEED, SEED]
    takes += [INT32, UINT64, INT32, FLOATS]
    return function(library("word2vec"), "word2vec_train", takes)


@functools.cache
def _join() -> Any:
    return function(library("word2vec"), "word2vec_join", [FLOATS, _POINTER, SIZE, SIZE, SIZE])


@functools.cache
def _alias() -> Any:
    takes = [DOUBLES, SIZE, FLOATS, INT32, INT32]
    return function(library("word2vec"), "word2vec_alias", takes)


@functools.cache
def _begin() -> Any:
    takes = [BYTES, INT64, INT64, SIZE, FLOATS, SIZE, SIZE, FLOAT, SEED]
    return function(library("word2vec"), "word2vec_begin", takes)
