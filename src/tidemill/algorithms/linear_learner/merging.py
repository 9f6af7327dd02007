"""Two workers' states of one pass, as one.

The mean of models is not the model of all rows, so merge is not exact. It does keep these laws:
it is associative and commutative to rounding, whoever saw no rows changes nothing to the last
bit, and all evidence (losses, histograms, the survey) adds up exactly as if one worker had it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tidemill.algorithms.linear_learner.hyperparameters import NAME
from tidemill.algorithms.linear_learner.state import (
    SURVEY,
    TRAIN,
    Evidence,
    Iterate,
    LinearState,
)
from tidemill.data.batch import Floats
from tidemill.errors import InvalidData


def merge(left: LinearState, right: LinearState) -> LinearState:
    """Both went on from the same closed state, or one is a fresh start."""
    if _is_fresh(left):
        return replace(right, held_out=left.held_out or right.held_out)
    if _is_fresh(right):
        return replace(left, held_out=left.held_out or right.held_out)
    if left.phase == SURVEY and left.survey and right.survey:
        _check_widths(len(left.survey.features.mean), len(right.survey.features.mean))
        return replace(left, survey=left.survey.merge(right.survey))
    if left.train is None or right.train is None or not right.train.rows:
        return left
    if not left.train.rows:
        return right
    if left.phase == TRAIN:
        return _averaged(left, right, left.train, right.train)
    histogram = left.histogram
    if histogram is not None and right.histogram is not None:
        histogram = histogram.merge(right.histogram)
    return replace(left, histogram=histogram, train=left.train.merge(right.train))


def _check_widths(left: int, right: int) -> None:
    if left != right:
        raise InvalidData(
            f"{NAME}: all objects of the train channel must have the same number of features",
            got=f"{left} on one host, {right} on another",
            do="Give all of them the same columns.",
        )


def _is_fresh(state: LinearState) -> bool:
    return state.phase == SURVEY and state.survey is None


def _averaged(
    left: LinearState, right: LinearState, seen: Evidence, other: Evidence
) -> LinearState:
    if left.iterate is None or right.iterate is None:
        return left
    share = other.rows / (seen.rows + other.rows)
    return replace(
        left,
        iterate=_mean(left.iterate, right.iterate, share),
        train=seen.merge(other),
    )


def _mean(left: Iterate, right: Iterate, share: float) -> Iterate:
    weights = _mix(left.weights, right.weights, share)
    average = _mix(left.average(), right.average(), share)
    averaged = max(left.averaged, right.averaged)
    return Iterate(
        weights,
        tuple(_mix(a, b, share) for a, b in zip(left.moments, right.moments, strict=True)),
        (average - weights) * np.float32(averaged),
        max(left.steps, right.steps),
        averaged,
        max(left.largest, right.largest),
    )


def _mix(left: Floats, right: Floats, share: float) -> Floats:
    return left + (right - left) * np.float32(share)
