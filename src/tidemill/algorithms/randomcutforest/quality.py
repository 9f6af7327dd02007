"""How well three standard deviations above the mean tell anomalies: evidence that merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Measure
from tidemill.algorithms.randomcutforest.hyperparameters import (
    ACCURACY,
    NAME,
    PRECISION_RECALL_FSCORE,
)
from tidemill.data.batch import Floats
from tidemill.errors import InvalidData
from tidemill.stats.confusion import Confusion
from tidemill.stats.moments import Moments
from tidemill.stats.score_histogram import ScoreHistogram

KEPT = 1 << 16
SIGMAS = 3.0
# Scores about 1, where most are, are told apart by 2 / 8192.
_BINS = 1 << 14


@dataclass(frozen=True, slots=True)
class ThreeSigma:
    """Scores of labelled rows, as they are while there are up to ``KEPT``, then counted in bins.

    scores: (rows,) float32 · is_anomaly: (rows,) bool · counts: of all rows, once there are more
    moments: of all scores, exact in any case · tell: the hyperparameter ``eval_metrics``
    """

    scores: Floats
    is_anomaly: NDArray[np.bool_]
    moments: Moments
    tell: tuple[str, ...]
    counts: ScoreHistogram | None = None

    @staticmethod
    def of(scores: Floats, labels: Floats, tell: tuple[str, ...]) -> ThreeSigma:
        """Of rows and their labels, 1 for an anomaly and 0 for none."""
        labels = labels.reshape(len(scores), -1)
        if labels.shape[1] != 1 or not np.isin(labels, (0, 1)).all():
            raise InvalidData(
                f"{NAME}: a label of the test channel must be 1, an anomaly, or 0, none",
                got=_odd(labels),
                do="Label each row so, or leave the channel out.",
            )
        evidence = ThreeSigma(scores, labels[:, 0] == 1, Moments.of(scores[:, None]), tell)
        return evidence._bounded()

    def merge(self, other: ThreeSigma) -> ThreeSigma:
        """Of both sets of rows."""
        moments = self.moments.merge(other.moments)
        if self.counts or other.counts:
            counts = self._counted().merge(other._counted())
            return ThreeSigma(self.scores[:0], self.is_anomaly[:0], moments, self.tell, counts)
        scores = np.concatenate([self.scores, other.scores])
        is_anomaly = np.concatenate([self.is_anomaly, other.is_anomaly])
        return ThreeSigma(scores, is_anomaly, moments, self.tell)._bounded()

    def threshold(self) -> float:
        """Three standard deviations above the mean."""
        return float(self.moments.mean[0] + SIGMAS * np.sqrt(self.moments.variance()[0]))

    def measures(self) -> Sequence[Measure]:
        """f1, precision and recall; accuracy."""
        found = self._confusion()
        of = {
            PRECISION_RECALL_FSCORE: (
                ("f1", found.f_beta(1.0)),
                ("precision", found.precision()),
                ("recall", found.recall()),
            ),
            ACCURACY: (("accuracy", found.accuracy()),),
        }
        return [
            Measure(name, float(value), "score")
            for asked, group in of.items()
            if asked in self.tell
            for name, value in group
        ]

    def _bounded(self) -> ThreeSigma:
        if len(self.scores) <= KEPT:
            return self
        none, counts = self.scores[:0], self._counted()
        return ThreeSigma(none, self.is_anomaly[:0], self.moments, self.tell, counts)

    def _counted(self) -> ScoreHistogram:
        ones = np.ones(len(self.scores))
        return self.counts or ScoreHistogram.of(
            self.scores[:, None].copy(), self.is_anomaly, ones, _BINS
        )

    def _confusion(self) -> Confusion:
        if self.counts is None:
            said = self.scores > self.threshold()
            return Confusion.of(said, self.is_anomaly, np.ones(len(said)))
        every = self.counts.confusion()
        nearest = int(np.abs(self.counts.thresholds() - self.threshold()).argmin())
        return Confusion(
            every.true_positive[0, nearest],
            every.false_positive[0, nearest],
            every.positive[0, 0],
            every.negative[0, 0],
        )


def _odd(labels: Floats) -> object:
    if labels.shape[1] != 1:
        return f"{labels.shape[1]} labels a row"
    return float(labels[~np.isin(labels, (0, 1))][0])
