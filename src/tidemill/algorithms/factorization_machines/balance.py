"""Whether held-out rows bear out what a model says of features, alone and in pairs.

A machine with many rare features can learn its training rows by heart, in its pairs above all. Then
held-out rows would be told better if the pairs' part of the score were smaller. How much smaller
follows from one Newton step of their loss, along the sizes of both parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Balance:
    """slope, curvature: (3,) and (3, 3), of the loss along a shift of all scores, and along the
    sizes of their linear part and of their pairs; sums over weighted rows

    >>> linear, pairs = np.array([1.0, -1, 1, -1] * 100), np.array([2.0, 2, -2, -2] * 100)
    >>> held = Balance.of(linear, pairs, linear + 0.3 * pairs, np.ones(400), is_logistic=False)
    >>> [round(size, 2) for size in held.sizes()]
    [1.0, 0.3]
    """

    slope: Doubles
    curvature: Doubles

    @staticmethod
    def of(
        linear: NDArray[np.floating],
        pairs: NDArray[np.floating],
        labels: NDArray[np.floating],
        weights: NDArray[np.floating],
        *,
        is_logistic: bool,
    ) -> Balance:
        """linear, pairs: the parts of the scores, the bias within the linear one; all (rows,)."""
        parts = np.stack([np.ones(len(labels)), linear, pairs], axis=1).astype(np.float64)
        scores = parts[:, 1] + parts[:, 2]
        said = 1 / (1 + np.exp(-np.clip(scores, -50, 50))) if is_logistic else scores
        bend = said * (1 - said) if is_logistic else np.ones(len(labels))
        each = weights.astype(np.float64)
        return Balance(parts.T @ (each * (said - labels)), (parts.T * (each * bend)) @ parts)

    def merge(self, other: Balance) -> Balance:
        """Of both sets of rows."""
        return Balance(self.slope + other.slope, self.curvature + other.curvature)

    def sizes(self) -> tuple[float, float]:
        """What the linear part, and the pairs, were best multiplied by; drawn a little to 1."""
        step = np.linalg.solve(self.curvature + np.diag([1e-6, 1.0, 1.0]), self.slope)
        return 1 - float(step[1]), 1 - float(step[2])
