"""How good scores are on labelled rows, under the names that SageMaker documents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tidemill.algorithms.base import Measure
from tidemill.data.batch import Floats
from tidemill.kernels.factorization_machines import tally
from tidemill.stats.confusion import Confusion
from tidemill.stats.deviation import Deviation


@dataclass(frozen=True, slots=True)
class Quality:
    """Mergeable. Of a regressor there is a deviation, of a classifier there are decisions.

    weight: of the rows · loss: their squared errors, or cross entropies, added up
    labels, squares: weighted sums of the labels and of their squares
    """

    weight: float
    loss: float
    labels: float
    squares: float
    deviation: Deviation | None = None
    decisions: Confusion | None = None

    def merge(self, other: Quality) -> Quality:
        """Of both sets of rows."""
        return Quality(
            self.weight + other.weight,
            self.loss + other.loss,
            self.labels + other.labels,
            self.squares + other.squares,
            self.deviation and other.deviation and self.deviation.merge(other.deviation),
            self.decisions and other.decisions and self.decisions.merge(other.decisions),
        )

    def variance(self) -> float:
        """Of the labels."""
        mean = self.labels / self.weight if self.weight else 0.0
        return max(0.0, self.squares / self.weight - mean * mean) if self.weight else 0.0

    def left(self) -> float:
        """The loss as a share, at most 1, of what the best constant would lose."""
        constant = self.variance() if self.deviation else self._entropy()
        if not self.weight or constant <= 0 or not math.isfinite(self.loss):
            return 1.0
        return min(1.0, self.loss / self.weight / constant)

    def measures(self) -> Sequence[Measure]:
        """The root of the squared loss, or the cross entropy, first."""
        if self.deviation:
            return [
                Measure("rmse", self.deviation.root_mean_square()),
                Measure("mse", self.deviation.mean_square()),
                Measure("absolute_loss", self.deviation.mean_distance()),
            ]
        if self.decisions:
            mean = self.loss / self.weight if self.weight else 0.0
            return [
                Measure("binary_classification_cross_entropy", mean),
                Measure(
                    "binary_classification_accuracy", float(self.decisions.accuracy()), "score"
                ),
                Measure("binary_f_1.000", float(self.decisions.f_beta(1.0)), "score"),
            ]
        return []

    def _entropy(self) -> float:
        share = self.labels / self.weight if self.weight else 0.0
        if not 0 < share < 1:
            return 0.0
        return -share * math.log(share) - (1 - share) * math.log1p(-share)


def quality(raw: Floats, labels: Floats, weights: Floats | None, is_logistic: bool) -> Quality:
    """The evidence of one batch; raw: the scores before any link, (rows,)"""
    found = tally(raw, labels, weights, is_logistic)
    head = Quality(found.weight, found.loss, found.labels, found.squares)
    if not is_logistic:
        return replace(head, deviation=Deviation(found.weight, found.loss, found.distances))
    parts = (
        found.true_positive,
        found.false_positive,
        found.positive,
        found.weight - found.positive,
    )
    return replace(head, decisions=Confusion(*map(np.asarray, parts)))
