"""What a yes-or-no decision got right and wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Weights of rows, as numbers or as arrays of one shape (many decisions at once).

    positive, negative: the rows that are so · true_positive, false_positive: those said positive

    >>> seen = Confusion(np.array(3.0), np.array(1.0), np.array(4.0), np.array(6.0))
    >>> float(seen.accuracy()), float(seen.recall()), float(seen.precision())
    (0.8, 0.75, 0.75)
    """

    true_positive: Doubles
    false_positive: Doubles
    positive: Doubles
    negative: Doubles

    @staticmethod
    def of(
        said: NDArray[np.bool_], truth: NDArray[np.bool_], weights: NDArray[np.floating]
    ) -> Confusion:
        """All (rows,)."""
        each = np.asarray(weights, np.float64)
        return Confusion(
            *(np.asarray(each @ v) for v in (said & truth, said & ~truth, truth, ~truth))
        )

    def merge(self, other: Confusion) -> Confusion:
        """Of both sets of rows."""
        return Confusion(  # arrays even of no axes, which sums of would else be numbers
            np.asarray(self.true_positive + other.true_positive),
            np.asarray(self.false_positive + other.false_positive),
            np.asarray(self.positive + other.positive),
            np.asarray(self.negative + other.negative),
        )

    def accuracy(self) -> Doubles:
        """Part of the rows decided rightly."""
        right = self.true_positive + self.negative - self.false_positive
        return ratio(right, self.positive + self.negative)

    def precision(self) -> Doubles:
        """Part of the rows said positive that are; 0 where none was."""
        return ratio(self.true_positive, self.true_positive + self.false_positive)

    def recall(self) -> Doubles:
        """Part of the positive rows that were said so; 0 where there are none."""
        return ratio(self.true_positive, self.positive)

    def f_beta(self, beta: float) -> Doubles:
        """Mean of precision and recall where recall weighs beta times as much."""
        square = beta * beta
        said = self.true_positive + self.false_positive
        return ratio((1 + square) * self.true_positive, square * self.positive + said)


def ratio(part: Doubles, whole: Doubles) -> Doubles:
    """part / whole, and 0 where there is no whole."""
    none = np.asarray(whole == 0)
    answer: Doubles = np.where(none, 0.0, part / np.where(none, 1.0, whole))
    return answer
