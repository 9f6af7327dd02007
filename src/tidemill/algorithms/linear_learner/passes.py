"""What happens between passes: begin, stop early, choose; and the model made of a state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tidemill.algorithms.linear_learner.hyperparameters import (
    BINARY,
    NAME,
    LinearLearnerHyperparameters,
)
from tidemill.algorithms.linear_learner.model import LinearModel
from tidemill.algorithms.linear_learner.optimizers import optimizer_of
from tidemill.algorithms.linear_learner.plan import Plan, candidates
from tidemill.algorithms.linear_learner.reopening import anchored, standing_weights, task_of
from tidemill.algorithms.linear_learner.scaler import scaler
from tidemill.algorithms.linear_learner.selection import choose
from tidemill.algorithms.linear_learner.state import (
    CALIBRATE,
    DONE,
    TRAIN,
    Doubles,
    Evidence,
    Iterate,
    LinearState,
)
from tidemill.data.batch import Floats
from tidemill.errors import InvalidHyperparameter
from tidemill.stats.score_histogram import ScoreHistogram


def begin(
    given: LinearLearnerHyperparameters, plan: Plan, state: LinearState, seed: int
) -> LinearState:
    """After the survey: the scaler, and first weights, the same for every candidate."""
    seen = state.survey
    assert seen is not None
    columns = len(seen.features.mean)
    side = candidates(given, columns)
    models = len(side)
    anchor, fresh = None, seen
    if state.earlier is not None and state.earlier.survey is not None:
        seen = state.earlier.survey.merge(seen)
    made = scaler(given, seen.features, seen.labels, seen.sparse)
    if state.earlier is not None:
        anchor = anchored(state.earlier, made, fresh)
        first = anchor.weights
    else:
        first = _first_weights(given, columns, seed)
        # Columns that no row has filled yet, or that are constant, begin at nothing.
        first[:-1][(seen.features.nonzero == 0) | (made.inverse == 0)] = 0
    weights = np.repeat(first, models, axis=1)
    moments = tuple(np.zeros_like(weights) for _ in range(optimizer_of(plan).moments))
    return replace(
        state,
        phase=TRAIN,
        survey=seen,
        scaler=made,
        candidates=side,
        task=task_of(given, plan),
        anchor=anchor,
        weight=anchor.weight if anchor else 0.0,
        iterate=Iterate(weights, moments, np.zeros_like(weights), 0, 0, 0),
        train=_nothing(models),
        held=_nothing(models),
    )


def _first_weights(given: LinearLearnerHyperparameters, columns: int, seed: int) -> Floats:
    draw = np.random.Generator(np.random.Philox(key=seed))
    shape = columns, given.outputs
    if given.init_method == "normal":
        inner = draw.standard_normal(shape, np.float32) * np.float32(given.init_sigma)
    else:
        inner = (draw.random(shape, np.float32) * 2 - 1) * np.float32(given.init_scale)
    bias = np.full((1, given.outputs), given.init_bias if given.use_bias else 0, np.float32)
    return np.concatenate([inner, bias])


def close_epoch(given: LinearLearnerHyperparameters, state: LinearState) -> LinearState:
    """After an epoch: its losses, each model's best weights, and whether that was the last."""
    iterate, train, held = state.iterate, state.train, state.held
    assert iterate is not None
    assert train is not None
    assert held is not None
    judge = held if held.rows else train
    loss = judge.mean()
    if judge.rows and not np.isfinite(loss).any():
        raise _diverged(given)
    best, best_loss = _best(given, state, standing_weights(state), loss, bool(held.rows))
    models = len(loss)
    lowest = np.full(models, np.inf) if state.lowest is None else state.lowest
    stalled = 0 if _gains(given, loss, lowest) else state.stalled + 1
    epoch = state.epoch + 1
    state = replace(
        state,
        iterate=_restarted(iterate) if epoch & (epoch - 1) == 0 else iterate,
        train=_nothing(models),
        held=_nothing(models),
        best=best,
        best_loss=best_loss,
        train_loss=train.mean(),
        held_loss=held.mean() if held.rows else None,
        epoch=epoch,
        stalled=stalled,
        lowest=np.minimum(lowest, loss),
        weight=train.weight + (state.anchor.weight if state.anchor else 0.0),
    )
    if state.epoch < given.epochs and stalled < given.early_stopping_patience:
        return state
    return _end_training(given, state, best_loss)


def _gains(given: LinearLearnerHyperparameters, loss: Doubles, lowest: Doubles) -> bool:
    """Whether the model that leads now did better than ever itself; that another one was lucky
    before says nothing of what this one has yet to learn."""
    leader = int(loss.argmin())
    before = float(lowest[leader])
    gain = before - float(loss[leader])
    return not np.isfinite(before) or gain > given.early_stopping_tolerance * abs(before)


def _restarted(iterate: Iterate) -> Iterate:
    """The averaging begun anew: after passes 1, 2, 4, 8 …, so that the mean is always over the
    later half of training, about, and forgets how it began."""
    iterate.drag.fill(0)
    return replace(iterate, averaged=0)


def _end_training(
    given: LinearLearnerHyperparameters, state: LinearState, best_loss: Doubles
) -> LinearState:
    # By loss alone held-out rows have already told which model is best; but with thresholds the
    # tallies are kept, and can tell later which model and threshold another criterion takes.
    threshold = given.predictor_type == BINARY
    judged = threshold or (len(best_loss) > 1 and not state.held_out)
    return replace(
        state,
        phase=CALIBRATE if judged else DONE,
        chosen=int(best_loss.argmin()),
        histogram=ScoreHistogram.none(len(best_loss)) if threshold else None,
    )


def _best(
    given: LinearLearnerHyperparameters,
    state: LinearState,
    average: Floats,
    loss: Doubles,
    held_out: bool,
) -> tuple[Floats, Doubles]:
    """With held-out rows, the weights of each model's best epoch; without, of its last."""
    if state.best is None or state.best_loss is None or not held_out:
        return average.copy(), loss
    better = loss < state.best_loss
    shape = len(average), given.outputs, len(loss)
    kept = np.where(better, average.reshape(shape), state.best.reshape(shape))
    return kept.reshape(average.shape), np.where(better, loss, state.best_loss)


def close_calibration(given: LinearLearnerHyperparameters, state: LinearState) -> LinearState:
    """After the last pass: the chosen model and its threshold."""
    judge, best_loss = state.held if state.held_out else state.train, state.best_loss
    assert judge is not None
    assert best_loss is not None
    loss = judge.mean() if judge.rows else best_loss
    histogram = _all_scores(state)
    model, threshold = choose(given, histogram, loss)
    return replace(
        state,
        phase=DONE,
        chosen=model,
        threshold=threshold,
        best_loss=loss,
        histogram=histogram,
    )


def _all_scores(state: LinearState) -> ScoreHistogram | None:
    """The scores of this training's calibration rows, and of the earlier ones'.

    A few new rows of the train channel would else move a threshold that many found. Rows that are
    held out may be the same ones again, and are enough by themselves.
    """
    seen, earlier = state.histogram, state.earlier
    if seen is None or earlier is None or earlier.histogram is None or state.held_out:
        return seen
    old = earlier.histogram.counts[earlier.chosen]
    return seen.merge(ScoreHistogram(np.broadcast_to(old, seen.counts.shape)))


def standing(given: LinearLearnerHyperparameters, state: LinearState) -> tuple[Floats, int, float]:
    """(weights, chosen model, threshold) as of now, whatever the phase."""
    if state.phase == CALIBRATE and state.best is not None:
        judge = state.held if state.held_out else state.train
        loss = judge.mean() if judge is not None and judge.rows else state.best_loss
        assert loss is not None
        return state.best, *choose(given, _all_scores(state), loss)
    if state.best is not None and state.best_loss is not None:
        if state.phase == DONE:
            return state.best, *choose(given, state.histogram, state.best_loss)
        return state.best, int(state.best_loss.argmin()), state.threshold
    assert state.train is not None
    return standing_weights(state), int(state.train.mean().argmin()), 0.0


def model_of(given: LinearLearnerHyperparameters, plan: Plan, state: LinearState) -> LinearModel:
    """The chosen candidate as a model over raw rows."""
    weights, model, threshold = standing(given, state)
    scaler, side = state.scaler, state.candidates
    assert scaler is not None
    assert side is not None
    own = weights.reshape(len(weights), given.outputs, -1)[:, :, model].astype(np.float64)
    raw, bias = scaler.fold(own[:-1], own[-1])
    if given.outputs == 1:
        raw, bias = raw[:, 0], bias[0]
    return LinearModel(
        given.predictor_type,
        plan.loss,
        np.ascontiguousarray(raw, np.float32),
        np.asarray(bias, np.float32),
        threshold,
        scaler.label_scale,
        side.describe(model),
    )


def _nothing(models: int) -> Evidence:
    return Evidence(0, 0.0, np.zeros(models))


def _diverged(given: LinearLearnerHyperparameters) -> InvalidHyperparameter:
    return InvalidHyperparameter(
        f"{NAME}: learning_rate must be small enough that some candidate's loss stays finite",
        got=given.learning_rate if given.learning_rate is not None else "auto",
        do="Lower learning_rate, set normalize_data to true, or use optimizer adam.",
    )
