"""Which candidate is best, and from which score it says yes: decided on calibration rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.linear_learner.hyperparameters import LinearLearnerHyperparameters
from tidemill.stats.confusion import Confusion
from tidemill.stats.score_histogram import ScoreHistogram

Doubles = NDArray[np.float64]

BY_LOSS = ("loss_function", "cross_entropy_loss")


def choose(
    given: LinearLearnerHyperparameters, histogram: ScoreHistogram | None, loss: Doubles
) -> tuple[int, float]:
    """(model, its threshold as a raw score).

    loss: (models,), infinite for a model that diverged · histogram: of binary classifiers
    """
    if histogram is None or not histogram.counts.any():
        return int(loss.argmin()), 0.0
    table = histogram.confusion()
    thresholds = histogram.thresholds()
    value = criterion(given, table)
    at = np.array([_nearest_to_zero(thresholds, row) for row in value])
    reached = value[np.arange(len(loss)), at]
    reached = np.where(np.isfinite(loss), reached, -np.inf)
    model = int(np.lexsort((loss, -reached))[0])
    return model, _within(thresholds, int(at[model]))


def criterion(given: LinearLearnerHyperparameters, table: Confusion) -> Doubles:
    """(models, thresholds) what the selection makes as large as it can.

    Of a criterion with a target, decisions that reach it rank by the other measure, above all
    that do not; these rank by how near they come.
    """
    name = given.binary_classifier_model_selection_criteria
    if name in ("f_beta", "f1"):
        return table.f_beta(given.f_beta if name == "f_beta" else 1.0)
    if name == "precision_at_target_recall":
        return _beyond(table.recall(), given.target_recall, table.precision())
    if name == "recall_at_target_precision":
        return _beyond(table.precision(), given.target_precision, table.recall())
    return table.accuracy()


def _beyond(reached: Doubles, target: float, then: Doubles) -> Doubles:
    answer: Doubles = np.where(reached >= target, 1 + then, reached - target)
    return answer


def _nearest_to_zero(thresholds: Doubles, value: Doubles) -> int:
    """Of the best thresholds the one nearest to no calibration at all: the steadiest choice."""
    best = np.flatnonzero(value >= value.max() - 1e-12)
    return int(best[np.abs(thresholds[best]).argmin()])


def _within(thresholds: Doubles, at: int) -> float:
    """The threshold; a finite one that no score passes, or all do, in place of the ends."""
    largest = float(np.finfo(np.float32).max)
    return float(np.clip(thresholds[at], -largest, largest))
