"""Going on from an earlier training: what it ended with, and how new rows move it.

The models of old and of new rows are averaged by their rows, as those of workers are (Zhang, Duchi
& Wainwright, "Communication-efficient algorithms for statistical optimization", 2013): some new
rows neither wipe out what many old ones taught, nor need any of these again.
"""

from __future__ import annotations

import numpy as np

from tidemill.algorithms.linear_learner.hyperparameters import NAME, LinearLearnerHyperparameters
from tidemill.algorithms.linear_learner.plan import Plan
from tidemill.algorithms.linear_learner.scaler import Scaler
from tidemill.algorithms.linear_learner.state import (
    DONE,
    Anchor,
    LinearState,
    Survey,
    Task,
)
from tidemill.data.batch import Floats
from tidemill.errors import Invalid

_PARAMETERS = {
    "hinge_loss": "margin",
    "quantile_loss": "quantile",
    "huber_loss": "huber_delta",
    "eps_insensitive_squared_loss": "loss_insensitivity",
    "eps_insensitive_absolute_loss": "loss_insensitivity",
}


def task_of(given: LinearLearnerHyperparameters, plan: Plan) -> Task:
    """What these hyperparameters have a model minimise."""
    name = _PARAMETERS.get(plan.loss)
    parameter = float(getattr(given, name)) if name else 0.0
    return Task(given.predictor_type, given.outputs, plan.loss, parameter, given.use_bias)


def check_same_task(
    given: LinearLearnerHyperparameters, plan: Plan, task: Task, columns: int
) -> None:
    """Raise Invalid where these hyperparameters ask for what the earlier training never sought."""
    asked = task_of(given, plan)
    parameter = _PARAMETERS.get(task.loss, "")
    for name, had, has in (
        ("predictor_type", task.predictor_type, asked.predictor_type),
        ("num_classes", task.outputs, asked.outputs),
        ("feature_dim", columns, given.feature_dim or columns),
        ("loss", task.loss, asked.loss),
        (parameter, task.parameter, asked.parameter),
        ("use_bias", task.use_bias, asked.use_bias),
    ):
        if had != has:
            raise Invalid(
                f"{NAME}: {name} must be {had}, as in the earlier training",
                got=has,
                do=f"Change {name!r} in HyperParameters, or train anew.",
            )


def ended(state: LinearState) -> LinearState:
    """What a training leaves to the next: models and tallies, without the optimizer's memory.

    state: past its survey; one that was stopped counts with what it had reached
    """
    best, loss = state.best, state.best_loss
    if best is None or loss is None:
        assert state.train is not None
        best, loss = standing_weights(state), state.train.mean()
    return LinearState(
        phase=DONE,
        survey=state.survey,
        scaler=state.scaler,
        candidates=state.candidates,
        task=state.task,
        best=best,
        best_loss=loss,
        histogram=state.histogram,
        chosen=state.chosen if state.phase == DONE else int(loss.argmin()),
        threshold=state.threshold,
        weight=state.weight,
    )


def anchored(earlier: LinearState, made: Scaler, seen: Survey) -> Anchor:
    """The earlier model in the space of a new scaler; seen: what the new rows alone look like."""
    assert earlier.best is not None
    assert earlier.scaler is not None
    assert earlier.survey is not None
    outputs = earlier.task.outputs if earlier.task else 1
    own = earlier.best.reshape(len(earlier.best), outputs, -1)[:, :, earlier.chosen]
    inner, bias = made.adopt(earlier.scaler, own[:-1].astype(np.float64), own[-1])
    before, now = earlier.survey.features, seen.features
    # One row more, with every column, on both sides: a survey is a sample.
    odds = ((now.nonzero + 1) / (now.weight + 1)) / ((before.nonzero + 1) / (before.weight + 1))
    return Anchor(np.vstack([inner, bias]).astype(np.float32), odds, earlier.weight)


def standing_weights(state: LinearState) -> Floats:
    """(columns + 1, outputs · models) the mean of the last iterates and, by the rows behind them,
    of the earlier model.

    A column counts by the rows that have it, and one that the earlier model made no use of counts
    for nothing there.
    """
    assert state.iterate is not None
    average, anchor = state.iterate.average(), state.anchor
    if anchor is None:
        return average
    fresh = (state.train.weight if state.train else 0.0) * np.append(anchor.odds, 1.0)
    total = fresh + anchor.weight
    share = np.divide(fresh, total, out=np.ones_like(total), where=total > 0)[:, None]
    models = average.shape[1] // anchor.weights.shape[1]
    old = np.repeat(anchor.weights, models, axis=1)
    mixed = old + (average - old) * share.astype(np.float32)
    return np.where(old == 0, average, mixed)
