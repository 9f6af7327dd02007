"""What every ``auto`` stands for, and which candidates are trained beside the user's own model."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.linear_learner.hyperparameters import (
    BINARY,
    LOSSES,
    LinearLearnerHyperparameters,
    check_together,
)
from tidemill.kernels import sound

MOST_MODELS = 32
MOST_NUMBERS = 1 << 23
"""Weights, and scores of a mini-batch, of all candidates together, beyond which ``auto`` trains
fewer: 32 MB an array."""
CALIBRATION_ROWS = 10_000_000
SAMPLE_ROWS = 100_000
"""Rows of train that candidates are judged by when there is no validation channel."""

_RATES = {"adam": 0.03, "sgd": 0.03, "rmsprop": 0.01}
_WD, _L1 = 1e-4, 1e-5
# From the centre outwards, so that a small num_models keeps the likeliest candidates. Rates lead:
# nothing else changes the outcome as much.
_RATE_STEPS = (1.0, 1 / 3, 3.0, 10.0)
_WD_STEPS = (1.0, 10.0, 0.0, 100.0)
_L1_STEPS = (0.0, 1.0)
_FINER = 0.8


@dataclass(frozen=True, slots=True)
class Candidates:
    """One number a model: (models,) float32 each. Model 0 has the user's own values."""

    learning_rate: NDArray[np.float32]
    wd: NDArray[np.float32]
    l1: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.learning_rate)

    def check(self) -> None:
        sound.shaped("learning_rate", self.learning_rate, None)
        sound.require(len(self) > 0, "there are candidates")
        sound.shaped("wd", self.wd, len(self))
        sound.shaped("l1", self.l1, len(self))

    def describe(self, model: int) -> dict[str, float]:
        """One candidate's values, as they are logged: in the shortest form that a float32 has."""
        return {
            "learning_rate": float(str(self.learning_rate[model])),
            "l1": float(str(self.l1[model])),
            "wd": float(str(self.wd[model])),
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """The hyperparameters with nothing left open but what the data decides."""

    loss: str
    optimizer: str
    momentum: float
    beta_1: float
    beta_2: float
    bias_lr_mult: float
    bias_wd_mult: float
    lr_step: int
    lr_factor: float
    lr_minimum: float
    calibration_rows: int


def plan(given: LinearLearnerHyperparameters) -> Plan:
    """Resolve what needs no data; InvalidHyperparameter where values do not fit each other."""
    check_together(given)
    decays = given.use_lr_scheduler
    return Plan(
        loss=given.loss or LOSSES[given.predictor_type][0],
        optimizer=given.optimizer or "adam",
        momentum=_or(given.momentum, 0.0),
        beta_1=_or(given.beta_1, 0.9),
        beta_2=_or(given.beta_2, 0.999),
        bias_lr_mult=_or(given.bias_lr_mult, 10.0),
        bias_wd_mult=_or(given.bias_wd_mult, 0.0),
        lr_step=given.lr_scheduler_step or 100,
        lr_factor=_or(given.lr_scheduler_factor, 0.99) if decays else 1.0,
        lr_minimum=_or(given.lr_scheduler_minimum_lr, 1e-5) if decays else 0.0,
        calibration_rows=given.num_calibration_samples or CALIBRATION_ROWS,
    )


def describe(made: Plan) -> dict[str, str | float]:
    """What all candidates have in common, as it is logged."""
    own: dict[str, float] = {}
    if made.optimizer == "adam":
        own = {"beta_1": made.beta_1, "beta_2": made.beta_2}
    elif made.optimizer == "sgd":
        own = {"momentum": made.momentum}
    return {
        "optimizer": made.optimizer,
        **own,
        "bias_lr_mult": made.bias_lr_mult,
        "bias_wd_mult": made.bias_wd_mult,
        "lr_scheduler_step": made.lr_step,
        "lr_scheduler_factor": made.lr_factor,
        "lr_scheduler_minimum_lr": made.lr_minimum,
    }


def candidates(given: LinearLearnerHyperparameters, columns: int) -> Candidates:
    """The user's model first, then others close to it, as many as num_models asks.

    >>> hp = LinearLearnerHyperparameters(predictor_type="regressor", num_models=3, wd=0.5)
    >>> candidates(hp, columns=4).learning_rate.round(2).tolist()
    [0.029999999329447746, 0.009999999776482582, 0.09000000357627869]
    """
    rows = max(columns + 1, given.mini_batch_size)
    count = given.num_models or int(np.clip(MOST_NUMBERS // (rows * given.outputs), 1, MOST_MODELS))
    rate = given.learning_rate or _RATES[given.optimizer or "adam"]
    wd_base, l1_base = _or(given.wd, _WD), _or(given.l1, _L1)
    grid = list(
        itertools.product(
            _steps(given.l1, _L1_STEPS, (1.0, 0.1)),
            _steps(given.wd, _WD_STEPS, (1.0, 10.0, 0.1, 0.01)),
            _RATE_STEPS,
        )
    )
    chosen = []
    for number in range(count):
        l1, w, r = grid[number % len(grid)]
        finer = _FINER ** (number // len(grid))  # past the grid, rates in between
        chosen.append((rate * r * finer, wd_base * w, l1_base * l1))
    rates, wds, l1s = (np.array(column, np.float32) for column in zip(*chosen, strict=True))
    return Candidates(rates, wds, l1s)


def _steps(
    given: float | None, ours: tuple[float, ...], near: tuple[float, ...]
) -> Iterable[float]:
    """Factors of a penalty: one left to us is also tried as none, one set stays near, 0 stays 0."""
    if given is None:
        return ours
    return near if given else (1.0,)


def positive_weight(given: LinearLearnerHyperparameters, classes: NDArray[np.float64]) -> float:
    """How much a row of class 1 counts, with the rows seen of each class at hand."""
    asked = given.positive_example_weight_mult
    if asked != "balanced":
        return float(asked) if isinstance(asked, int | float) else 1.0
    return float(classes[0] / classes[1]) if classes.min() > 0 else 1.0


def class_weights(
    given: LinearLearnerHyperparameters, classes: NDArray[np.float64]
) -> NDArray[np.float32] | None:
    """(classes,) what a row of each class counts; None when all count the same."""
    if given.predictor_type == BINARY:
        weight = positive_weight(given, classes)
        return None if weight == 1 else np.array([1, weight], np.float32)
    if not given.balance_multiclass_weights:
        return None
    even = classes.sum() / max(1, np.count_nonzero(classes))
    weights: NDArray[np.float64] = float(even) / np.where(classes > 0, classes, even)
    return weights.astype(np.float32)


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
