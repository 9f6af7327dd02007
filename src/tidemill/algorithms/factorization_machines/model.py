"""The model that is served: a bias, a weight and a vector of factors for every feature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidemill.algorithms.base import Columns
from tidemill.algorithms.factorization_machines.hyperparameters import BINARY, REGRESSOR
from tidemill.algorithms.factorization_machines.rows import rows_of
from tidemill.data.batch import Batch, Floats
from tidemill.kernels import factorization_machines as kernel
from tidemill.kernels import sound

_FARTHEST = np.float32(-80)


@dataclass(frozen=True, slots=True)
class FactorizationModel:
    """score = bias + Σ linear[i]·x[i] + Σ ⟨factors[i], factors[j]⟩·x[i]·x[j] over pairs i < j.

    linear: (columns,) float32 · factors: (columns, num_factors) float32, in the columns' order
    """

    predictor_type: str
    bias: float
    linear: Floats
    factors: Floats

    def check(self) -> None:
        sound.require(self.predictor_type in (BINARY, REGRESSOR), "a known predictor_type")
        sound.shaped("linear", self.linear, None)
        sound.shaped("factors", self.factors, len(self.linear), None)
        sound.require(len(self.linear) > 0, "a model has columns")

    @property
    def columns(self) -> int:
        """Width of the rows that it takes."""
        return len(self.linear)

    def raw(self, batch: Batch) -> Floats:
        """(rows,) the scores before any link."""
        rows = rows_of(batch, self.columns)
        return kernel.scores(self.linear, self.factors, self.bias, rows)

    def predict(self, batch: Batch) -> Columns:
        """``score`` (of a classifier a probability) and, of a classifier, ``predicted_label``."""
        scores = self.raw(batch)
        if self.predictor_type != BINARY:
            return {"score": scores}
        return {"score": sigmoid(scores), "predicted_label": (scores >= 0).astype(np.int64)}


def sigmoid(scores: Floats) -> Floats:
    """1 / (1 + exp(-scores)), without overflow."""
    spread = np.exp(-np.maximum(scores, _FARTHEST))
    spread += 1
    return np.reciprocal(spread, out=spread)
