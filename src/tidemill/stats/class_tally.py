"""How well many classes are told apart: a few sums a class and a few over all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.stats.confusion import ratio

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassTally:
    """Weights of rows. Memory grows with the classes, not with their square.

    hit, said, true: (classes,) rows of a class found, said to be it, being it
    top: rows whose class is among the ``k`` best scores · gain: sum of discounted gains
    """

    hit: Doubles
    said: Doubles
    true: Doubles
    top: float
    gain: float

    @staticmethod
    def of(
        scores: NDArray[np.floating],
        labels: NDArray[np.int64],
        weights: NDArray[np.floating],
        k: int,
    ) -> ClassTally:
        """scores: (rows, classes) · labels, weights: (rows,)."""
        classes = scores.shape[1]
        best = scores.argmax(axis=1)
        own = scores[np.arange(len(labels)), labels]
        ahead = (scores > own[:, None]).sum(axis=1)
        each = np.asarray(weights, np.float64)
        right = best == labels
        return ClassTally(
            _by_class(labels[right], each[right], classes),
            _by_class(best, each, classes),
            _by_class(labels, each, classes),
            float(each @ (ahead < k)),
            float(each @ (math.log(2) / np.log(2.0 + ahead))),
        )

    def merge(self, other: ClassTally) -> ClassTally:
        """Of both sets of rows."""
        return ClassTally(
            self.hit + other.hit,
            self.said + other.said,
            self.true + other.true,
            self.top + other.top,
            self.gain + other.gain,
        )

    def rows(self) -> float:
        """Weight of all rows."""
        return float(self.true.sum())

    def accuracy(self) -> float:
        """Part of the rows whose best score is their class."""
        return _part(float(self.hit.sum()), self.rows())

    def top_k_accuracy(self) -> float:
        """Part of the rows whose class is among the k best scores."""
        return _part(self.top, self.rows())

    def dcg(self) -> float:
        """Mean discounted gain: 1 when the class comes first, 1/log2(1 + place) after."""
        return _part(self.gain, self.rows())

    def macro_precision(self) -> float:
        """Mean over the classes that occur."""
        return self._macro(ratio(self.hit, self.said))

    def macro_recall(self) -> float:
        """Mean over the classes that occur."""
        return self._macro(ratio(self.hit, self.true))

    def macro_f_beta(self, beta: float) -> float:
        """Mean of the classes' F scores, over the classes that occur."""
        square = beta * beta
        return self._macro(ratio((1 + square) * self.hit, square * self.true + self.said))

    def _macro(self, values: Doubles) -> float:
        occurs = (self.true > 0) | (self.said > 0)
        return float(values[occurs].mean()) if occurs.any() else 0.0


def _part(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _by_class(which: NDArray[np.int64], weights: Doubles, classes: int) -> Doubles:
    return np.bincount(which, weights, minlength=classes).astype(np.float64, copy=False)
