"""Classes from the mean of the rows of a text's words and n-grams: learned and told in C."""

from __future__ import annotations

import ctypes
import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels import sound
from tidemill.kernels.load import DOUBLE, DOUBLES, FLOATS, INT32, INT64, SIZE, function, library
from tidemill.kernels.tokens import Found

Floats = NDArray[np.float32]


class Matrices(NamedTuple):
    """weights : (rows, width) float32 · output : (classes, width) float32, or None where the width
    is the number of classes and a row's weights are their scores

    is_distinct: rows count once in a line · power: of a line's terms, that its sum is divided by
    """

    weights: Floats
    output: Floats | None
    is_distinct: bool
    power: float

    @property
    def classes(self) -> int:
        return int(self.weights.shape[1]) if self.output is None else len(self.output)


class Steps(NamedTuple):
    """How steps are made.

    paces : (rows,) float32, how far each row goes, in rates · scale: of all of them
    squares, output_squares : (rows,), (classes,) float32, what moved each row so far; changed
    rate: of the first line; it falls to nothing over ``length`` lines, of which ``done`` are over
    pace: how often one counts
    """

    paces: Floats
    squares: Floats
    output_squares: Floats
    scale: float
    rate: float
    done: float
    pace: float
    length: float


def learn(matrices: Matrices, found: Found, steps: Steps) -> tuple[int, int, float]:
    """Learn from the lines that have labels, in turn; the matrices are changed.

    Gives how many they were, how many the model had right before, and the loss, added up.
    Raises ValueError for rows or labels that there are none of.
    """
    _check(matrices, found)
    rows, width = matrices.weights.shape
    if not len(steps.paces) == len(steps.squares) == rows:
        raise ValueError("there must be a pace for each row")
    if matrices.output is not None and len(steps.output_squares) != len(matrices.output):
        raise ValueError("there must be a square for each class")
    told = np.zeros(3)
    failed = _learn()(
        found.rows, found.times, found.starts, found.terms, found.labels, found.label_starts,
        len(found.terms), matrices.weights, rows, width, matrices.classes,
        _pointer(matrices.output), int(matrices.is_distinct), matrices.power, steps.paces,
        steps.squares, steps.output_squares, steps.scale, steps.rate, steps.done, steps.pace,
        steps.length, np.empty(2 * width + matrices.classes, np.float32), told,
    )  # fmt: skip
    if failed:
        raise ValueError("lines must be of rows and labels that there are")
    return int(told[0]), int(told[1]), float(told[2])


def chances(matrices: Matrices, found: Found) -> Floats:
    """(lines, classes) float32. Raises ValueError for rows that there are none of."""
    _check(matrices, found)
    rows, width = matrices.weights.shape
    made = np.empty((len(found.terms), matrices.classes), np.float32)
    failed = _chances()(
        found.rows, found.times, found.starts, found.terms, len(found.terms), matrices.weights,
        rows, width, matrices.classes, _pointer(matrices.output), int(matrices.is_distinct),
        matrices.power, np.empty(width, np.float32), made,
    )  # fmt: skip
    if failed:
        raise ValueError("lines must be of rows that there are")
    return made


def _check(matrices: Matrices, found: Found) -> None:
    output, lines = matrices.output, len(found.terms)
    sound.shaped("weights", matrices.weights, None, None)
    if output is not None and (
        output.dtype != np.float32
        or not output.flags.c_contiguous
        or output.shape[1:] != matrices.weights.shape[1:]
    ):
        raise ValueError("both matrices must be of one width")
    if len(found.rows) != len(found.times):
        raise ValueError("rows must come so many times")
    sound.bounds("starts of lines", found.starts, lines, len(found.rows))
    sound.bounds("starts of lines' labels", found.label_starts, lines, len(found.labels))


def _pointer(output: Floats | None) -> Any:
    return None if output is None else output.ctypes.data


_POINTER: Any = ctypes.c_void_p
_FOUND = [INT32, FLOATS, INT64, FLOATS]
_MATRICES = [FLOATS, SIZE, SIZE, SIZE, _POINTER, SIZE, DOUBLE]


@functools.cache
def _learn() -> Any:
    takes = [*_FOUND, INT32, INT64, SIZE, *_MATRICES, FLOATS, FLOATS, FLOATS]
    takes += [DOUBLE, DOUBLE, DOUBLE, DOUBLE, DOUBLE, FLOATS, DOUBLES]
    return function(library("textclassifier"), "textclassifier_learn", takes, SIZE)


@functools.cache
def _chances() -> Any:
    takes = [*_FOUND, SIZE, *_MATRICES, FLOATS, FLOATS]
    return function(library("textclassifier"), "textclassifier_chances", takes, SIZE)
