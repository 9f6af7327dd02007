"""Centring and scaling, learned from the first rows and folded into the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.linear_learner.hyperparameters import (
    REGRESSOR,
    LinearLearnerHyperparameters,
)
from tidemill.data.batch import Floats
from tidemill.kernels import sound
from tidemill.stats.moments import Moments

Doubles = NDArray[np.float64]

_SAFE_RATIO = 100.0
"""Means up to so many deviations are folded into the bias without loss in float32."""
_ROWS_TO_CALL_CONSTANT = 64


@dataclass(frozen=True, slots=True)
class Scaler:
    """Scaled value = (value - mean) · inverse; scaled label = (label - label_mean) / label_scale.

    mean, inverse: (columns,) float64
    share: (columns,) of the rows that have a value other than zero, where columns that a
    mini-batch lacks are passed over (sparse, not centred); else None
    """

    mean: Doubles
    inverse: Doubles
    label_mean: float
    label_scale: float
    share: Doubles | None = None

    def check(self) -> None:
        sound.shaped("mean", self.mean, None)
        sound.shaped("inverse", self.inverse, len(self.mean))
        sound.shaped("share", self.share, len(self.mean))
        sound.finite("mean", self.mean)
        sound.counted("inverse", self.inverse)

    def base(self) -> Floats | None:
        """(columns,) what must be taken off dense rows themselves, where a mean is huge."""
        if not np.any(np.abs(self.mean) * self.inverse > _SAFE_RATIO):
            return None
        return self.mean.astype(np.float32)

    def fold(self, weights: Doubles, bias: Doubles) -> tuple[Doubles, Doubles]:
        """Scaled (columns, outputs) weights and (outputs,) bias, as weights over raw rows."""
        raw = weights * self.inverse[:, None]
        shifted = bias - self.mean @ raw
        return raw * self.label_scale, shifted * self.label_scale + self.label_mean

    def adopt(
        self, other: Scaler, weights: Doubles, bias: Doubles | Floats
    ) -> tuple[Doubles, Doubles]:
        """Another scaler's (columns, outputs) weights and (outputs,) bias, as this one's."""
        raw, shifted = other.fold(weights, np.asarray(bias, np.float64))
        shifted = (shifted + self.mean @ raw - self.label_mean) / self.label_scale
        scale = (self.inverse * self.label_scale)[:, None]
        return np.divide(raw, scale, out=np.zeros_like(raw), where=scale > 0), shifted


def scaler(
    given: LinearLearnerHyperparameters, features: Moments, labels: Moments, sparse: bool
) -> Scaler:
    """What normalize_* and unbias_* ask for, of the rows seen.

    Dense columns get mean 0 and deviation 1. Sparse ones are not centred, unless unbias_data is
    set: that would fill every zero; and they are scaled by their stored values alone, since a
    rare column has a tiny deviation and would be blown up.
    """
    centred = given.unbias_data if given.unbias_data is not None else given.use_bias and not sparse
    mean = features.mean if centred else np.zeros_like(features.mean)
    regressor = given.predictor_type == REGRESSOR
    label_scaled = regressor and given.normalize_label is not False
    unbias = given.unbias_label if given.unbias_label is not None else given.use_bias
    deviation = float(np.sqrt(labels.variance()[0]))
    return Scaler(
        mean,
        _inverse(given, features, stored_only=sparse and not centred),
        float(labels.mean[0]) if regressor and unbias else 0.0,
        deviation if label_scaled and deviation > 0 else 1.0,
        features.nonzero / max(features.weight, 1e-300) if sparse and not centred else None,
    )


def _inverse(given: LinearLearnerHyperparameters, seen: Moments, stored_only: bool) -> Doubles:
    if given.normalize_data is False:
        return np.ones_like(seen.mean)
    if stored_only:
        size = np.sqrt(seen.nonzero_mean_square())
        known = size[size > 0]
        return 1 / np.where(size > 0, size, known.mean() if len(known) else 1.0)
    deviation = np.sqrt(seen.variance())
    # A constant teaches nothing but rounding; one that is zero so far may yet be a rare flag.
    size = np.abs(seen.mean)
    constant = (deviation <= 1e-6 * size) & (size > 0)
    inverse = 1 / np.where(deviation > 0, deviation, 1.0)
    enough = seen.weight >= _ROWS_TO_CALL_CONSTANT
    return np.where(constant, 0.0 if enough else 1 / np.where(size > 0, size, 1.0), inverse)
