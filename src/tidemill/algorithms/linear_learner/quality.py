"""How good one model is on labelled rows, under the names that SageMaker documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from tidemill.algorithms.base import Measure
from tidemill.algorithms.linear_learner.hyperparameters import BINARY, MULTICLASS
from tidemill.algorithms.linear_learner.model import LinearModel
from tidemill.data.batch import Floats
from tidemill.stats.class_tally import ClassTally
from tidemill.stats.confusion import Confusion
from tidemill.stats.deviation import Deviation
from tidemill.stats.score_histogram import ScoreHistogram

Part = TypeVar("Part", Confusion, ScoreHistogram, ClassTally, Deviation)


@dataclass(frozen=True, slots=True)
class Quality:
    """Mergeable; exactly one of the three kinds of evidence is there.

    objective: the loss's name in logs · loss, weight: its sum, and the rows that it is over
    """

    objective: str
    loss: float
    weight: float
    beta: float
    top_k: int
    decisions: Confusion | None = None
    scores: ScoreHistogram | None = None
    classes: ClassTally | None = None
    deviation: Deviation | None = None

    def merge(self, other: Quality) -> Quality:
        """Of both sets of rows."""
        return Quality(
            self.objective,
            self.loss + other.loss,
            self.weight + other.weight,
            self.beta,
            self.top_k,
            _join(self.decisions, other.decisions),
            _join(self.scores, other.scores),
            _join(self.classes, other.classes),
            _join(self.deviation, other.deviation),
        )

    def measures(self) -> Sequence[Measure]:
        """The objective first, then what the kind of model is judged by."""
        mean = self.loss / self.weight if self.weight else float("nan")
        return [Measure(self.objective, mean), *self._others()]

    def _others(self) -> list[Measure]:
        if self.decisions is not None and self.scores is not None:
            area = float(self.scores.roc_auc()[0])
            return binary_measures(self.decisions, area, self.beta)
        if self.classes is not None:
            return _class_measures(self.classes, self.beta, self.top_k)
        if self.deviation is not None:
            return _deviation_measures(self.deviation)
        return []


def quality(
    model: LinearModel, labels: Floats, raw: Floats, weights: Floats, head: Quality
) -> Quality:
    """The head with the evidence of one batch; raw: the model's scores of it."""
    if model.predictor_type == BINARY:
        truth = labels == 1
        return replace(
            head,
            decisions=Confusion.of(raw >= model.threshold, truth, weights),
            scores=ScoreHistogram.of(raw[:, None], truth, weights),
        )
    if model.predictor_type == MULTICLASS:
        tally = ClassTally.of(raw, labels.astype(np.int64), weights, head.top_k)
        return replace(head, classes=tally)
    return replace(head, deviation=Deviation.of(raw, labels, weights))


def binary_measures(decided: Confusion, area: float, beta: float) -> list[Measure]:
    """Of a decision at one threshold, and of all (roc_auc_score)."""
    return [
        Measure("binary_classification_accuracy", float(decided.accuracy()), "score"),
        Measure(f"binary_f_{beta:.3f}", float(decided.f_beta(beta)), "score"),
        Measure("precision", float(decided.precision()), "score"),
        Measure("recall", float(decided.recall()), "score"),
        Measure("roc_auc_score", area, "score"),
    ]


def _class_measures(seen: ClassTally, beta: float, top_k: int) -> list[Measure]:
    return [
        Measure("multiclass_accuracy", seen.accuracy(), "score"),
        Measure(f"multiclass_top_k_accuracy_{top_k}", seen.top_k_accuracy(), "score"),
        Measure("dcg", seen.dcg(), "score"),
        Measure("macro_recall", seen.macro_recall(), "score"),
        Measure("macro_precision", seen.macro_precision(), "score"),
        Measure(f"macro_f_{beta:.3f}", seen.macro_f_beta(beta), "score"),
    ]


def _deviation_measures(seen: Deviation) -> list[Measure]:
    return [
        Measure("mse", seen.mean_square()),
        Measure("absolute_loss", seen.mean_distance()),
        Measure("rmse", seen.root_mean_square()),
    ]


def _join(left: Part | None, right: Part | None) -> Part | None:
    if left is None or right is None:
        return left or right
    return left.merge(right)
