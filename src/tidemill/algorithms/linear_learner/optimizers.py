"""The optimizers: from a gradient to what is taken off the weights, all candidates at once.

``moments`` are the optimizer's memory: arrays of the weights' shape, changed in place.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tidemill.algorithms.linear_learner.plan import Plan
from tidemill.data.batch import Floats

_SMALL = 1e-8


class Optimizer(Protocol):
    """moments: how many arrays it remembers."""

    moments: int

    def step(
        self, gradient: Floats, moments: tuple[Floats, ...], rate: Floats, count: int
    ) -> tuple[Floats, Floats]:
        """What to take off the weights, and the rate that each weight had.

        gradient (written over), rate: of the weights' shape · count: steps so far, this included
        """
        ...


def optimizer_of(plan: Plan) -> Optimizer:
    """The optimizer that the plan names."""
    if plan.optimizer == "sgd":
        return Sgd(plan.momentum)
    return Adam(plan.beta_1, plan.beta_2) if plan.optimizer == "adam" else RmsProp()


class Sgd:
    """Stochastic gradient descent with (heavy-ball) momentum."""

    def __init__(self, momentum: float) -> None:
        self.momentum = np.float32(momentum)
        self.moments = 1 if momentum else 0

    def step(
        self, gradient: Floats, moments: tuple[Floats, ...], rate: Floats, count: int
    ) -> tuple[Floats, Floats]:
        np.multiply(gradient, rate, out=gradient)
        if not moments:
            return gradient, rate
        (velocity,) = moments
        velocity *= self.momentum
        velocity += gradient
        return velocity, rate


class Adam:
    """Adam (Kingma & Ba, 2015), in the order of operations of its section 2."""

    moments = 2

    def __init__(self, beta_1: float, beta_2: float) -> None:
        self.beta_1, self.beta_2 = beta_1, beta_2

    def step(
        self, gradient: Floats, moments: tuple[Floats, ...], rate: Floats, count: int
    ) -> tuple[Floats, Floats]:
        first, second = moments
        spread = (1 - self.beta_2**count if self.beta_2 < 1 else 1.0) ** 0.5
        drift = 1 - self.beta_1**count if self.beta_1 < 1 else 1.0
        own = np.multiply(gradient, np.float32(1 - self.beta_1))
        first *= np.float32(self.beta_1)
        first += own
        np.multiply(gradient, gradient, out=gradient)
        gradient *= np.float32(1 - self.beta_2)
        second *= np.float32(self.beta_2)
        second += gradient
        np.sqrt(second, out=own)
        own += np.float32(_SMALL * spread)
        np.divide(rate, own, out=own)
        own *= np.float32(spread / drift)
        return np.multiply(first, own, out=gradient), own


class RmsProp:
    """RMSProp (Tieleman & Hinton, 2012): the gradient over its running root mean square."""

    moments = 1
    decay = np.float32(0.9)

    def step(
        self, gradient: Floats, moments: tuple[Floats, ...], rate: Floats, count: int
    ) -> tuple[Floats, Floats]:
        (second,) = moments
        own = np.multiply(gradient, gradient)
        own *= 1 - self.decay
        second *= self.decay
        second += own
        np.sqrt(second, out=own)
        own += np.float32(_SMALL)
        np.divide(rate, own, out=own)
        return np.multiply(gradient, own, out=gradient), own


def shrinkage(weights: Floats, by: Floats) -> Floats:
    """What L1 takes off: so much towards zero, and not past it (its proximal step)."""
    return np.clip(weights, -by, by)
