"""All that training remembers. Its size depends on columns, outputs and models, not on rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.linear_learner.hyperparameters import REGRESSOR
from tidemill.algorithms.linear_learner.plan import Candidates
from tidemill.algorithms.linear_learner.scaler import Scaler
from tidemill.data.batch import Floats
from tidemill.kernels import sound
from tidemill.stats.moments import Moments
from tidemill.stats.score_histogram import ScoreHistogram

Doubles = NDArray[np.float64]

SURVEY, TRAIN, CALIBRATE, DONE = "survey", "train", "calibrate", "done"
"""The passes: look at the first rows · epochs of steps · judge the candidates · over."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first rows look like.

    classes: (classes,) weight of the rows of each class, of classifiers; else empty
    sparse: whether any batch was
    """

    rows: int
    features: Moments
    labels: Moments
    classes: Doubles
    sparse: bool

    def check(self) -> None:
        sound.between("rows", self.rows, 0)
        sound.shaped("labels", self.labels.mean, 1)
        sound.shaped("classes", self.classes, None)
        sound.counted("classes", self.classes)

    def mean_weight(self, by_class: Floats | None) -> float:
        """Weight of a row, (classes,) class weights counted in; 1 where nothing has weight."""
        total = self.features.weight if by_class is None else float(self.classes @ by_class)
        return total / self.rows if self.rows and total > 0 else 1.0

    def merge(self, other: Survey) -> Survey:
        """Of both workers' rows."""
        return Survey(
            self.rows + other.rows,
            self.features.merge(other.features),
            self.labels.merge(other.labels),
            self.classes + other.classes,
            self.sparse or other.sparse,
        )


@dataclass(frozen=True, slots=True)
class Iterate:
    """Where the optimizer stands: the columns of every array are (outputs, models) in one.

    weights: (columns + 1, outputs · models) float32 in scaled space, the last row is the bias
    moments: the optimizer's memory, of the same shape
    drag: sum over the averaged steps of (steps before it) · (its change); it gives their mean
    without touching every weight at every step
    steps: ever made · averaged: the last so many of them · largest: rows of the largest batch
    """

    weights: Floats
    moments: tuple[Floats, ...]
    drag: Floats
    steps: int
    averaged: int
    largest: int

    def average(self) -> Floats:
        """The mean of the last iterates (Polyak & Juditsky, 1992): far less noisy than any one of
        them, and what a pass is judged by and may be served as."""
        if not self.averaged:
            return self.weights
        mean = self.weights + self.drag / np.float32(self.averaged)
        mean[self.weights == 0] = 0  # what L1 has emptied stays so, though it once was not
        return mean


@dataclass(frozen=True, slots=True)
class Evidence:
    """Losses seen since the last closed pass: loss is (models,), summed over weighted rows."""

    rows: int
    weight: float
    loss: Doubles

    def merge(self, other: Evidence) -> Evidence:
        """Of both workers' rows."""
        return Evidence(self.rows + other.rows, self.weight + other.weight, self.loss + other.loss)

    def mean(self) -> Doubles:
        """(models,) loss a row; infinite where it is not a number, or of no rows."""
        if not self.weight:
            return np.full(len(self.loss), np.inf)
        return np.nan_to_num(self.loss / self.weight, nan=np.inf)


@dataclass(frozen=True, slots=True)
class Task:
    """What is minimised; parameter: of the loss (margin, quantile …), 0 where it has none."""

    predictor_type: str
    outputs: int
    loss: str
    parameter: float
    use_bias: bool


@dataclass(frozen=True, slots=True)
class Anchor:
    """The model of an earlier training, in the scaled space of this one.

    weights: (columns + 1, outputs) · weight: of the rows behind it
    odds: (columns,) how much oftener the new rows have each column than the old ones
    """

    weights: Floats
    odds: Doubles
    weight: float


@dataclass(frozen=True, slots=True)
class LinearState:
    """phase: which pass this is · survey: None until a row comes · the rest: None before TRAIN.

    train, held: evidence of this pass · best: each model's averaged weights of its best pass, and
    best_loss (models,) what they lost there · histogram: the candidates' scores on the
    calibration rows, from CALIBRATE on · train_loss, held_loss: of the last pass, by
    model · epoch: passes trained · stalled: of which the last so many brought no gain · lowest:
    (models,) the least that each lost in any of them
    chosen, threshold: the outcome, once DONE
    weight: of the rows that the models are made of, earlier trainings' too
    earlier: what a training before this one ended with, the same on all workers · anchor: of it,
    from TRAIN on
    """

    phase: str = SURVEY
    held_out: bool = False
    survey: Survey | None = None
    scaler: Scaler | None = None
    iterate: Iterate | None = None
    train: Evidence | None = None
    held: Evidence | None = None
    best: Floats | None = None
    best_loss: Doubles | None = None
    histogram: ScoreHistogram | None = None
    train_loss: Doubles | None = None
    held_loss: Doubles | None = None
    epoch: int = 0
    stalled: int = 0
    lowest: Doubles | None = None
    chosen: int = 0
    threshold: float = 0.0
    candidates: Candidates | None = None
    task: Task | None = None
    weight: float = 0.0
    earlier: LinearState | None = None
    anchor: Anchor | None = None

    def check(self) -> None:
        """Lengths alone: a candidate may have diverged, and is then not chosen."""
        sound.require(self.phase in (SURVEY, TRAIN, CALIBRATE, DONE), "a known phase")
        for name in ("epoch", "stalled", "weight"):
            sound.between(name, getattr(self, name), 0)
        if self.earlier is not None:
            sound.require(self.earlier.best is not None, "an earlier training has a model")
        side, task, scaler, survey = self.candidates, self.task, self.scaler, self.survey
        if self.phase == SURVEY:
            return
        sound.require(
            not (side is None or task is None or scaler is None or survey is None),
            "all is known that training goes by",
        )
        if side is not None and task is not None and scaler is not None and survey is not None:
            sound.between("outputs", task.outputs, 1)
            classes = 0 if task.predictor_type == REGRESSOR else max(2, task.outputs)
            sound.shaped("classes", survey.classes, classes)
            sound.shaped("features", survey.features.mean, len(scaler.mean))
            self._check_models(len(side), task.outputs, len(scaler.mean))

    def _check_models(self, models: int, outputs: int, columns: int) -> None:
        sound.between("chosen", self.chosen, 0, models - 1)
        if self.iterate is not None:
            tables = self.iterate.weights, self.iterate.drag, *self.iterate.moments
            for table in tables:
                sound.shaped("iterate", table, columns + 1, outputs * models)
        sound.shaped("best", self.best, columns + 1, outputs * models)
        for name in ("best_loss", "train_loss", "held_loss", "lowest"):
            sound.shaped(name, getattr(self, name), models)
        for seen in (self.train, self.held):
            sound.shaped("losses", None if seen is None else seen.loss, models)
        if self.histogram is not None:
            sound.shaped("histogram", self.histogram.counts, models, 2, None)
        if self.anchor is not None:
            sound.shaped("anchor", self.anchor.weights, columns + 1, outputs)
            sound.shaped("odds", self.anchor.odds, columns)
        has_best = self.best is not None and self.best_loss is not None
        goes_on = self.iterate is not None and self.train is not None and self.held is not None
        sound.require(has_best if self.phase != TRAIN else goes_on, "there are models")
