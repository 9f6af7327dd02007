"""From what was seen of the rows to the directions that they spread along most."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tidemill.algorithms.pca.rows import Doubles, scipy
from tidemill.algorithms.pca.sketch import orthonormal
from tidemill.algorithms.pca.state import PcaState
from tidemill.data.batch import Floats
from tidemill.errors import Invalid, InvalidData

Numbers = TypeVar("Numbers", Doubles, Floats)
_SOME = 0.25
_MANY, _FEW = 512, 1 / 8
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class Components:
    """Orthonormal directions, the strongest last.

    directions: (columns, count) · strengths: (count,) squares of the rows along each, by weight,
    added up · squares: along all directions that there are
    """

    directions: Doubles
    strengths: Doubles
    squares: float


def components(state: PcaState, count: int, *, subtract_mean: bool = True) -> Components:
    """The ``count`` strongest directions about the mean, or about zero.

    Raises Invalid where there are fewer.
    """
    _check(state, count)
    squares, mean = state.squares, state.mean
    if not subtract_mean:
        squares += state.weight * float(mean @ mean)
    try:
        if state.sketch is not None:
            directions, strengths = _of_sketch(state, count, subtract_mean)
        else:
            directions, strengths = _of_scatter(state, count, subtract_mean)
    except np.linalg.LinAlgError as error:
        raise InvalidData(
            "pca: sums of rows of a size that can be squared",
            got=str(error),
            do="Scale huge features before training.",
        ) from error
    directions, strengths = directions[:, -count:], np.maximum(strengths[-count:], 0.0)
    # Which end of an axis is up is arbitrary: its largest entry is to be positive.
    largest = directions[np.abs(directions).argmax(axis=0), np.arange(count)]
    return Components(directions * np.where(largest < 0, -1.0, 1.0), strengths, squares)


def _check(state: PcaState, count: int) -> None:
    if not state.rows:
        raise InvalidData(
            "pca: the train channel must have rows",
            got="none",
            do="Check the channel's S3Uri and that its files are not empty.",
        )
    most = min(state.rows, state.columns)
    if count > most:
        raise Invalid(
            f"pca: num_components must be from 1 to {most}, the lesser of {state.rows} rows and "
            f"{state.columns} columns",
            got=count,
            do="Lower num_components, or train on more rows.",
        )


def _of_scatter(state: PcaState, count: int, subtract_mean: bool) -> tuple[Doubles, Doubles]:
    assert state.scatter is not None
    lower = np.tril(state.scatter)
    scatter = lower + np.tril(lower, -1).T
    if not subtract_mean:
        scatter += state.weight * np.outer(state.mean, state.mean)
    _finite(scatter)
    if len(scatter) >= _MANY and count <= _FEW * len(scatter):
        found = _by_iteration(scatter, count)
        if found is not None:
            return found
    if count > _SOME * len(scatter):
        strengths, directions = np.linalg.eigh(scatter)
        return directions, strengths
    last = len(scatter) - 1
    strengths, directions = scipy("linalg").eigh(
        scatter, subset_by_index=[last + 1 - count, last], driver="evr", check_finite=False
    )
    return directions, strengths


def _finite(table: Numbers) -> Numbers:
    """The same; LAPACK need not come to an end with others."""
    if not np.isfinite(table).all():
        raise np.linalg.LinAlgError("some are infinite")
    return table


def _by_iteration(scatter: Doubles, count: int) -> tuple[Doubles, Doubles] | None:
    """By the restarted Lanczos method (ARPACK), to rounding; None where it has none to find.

    Several times quicker for a few of many directions.
    """
    arpack = scipy("sparse.linalg")
    draws = np.random.Generator(np.random.Philox(key=0))
    # Of later versions, which would else begin anew at random when all is found too soon.
    given = {"rng": draws} if "rng" in inspect.signature(arpack.eigsh).parameters else {}
    start = draws.standard_normal(len(scatter))
    try:
        strengths, directions = arpack.eigsh(
            scatter, count, which="LA", v0=start, tol=0, ncv=3 * count + 20, **given
        )
    except arpack.ArpackError:
        return None
    # Of no strength there may be too many, and it would draw them as it likes.
    is_sure = strengths[0] > _NOTHING * strengths[-1]
    return (directions, strengths) if is_sure else None


def _of_sketch(state: PcaState, count: int, subtract_mean: bool) -> tuple[Doubles, Doubles]:
    assert state.sketch is not None
    rows = state.sketch.rows
    if not subtract_mean:
        mean = np.sqrt(state.weight) * state.mean
        rows = np.concatenate([rows, mean[None].astype(np.float32)])
    # Rows that spread along fewer directions have any others with no strength.
    lacking = np.zeros((max(0, count - len(rows)), rows.shape[1]), np.float32)
    rows = _finite(np.concatenate([rows, lacking]))
    basis, sums = orthonormal(rows.T)
    turns, singular, _ = np.linalg.svd(sums.astype(np.float64))
    found: Doubles = basis @ turns[:, ::-1][:, -len(singular) :]
    return found, singular[::-1] ** 2
