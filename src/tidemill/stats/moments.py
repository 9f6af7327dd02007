"""Mean and spread of every column, in one pass and mergeable."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels import sound

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moments:
    """The pairwise merge of Chan, Golub & LeVeque (1983), a column each.

    weight: rows seen, each counted by its weight · mean: (columns,)
    scatter: (columns,) weighted sum of squared distances from the mean
    nonzero: (columns,) weight of the rows with a value other than zero

    >>> Moments.of(np.array([[1.0], [3.0]])).merge(Moments.of(np.array([[5.0]]))).variance()
    array([2.66666667])
    """

    weight: float
    mean: Doubles
    scatter: Doubles
    nonzero: Doubles

    def check(self) -> None:
        for name in ("mean", "scatter", "nonzero"):
            sound.shaped(name, getattr(self, name), *self.mean.shape[:1])
        sound.shaped("mean", self.mean, None)
        sound.finite("mean", self.mean)
        sound.counted("scatter", self.scatter)
        sound.counted("nonzero", self.nonzero)
        sound.between("weight", self.weight, 0, sys.float_info.max)

    @staticmethod
    def none(columns: int) -> Moments:
        """Of no rows."""
        return Moments(0.0, np.zeros(columns), np.zeros(columns), np.zeros(columns))

    @staticmethod
    def of(values: NDArray[np.floating], weights: NDArray[np.floating] | None = None) -> Moments:
        """Of dense rows (rows, columns); weights: (rows,)."""
        exact = np.asarray(values, np.float64)
        each = np.ones(len(exact)) if weights is None else np.asarray(weights, np.float64)
        total = float(each.sum())
        if total <= 0:
            return Moments.none(exact.shape[1])
        mean = each @ exact / total
        centred = exact - mean
        return Moments(total, mean, each @ (centred * centred), each @ (exact != 0))

    @staticmethod
    def of_sums(weight: float, sums: Doubles, squares: Doubles, nonzero: Doubles) -> Moments:
        """Of rows known by the sums of their values and squares, as sparse rows are."""
        if weight <= 0:
            return Moments.none(len(sums))
        mean = sums / weight
        return Moments(weight, mean, np.maximum(squares - weight * mean * mean, 0), nonzero)

    def merge(self, other: Moments) -> Moments:
        """Of both sets of rows."""
        if not other.weight or not self.weight:
            return self if self.weight else other
        total = self.weight + other.weight
        apart = other.mean - self.mean
        return Moments(
            total,
            self.mean + apart * (other.weight / total),
            self.scatter + other.scatter + apart * apart * (self.weight * other.weight / total),
            self.nonzero + other.nonzero,
        )

    def variance(self) -> Doubles:
        """(columns,) of the population; zero where nothing was seen."""
        return self.scatter / max(self.weight, 1e-300)

    def nonzero_mean_square(self) -> Doubles:
        """(columns,) mean square of the values other than zero; zero where there are none."""
        squares = self.scatter + self.weight * self.mean * self.mean
        none = self.nonzero <= 0
        return np.where(none, 0.0, squares / np.where(none, 1.0, self.nonzero))
