"""How the scores of two classes are spread: every threshold's confusion, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels import sound
from tidemill.stats.confusion import Confusion

Doubles = NDArray[np.float64]
BINS = 4096
_LARGEST = 1e30


@dataclass(frozen=True, slots=True)
class ScoreHistogram:
    """Weights of rows by raw score, for each of several models.

    counts: (models, 2, bins); [:, 0] are negative rows, [:, 1] positive ones. Bins have equal
    width on z / (1 + \\|z\\|), so that they are finest about zero, where decisions are made, and
    cover every finite score. Zero is an edge.
    """

    counts: Doubles

    def check(self) -> None:
        sound.shaped("counts", self.counts, None, 2, None)
        sound.require(self.counts.shape[2] > 1, "there are bins")
        sound.counted("counts", self.counts)

    @staticmethod
    def none(models: int, bins: int = BINS) -> ScoreHistogram:
        """Of no rows."""
        return ScoreHistogram(np.zeros((models, 2, bins)))

    @staticmethod
    def of(
        scores: NDArray[np.floating],
        positive: NDArray[np.bool_],
        weights: NDArray[np.floating],
        bins: int = BINS,
    ) -> ScoreHistogram:
        """scores: (rows, models) · positive, weights: (rows,)."""
        models = scores.shape[1]
        place = _bin(scores, bins) + np.where(positive, bins, 0)[:, None]
        place += np.arange(models) * (2 * bins)
        each = np.broadcast_to(weights[:, None], place.shape).ravel()
        counts = np.bincount(place.ravel(), each, minlength=models * 2 * bins)
        return ScoreHistogram(counts.astype(np.float64, copy=False).reshape(models, 2, bins))

    def merge(self, other: ScoreHistogram) -> ScoreHistogram:
        """Of both sets of rows."""
        return ScoreHistogram(self.counts + other.counts)

    def roc_auc(self) -> Doubles:
        """(models,) chance that a positive row scores above a negative one, ties half.

        NaN where a class has no rows.

        >>> scores = np.array([[0.1], [0.4], [0.35], [0.8]])
        >>> ScoreHistogram.of(scores, np.array([False, False, True, True]), np.ones(4)).roc_auc()
        array([0.75])
        """
        negative, positive = self.counts[:, 0], self.counts[:, 1]
        below = np.cumsum(negative, axis=1) - negative / 2
        pairs = negative.sum(axis=1) * positive.sum(axis=1)
        won = (positive * below).sum(axis=1)
        return np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1), np.nan)

    def confusion(self) -> Confusion:
        """(models, bins + 1) arrays: what each threshold of ``thresholds`` decides."""
        return Confusion(
            true_positive=_at_or_above(self.counts[:, 1]),
            false_positive=_at_or_above(self.counts[:, 0]),
            positive=self.counts[:, 1].sum(axis=1)[:, None],
            negative=self.counts[:, 0].sum(axis=1)[:, None],
        )

    def thresholds(self) -> Doubles:
        """(bins + 1,) raw scores at or above which a row is positive; ±inf at the ends."""
        bins = self.counts.shape[2]
        squashed = np.arange(bins + 1) / bins * 2 - 1
        squashed[[0, -1]] = 0
        edges = squashed / (1 - np.abs(squashed))
        edges[[0, -1]] = -np.inf, np.inf
        return np.asarray(edges, np.float64)


def _bin(scores: NDArray[np.floating], bins: int) -> NDArray[np.int64]:
    squashed = scores.clip(-_LARGEST, _LARGEST)
    squashed /= 1 + np.abs(squashed)
    squashed += 1
    squashed *= bins / 2
    # A score that is not a number belongs nowhere; its model is never chosen.
    np.nan_to_num(squashed, copy=False, nan=0.0)
    place: NDArray[np.int64] = np.minimum(squashed.astype(np.int64), bins - 1)
    return place


def _at_or_above(counts: Doubles) -> Doubles:
    sums = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    return np.concatenate([sums, np.zeros((len(counts), 1))], axis=1)
