"""Linear learner: many linear models trained side by side by mini-batch steps; the best is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tidemill.algorithms.base import Algorithm, Measure
from tidemill.algorithms.linear_learner.hyperparameters import (
    NAME,
    LinearLearnerHyperparameters,
)
from tidemill.algorithms.linear_learner.losses import OBJECTIVES, loss_of
from tidemill.algorithms.linear_learner.merging import merge
from tidemill.algorithms.linear_learner.model import LinearModel
from tidemill.algorithms.linear_learner.passes import (
    begin,
    close_calibration,
    close_epoch,
    model_of,
    standing,
)
from tidemill.algorithms.linear_learner.plan import (
    SAMPLE_ROWS,
    Candidates,
    class_weights,
    describe,
    plan,
)
from tidemill.algorithms.linear_learner.quality import Quality, quality
from tidemill.algorithms.linear_learner.reopening import (
    check_same_task,
    ended,
    standing_weights,
)
from tidemill.algorithms.linear_learner.rows import check_finite, check_width, labels_of
from tidemill.algorithms.linear_learner.scaler import Scaler
from tidemill.algorithms.linear_learner.state import (
    CALIBRATE,
    DONE,
    SURVEY,
    TRAIN,
    Evidence,
    LinearState,
)
from tidemill.algorithms.linear_learner.step import Stepper
from tidemill.algorithms.linear_learner.survey import survey
from tidemill.data.batch import Batch, Floats
from tidemill.errors import InvalidData
from tidemill.stats.score_histogram import ScoreHistogram


@dataclass(frozen=True, slots=True)
class Tools:
    """What follows from a closed survey: constants and buffers, nothing to remember."""

    scaler: Scaler
    candidates: Candidates
    stepper: Stepper
    class_weights: Floats | None


class LinearLearner(Algorithm[LinearState]):
    """Linear and logistic regression as SageMaker's linear learner does it.

    A short first pass surveys at most ``num_point_for_scaler`` rows. Then come up to ``epochs``
    passes of mini-batch steps for all candidates at once (two matrix products a batch), each
    judged on held-out rows by the mean of its iterates; a last pass over the validation channel
    (or a sample of train) picks the candidate and, of a binary classifier, its threshold.

    >>> rows = np.random.default_rng(0).standard_normal((400, 2)).astype(np.float32)
    >>> batch = Batch(rows, rows[:, 0] * 3 - rows[:, 1] + 5)
    >>> given = LinearLearnerHyperparameters(predictor_type="regressor", mini_batch_size=50)
    >>> learner = LinearLearner(given)
    >>> state = learner.start()
    >>> while learner.wants_another_pass(state := learner.close_pass(learner.update(state, batch))):
    ...     pass
    >>> learner.finalize(state).predict(Batch(np.ones((1, 2), np.float32)))["score"].round(1)
    array([7.], dtype=float32)
    """

    exact = False
    fades = True

    def __init__(self, given: LinearLearnerHyperparameters, seed: int = 0) -> None:
        self.given = given
        self.seed = seed
        self.plan = plan(given)
        self.batch_rows = given.mini_batch_size
        self._tools: Tools | None = None

    def start(self) -> LinearState:
        return LinearState()

    def reopen(self, state: LinearState, *, leads: bool = True) -> LinearState:
        """The models of the earlier training, by which those of new rows will be steadied.

        Of its tallies other criteria and targets choose other candidates and thresholds. New rows
        are surveyed anew, at most ``num_point_for_scaler`` of them: what was constant may vary.
        """
        if state.phase == SURVEY:
            state = self.close_pass(state) if state.survey else state.earlier or state
        if state.task is None or state.scaler is None:
            return state
        check_same_task(self.given, self.plan, state.task, len(state.scaler.mean))
        earlier = ended(state)
        return LinearState(earlier=replace(earlier, chosen=standing(self.given, earlier)[1]))

    def faded(self, state: LinearState, left: float) -> LinearState:
        seen = state.histogram
        return replace(
            state,
            weight=state.weight * left,
            histogram=None if seen is None else ScoreHistogram(seen.counts * left),
        )

    def update(self, state: LinearState, batch: Batch) -> LinearState:
        if not len(batch):
            return state
        if state.phase == SURVEY:
            return self._survey(state, batch)
        with np.errstate(all="ignore"):  # a candidate that diverges is left out, not complained of
            if state.phase == TRAIN:
                return self._learn(state, batch)
            if state.phase == CALIBRATE and not state.held_out:
                return self._judge(state, batch, "train", SAMPLE_ROWS)
        return state

    def merge(self, left: LinearState, right: LinearState) -> LinearState:
        return merge(left, right)

    def pass_is_over(self, state: LinearState) -> bool:
        if state.phase == SURVEY:
            return state.survey is not None and state.survey.rows >= self.given.num_point_for_scaler
        if state.phase == CALIBRATE and state.train is not None:
            return state.held_out or state.train.rows >= self._sample_rows()
        return state.phase == DONE

    def hold_out(self, state: LinearState, batch: Batch) -> LinearState:
        if not len(batch):
            return state
        if state.phase == SURVEY:
            return state if state.held_out else replace(state, held_out=True)
        with np.errstate(all="ignore"):
            if state.phase == TRAIN:
                return self._judge(state, batch, "held", None)
            if state.phase == CALIBRATE:
                return self._judge(state, batch, "held", self.plan.calibration_rows)
        return state

    def close_pass(self, state: LinearState) -> LinearState:
        with np.errstate(all="ignore"):
            if state.phase == SURVEY:
                return begin(self.given, self.plan, state, self.seed) if state.survey else state
            if state.phase == TRAIN:
                return close_epoch(self.given, state)
            if state.phase == CALIBRATE:
                return close_calibration(self.given, state)
        return state

    def wants_another_pass(self, state: LinearState) -> bool:
        return state.phase in (TRAIN, CALIBRATE)

    def progress(self, state: LinearState) -> float:
        if state.phase in (SURVEY, TRAIN):
            return min(state.epoch / self.given.epochs, 1.0)
        return 1.0

    def epoch(self, state: LinearState, pass_: int) -> int | None:
        """The survey comes before the first epoch, the calibration after the last."""
        trains = state.phase == TRAIN or pass_ <= state.epoch
        return pass_ - 1 if pass_ and trains else None

    def report(self, state: LinearState) -> Mapping[str, Sequence[Measure]]:
        """The objective of the user's own model (number 0)."""
        if state.train_loss is None:
            return {}
        lines = {"train": [self._objective(state.train_loss[0])]}
        if state.held_loss is not None:
            lines["validation"] = [self._objective(state.held_loss[0])]
        return lines

    def criterion(self, state: LinearState) -> Measure | None:
        """The least objective of all candidates, held out where there are such rows."""
        loss = state.train_loss if state.held_loss is None else state.held_loss
        return None if loss is None else self._objective(loss.min())

    def outcome(self, state: LinearState) -> Sequence[Measure]:
        """The objective of the chosen model in the last epoch."""
        if state.train_loss is None:
            return ()
        return [self._objective(state.train_loss[state.chosen])]

    def remarks(self, model: LinearModel) -> Sequence[str]:
        """Which candidate was the best, in the words that SageMaker documents."""
        found = {"optimizer": self.plan.optimizer, **model.candidate, **describe(self.plan)}
        return [f"Best model found for hyperparameters: {json.dumps(found)}"]

    def _objective(self, loss: float) -> Measure:
        return Measure(OBJECTIVES[self.plan.loss], float(loss))

    def finalize(self, state: LinearState) -> LinearModel:
        """The chosen model; before the end, the best so far."""
        if state.phase == SURVEY:
            state = self.close_pass(state) if state.survey else state.earlier or state
        if state.scaler is None or state.survey is None:
            raise InvalidData(
                f"{NAME}: the train channel must have rows",
                got="none",
                do="Check the channel's S3Uri and that its files are not empty.",
            )
        return model_of(self.given, self.plan, state)

    def evaluate(self, model: LinearModel, batch: Batch) -> Quality | None:
        """How good the model is on labelled rows."""
        if not len(batch):
            return None
        labels = labels_of(self.given, batch, 0)
        raw = model.raw(batch)
        rows = np.ones(len(batch), np.float32) if batch.weights is None else batch.weights
        scaled = (raw / np.float32(model.label_scale)).reshape(len(batch), -1)
        loss = loss_of(self.plan.loss, self.given)
        lost = loss(scaled, labels / np.float32(model.label_scale), rows, np.empty_like(scaled))
        return quality(
            model,
            labels,
            raw,
            rows,
            Quality(OBJECTIVES[self.plan.loss], float(lost[0]), float(rows.sum(dtype=np.float64)),
                    self.given.f_beta, self.given.accuracy_top_k),
        )  # fmt: skip

    def _survey(self, state: LinearState, batch: Batch) -> LinearState:
        seen = state.survey
        batch = batch.rows(0, max(0, self.given.num_point_for_scaler - (seen.rows if seen else 0)))
        known = seen or (state.earlier.survey if state.earlier else None)
        columns = len(known.features.mean) if known else None
        check_width(self.given, batch, columns)
        labels = labels_of(self.given, batch, seen.rows if seen else 0)
        check_finite(batch, seen.rows if seen else 0)
        found = survey(self.given, batch, labels)
        return replace(state, survey=seen.merge(found) if seen else found)

    def _learn(self, state: LinearState, batch: Batch) -> LinearState:
        iterate, seen = state.iterate, state.train
        assert iterate is not None
        assert seen is not None
        tools = self._tools_for(state)
        check_width(self.given, batch, tools.stepper.columns)
        for part in batch.split(self.batch_rows) if len(batch) > self.batch_rows else (batch,):
            labels, rows = self._labels_and_rows(tools, part, seen.rows)
            iterate, lost, weight = tools.stepper.learn(iterate, part.features, labels, rows)
            if not np.isfinite(lost).all():
                check_finite(part, seen.rows)
            seen = Evidence(seen.rows + len(part), seen.weight + weight, seen.loss + lost)
        return replace(state, iterate=iterate, train=seen)

    def _judge(
        self, state: LinearState, batch: Batch, channel: str, most: int | None
    ) -> LinearState:
        """Losses of all candidates, and their scores' histogram where a threshold is sought."""
        seen = state.train if channel == "train" else state.held
        assert seen is not None
        if most is not None:
            batch = batch.rows(0, max(0, most - seen.rows))
        if not len(batch):
            return state
        tools = self._tools_for(state)
        check_width(self.given, batch, tools.stepper.columns)
        labels, rows = self._labels_and_rows(tools, batch, seen.rows)
        weights = self._judged(state)
        scores, lost, weight = tools.stepper.lose(weights, batch.features, labels, rows)
        if not np.isfinite(lost).all():
            check_finite(batch, seen.rows)
        seen = Evidence(seen.rows + len(batch), seen.weight + weight, seen.loss + lost)
        state = replace(state, train=seen) if channel == "train" else replace(state, held=seen)
        if state.phase == CALIBRATE:
            return self._histogram(state, batch, labels, scores)
        return state

    def _judged(self, state: LinearState) -> Floats:
        if state.phase == CALIBRATE and state.best is not None:
            return state.best
        return standing_weights(state)

    def _histogram(
        self, state: LinearState, batch: Batch, labels: Floats, scores: Floats
    ) -> LinearState:
        if state.histogram is None:
            return state
        rows = np.ones(len(batch)) if batch.weights is None else batch.weights
        seen = ScoreHistogram.of(scores, labels == 1, rows)
        return replace(state, histogram=state.histogram.merge(seen))

    def _labels_and_rows(
        self, tools: Tools, batch: Batch, seen: int
    ) -> tuple[Floats, Floats | None]:
        labels = labels_of(self.given, batch, seen)
        rows = batch.weights
        if tools.class_weights is not None:
            own = tools.class_weights[labels.astype(np.int64)]
            rows = own if rows is None else rows * own
        scale, mean = tools.scaler.label_scale, tools.scaler.label_mean
        if scale != 1 or mean != 0:
            labels = (labels - np.float32(mean)) * np.float32(1 / scale)
        return labels, rows

    def _sample_rows(self) -> int:
        return min(SAMPLE_ROWS, self.plan.calibration_rows)

    def _tools_for(self, state: LinearState) -> Tools:
        scaler, seen = state.scaler, state.survey
        assert scaler is not None
        assert seen is not None
        if self._tools is None or self._tools.scaler is not scaler:
            side = state.candidates
            assert side is not None
            by_class = class_weights(self.given, seen.classes) if len(seen.classes) else None
            self._tools = Tools(
                scaler,
                side,
                Stepper(self.given, self.plan, scaler, side, seen.mean_weight(by_class)),
                by_class,
            )
        return self._tools
