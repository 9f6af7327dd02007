"""The losses: what a score costs, and its slope; whole mini-batches of all candidates at once.

Each takes ``scores`` (rows, models) and turns them, in place, into slopes dloss/dscore; it returns
the weighted sum of the losses, (models,). ``labels`` and ``rows`` (row weights) are (rows,).
``spare`` has the shape of the scores and is written over.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidemill.algorithms.linear_learner.hyperparameters import LinearLearnerHyperparameters
from tidemill.data.batch import Floats

Loss = Callable[[Floats, Floats, Floats, Floats], Floats]

OBJECTIVES = {
    "logistic": "binary_classification_cross_entropy_objective",
    "hinge_loss": "hinge_loss_objective",
    "softmax_loss": "multiclass_cross_entropy_objective",
    "squared_loss": "mse_objective",
    "absolute_loss": "absolute_loss_objective",
    "eps_insensitive_squared_loss": "eps_insensitive_squared_loss_objective",
    "eps_insensitive_absolute_loss": "eps_insensitive_absolute_loss_objective",
    "quantile_loss": "quantile_loss_objective",
    "huber_loss": "huber_loss_objective",
}
"""The words that a log line calls each loss by."""

_FARTHEST = np.float32(80)
"""exp(80) is still a float32; beyond it a logistic loss is counted as this much."""


def loss_of(name: str, given: LinearLearnerHyperparameters) -> Loss:
    """The loss with its parameters (margin, quantile …) filled in."""
    makers: dict[str, Callable[[], Loss]] = {
        "logistic": lambda: logistic,
        "hinge_loss": lambda: hinge(given.margin),
        "softmax_loss": lambda: softmax(given.outputs),
        "squared_loss": lambda: insensitive_squared(0.0),
        "absolute_loss": lambda: insensitive_absolute(0.0),
        "eps_insensitive_squared_loss": lambda: insensitive_squared(given.loss_insensitivity),
        "eps_insensitive_absolute_loss": lambda: insensitive_absolute(given.loss_insensitivity),
        "quantile_loss": lambda: pinball(given.quantile),
        "huber_loss": lambda: huber(given.huber_delta),
    }
    return makers[name]()


def logistic(scores: Floats, labels: Floats, rows: Floats, spare: Floats) -> Floats:
    """Cross-entropy of labels 0 and 1: log(1 + exp(-z)) + (1 - y) z."""
    scores.clip(-_FARTHEST, _FARTHEST, out=scores)
    total = ((1 - labels) * rows) @ scores
    np.negative(scores, out=scores)
    np.exp(scores, out=scores)
    scores += 1
    np.log(scores, out=spare)
    np.reciprocal(scores, out=scores)
    scores -= labels[:, None]
    summed: Floats = total + rows @ spare
    return summed


def hinge(margin: float) -> Loss:
    """max(0, margin - s z) of labels 0 and 1, taken as s = -1 and +1."""

    def loss(scores: Floats, labels: Floats, rows: Floats, spare: Floats) -> Floats:
        sign = (2 * labels - 1).astype(np.float32)[:, None]
        np.multiply(scores, -sign, out=spare)
        spare += np.float32(margin)
        np.maximum(spare, 0, out=spare)
        np.multiply(spare > 0, -sign, out=scores)
        summed: Floats = rows @ spare
        return summed

    return loss


def softmax(classes: int) -> Loss:
    """Cross-entropy over classes; the columns of the scores are (classes, models) in one."""

    def loss(scores: Floats, labels: Floats, rows: Floats, spare: Floats) -> Floats:
        count = len(scores)
        cube = scores.reshape(count, classes, -1)
        cube -= cube.max(axis=1, keepdims=True)
        at = np.arange(count), labels.astype(np.int64)
        total = rows @ -cube[at]
        np.exp(cube, out=cube)
        sums = cube.sum(axis=1)
        total += rows @ np.log(sums)
        cube /= sums[:, None, :]
        cube[at] -= 1
        summed: Floats = total
        return summed

    return loss


def insensitive_squared(forgiven: float) -> Loss:
    """max(0, \\|z - y\\| - forgiven)²."""

    def loss(scores: Floats, labels: Floats, rows: Floats, spare: Floats) -> Floats:
        scores -= labels[:, None]
        if forgiven:
            scores -= np.clip(scores, -forgiven, forgiven, out=spare)
        np.multiply(scores, scores, out=spare)
        scores *= 2
        summed: Floats = rows @ spare
        return summed

    return loss


def insensitive_absolute(forgiven: float) -> Loss:
    """max(0, \\|z - y\\| - forgiven)."""

    def loss(scores: Floats, labels: Floats, rows: Floats, spare: Floats) -> Floats:
        scores -= labels[:, None]
        if forgiven:
            scores -= np.clip(scores, -forgiven, forgiven, out=spare)
        np.abs(scores, out=spare)
        np.sign(scores, out=scores)
        summed: Floats = rows @ spare
        return summed

    return loss


def pinball(quantile: float) -> Loss:
    """quantile · (y - z) where the label is above, (1 - quantile) · (z - y) where below."""

    def loss(scores: Floats, labels: Floats, rows: Floats, spare: Floats) -> Floats:
        scores -= labels[:, None]
        above = scores > 0
        slopes = np.where(above, np.float32(1 - quantile), np.float32(-quantile))
        slopes[scores == 0] = 0
        np.multiply(scores, slopes, out=spare)
        scores[...] = slopes
        summed: Floats = rows @ spare
        return summed

    return loss


def huber(delta: float) -> Loss:
    """Half the square up to delta, linear beyond."""

    def loss(scores: Floats, labels: Floats, rows: Floats, spare: Floats) -> Floats:
        scores -= labels[:, None]
        np.abs(scores, out=spare)
        np.clip(scores, -delta, delta, out=scores)
        spare *= np.abs(scores)
        spare -= scores * scores / 2
        summed: Floats = rows @ spare
        return summed

    return loss
