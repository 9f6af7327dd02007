"""How far predictions are from the numbers they stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Deviation:
    """weight: of the rows · squares, distances: weighted sums of error² and \\|error\\|.

    >>> Deviation.of(np.array([1.0, 2.0]), np.array([1.0, 4.0]), np.ones(2)).mean_square()
    2.0
    """

    weight: float
    squares: float
    distances: float

    @staticmethod
    def of(
        said: NDArray[np.floating], truth: NDArray[np.floating], weights: NDArray[np.floating]
    ) -> Deviation:
        """All (rows,)."""
        each = np.asarray(weights, np.float64)
        error = np.asarray(said, np.float64) - truth
        return Deviation(float(each.sum()), float(each @ (error * error)), float(each @ abs(error)))

    def merge(self, other: Deviation) -> Deviation:
        """Of both sets of rows."""
        return Deviation(
            self.weight + other.weight,
            self.squares + other.squares,
            self.distances + other.distances,
        )

    def mean_square(self) -> float:
        """Mean squared error; 0 of no rows."""
        return self.squares / self.weight if self.weight else 0.0

    def root_mean_square(self) -> float:
        """Its root, in the unit of the labels."""
        return math.sqrt(self.mean_square())

    def mean_distance(self) -> float:
        """Mean absolute error; 0 of no rows."""
        return self.distances / self.weight if self.weight else 0.0
