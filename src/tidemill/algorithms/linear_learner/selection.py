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
    by_loss = given.binary_classifier_model_selection_criteria in BY_LOSS
    if by_loss or histogram is None or not histogram.counts.any():
        return int(loss.argmin()), 0.0
    table = histogram.confusion()
    thresholds = histogram.thresholds()
    value = criterion(given, table)
    at = np.array([_nearest_to_zero(thresholds, row) for row in value])
    reached = value[np.arange(len(loss)), at]
    reached = np.where(np.isfinite(loss), reached, -np.inf)
    alike = reached >= reached.max() - _noise(given, table, reached.max())
    model = int(np.where(alike, loss, np.inf).argmin())
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


def _noise(given: LinearLearnerHyperparameters, table: Confusion, value: float) -> float:
    """Half a standard error: candidates nearer than that are alike, and their loss decides.

    It is the steadier measure, so this is what keeps a few lucky rows from choosing the model.
    """
    everyone = given.binary_classifier_model_selection_criteria == "accuracy"
    rows = table.positive[0, 0] + (table.negative[0, 0] if everyone else 0)
    share = value % 1
    return float(0.5 * np.sqrt(share * (1 - share) / max(rows, 1.0)))


def _nearest_to_zero(thresholds: Doubles, value: Doubles) -> int:
    """Of the best thresholds the one nearest to no calibration at all: the steadiest choice."""
    best = np.flatnonzero(value >= value.max() - 1e-12)
    return int(best[np.abs(thresholds[best]).argmin()])


def _within(thresholds: Doubles, at: int) -> float:
    """The threshold; a finite one that no score passes, or all do, in place of the ends."""
    largest = float(np.finfo(np.float32).max)
    return float(np.clip(thresholds[at], -largest, largest))
