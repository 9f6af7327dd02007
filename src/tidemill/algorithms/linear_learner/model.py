"""The model that is served: plain weights over raw features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tidemill.algorithms.base import Columns
from tidemill.algorithms.linear_learner.hyperparameters import (
    BINARY,
    MULTICLASS,
    NAME,
    REGRESSOR,
)
from tidemill.data.batch import Batch, Csr, Floats
from tidemill.errors import InvalidData
from tidemill.kernels import sound

_FARTHEST = np.float32(-80)


@dataclass(frozen=True, slots=True)
class LinearModel:
    """scores = features · weights + bias, with all scaling folded in.

    weights: (columns,), or (columns, classes) of a multiclass classifier · bias: () or (classes,)
    threshold: the raw score from which a binary classifier says 1
    label_scale: the unit that a regressor's loss was measured in
    candidate: the learning_rate, wd and l1 that it was trained with
    """

    predictor_type: str
    loss: str
    weights: Floats
    bias: Floats
    threshold: float = 0.0
    label_scale: float = 1.0
    candidate: Mapping[str, float] = field(default_factory=dict)

    def check(self) -> None:
        is_known = self.predictor_type in (BINARY, MULTICLASS, REGRESSOR)
        sound.require(is_known, "a known predictor_type")
        outputs = [None] if self.predictor_type == MULTICLASS else []
        sound.shaped("weights", self.weights, None, *outputs)
        sound.require(self.weights.size > 0, "a model has columns and outputs")
        sound.shaped("bias", self.bias, *self.weights.shape[1:])

    @property
    def columns(self) -> int:
        """Width of the rows that it takes."""
        return len(self.weights)

    def raw(self, batch: Batch) -> Floats:
        """The scores before any link: (rows,), or (rows, classes)."""
        if batch.columns != self.columns:
            raise InvalidData(
                f"{NAME}: rows must have {self.columns} features, as in training",
                got=batch.columns,
                do="Send the same columns as in training, without the label.",
            )
        scores = product(batch.features, self.weights)
        scores += self.bias
        return scores

    def predict(self, batch: Batch) -> Columns:
        """score (a probability of logistic and softmax) and, of classifiers, predicted_label.

        A few microseconds for one row of some hundred columns.
        """
        scores = self.raw(batch)
        if self.predictor_type == BINARY:
            label = (scores >= self.threshold).astype(np.int64)
            score = sigmoid(scores) if self.loss == "logistic" else scores
            return {"score": score, "predicted_label": label}
        if self.predictor_type == MULTICLASS:
            return {"score": softmax(scores), "predicted_label": scores.argmax(axis=1)}
        return {"score": scores}


def product(features: Floats | Csr, weights: Floats) -> Floats:
    """features · weights, for dense and sparse rows: (rows,) or (rows, outputs)."""
    if not isinstance(features, Csr):
        answer: Floats = np.dot(features, weights)
        return answer
    stored = weights[features.indices]
    stored *= features.values if weights.ndim == 1 else features.values[:, None]
    sums = np.zeros((len(features), *weights.shape[1:]), np.float32)
    filled = np.flatnonzero(np.diff(features.indptr))
    if len(filled):
        sums[filled] = np.add.reduceat(stored, features.indptr[filled], axis=0)
    return sums


def sigmoid(scores: Floats) -> Floats:
    """1 / (1 + exp(-scores)), without overflow."""
    spread = np.exp(-np.maximum(scores, _FARTHEST))
    spread += 1
    return np.reciprocal(spread, out=spread)


def softmax(scores: Floats) -> Floats:
    """Probabilities over the last axis."""
    spread = np.exp(scores - scores.max(axis=1, keepdims=True))
    answer: Floats = np.divide(spread, spread.sum(axis=1, keepdims=True))
    return answer
