"""What holds for each step: how far along training is, and how strongly factors are held back."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.factorization_machines.hyperparameters import (
    FactorizationMachinesHyperparameters,
)
from tidemill.algorithms.factorization_machines.state import FactorizationState
from tidemill.data.batch import Floats, Integers
from tidemill.kernels.factorization_machines import PACE, SETTINGS

Doubles = NDArray[np.float64]
BETA_1, BETA_2 = 0.9, 0.999
_EPS = 1e-8
_PRIOR = 24.0
"""Precision of the prior that ``auto`` means, of factors and weights of labels of deviation 1."""
_FEWEST_BATCHES = 80


def settings(given: FactorizationMachinesHyperparameters) -> Floats:
    """What is the same for all steps: (SETTINGS,)."""
    found = np.array(
        [
            given.bias_lr,
            given.linear_lr,
            given.factors_lr,
            given.bias_wd,
            1 - BETA_1,
            1 - BETA_2,
            _EPS if given.eps is None else given.eps,
            np.inf if given.clip_gradient is None else given.clip_gradient,
        ],
        np.float32,
    )
    assert len(found) == SETTINGS
    return found


def paces(
    given: FactorizationMachinesHyperparameters,
    state: FactorizationState,
    labels: Floats,
    weights: Floats | None,
) -> Floats:
    """(mini-batches, PACE) of the next rows. weights: of these, None for ones"""
    count, size = len(labels), given.mini_batch_size
    starts = np.arange(0, count, size)
    weighed = np.minimum(starts + size, count) - starts * 1.0
    if weights is not None:
        weighed = np.add.reduceat(weights.astype(np.float64), starts)
    prior = _priors(state, weighed)
    spread = 1.0 if given.is_logistic else _spread(state, labels)
    found = np.empty((len(starts), PACE))
    found[:, 0] = 1 / weighed if given.rescale_grad is None else given.rescale_grad
    found[:, 1] = _rates(given, state, starts)
    found[:, 2] = prior if given.linear_wd is None else given.linear_wd
    # Factors come in pairs, so theirs is the root of the labels' unit.
    found[:, 3] = prior * spread * state.strength if given.factors_wd is None else given.factors_wd
    return found.astype(np.float32)


def _rates(
    given: FactorizationMachinesHyperparameters, state: FactorizationState, starts: Integers
) -> Doubles:
    """Adam's corrections for moments that began at zero, and the fall over the epochs."""
    made = state.steps + 1.0 + np.arange(len(starts))
    rates: Doubles = np.sqrt(1 - BETA_2**made) / (1 - BETA_1**made)
    if given.use_lr_scheduler:
        # In a pass whose length nobody knows, the first of a stream, rates stand still.
        done = np.minimum(1.0, (state.rows + starts) / state.share) if state.share else 0.0
        rates *= np.maximum(0.0, 1 - (state.epoch + done) / given.epochs)
    return rates


def _priors(state: FactorizationState, weighed: Doubles) -> Doubles:
    """L2 penalties that amount to a Gaussian prior: the precision, times the share of the loss that
    is left (what cannot be told from noise), over the weight of a pass."""
    of_pass = np.full(len(weighed), state.weight)
    if not state.weight:  # the first pass of a stream: as far as it has come
        seen = state.seen.weight if state.seen else 0.0
        of_pass = np.maximum(seen + np.cumsum(weighed), _FEWEST_BATCHES * weighed)
    return _PRIOR * state.left / (state.past + of_pass)


def _spread(state: FactorizationState, labels: Floats) -> float:
    """Standard deviation of the labels, as far as it is known."""
    known = state.closed or state.seen
    variance = known.variance() if known else float(labels.var(dtype=np.float64))
    return math.sqrt(variance) or 1.0
