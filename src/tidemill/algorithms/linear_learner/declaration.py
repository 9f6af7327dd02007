"""What the platform needs to know of linear learner, its documented metrics among it."""

from __future__ import annotations

from typing import Literal

from tidemill.algorithms.base import Declaration, MetricDeclaration
from tidemill.algorithms.linear_learner.hyperparameters import NAME, LinearLearnerHyperparameters
from tidemill.algorithms.linear_learner.learner import LinearLearner
from tidemill.algorithms.linear_learner.model import LinearModel

_SCORES = {
    "binary_classification_accuracy": "binary_classification_accuracy",
    "binary_f_beta": r"binary_f_\S+",
    "precision": "precision",
    "recall": "recall",
    "roc_auc_score": "roc_auc_score",
    "multiclass_accuracy": "multiclass_accuracy",
    "multiclass_top_k_accuracy": r"multiclass_top_k_accuracy_\S+",
    "macro_f_beta": r"macro_f_\S+",
    "macro_precision": "macro_precision",
    "macro_recall": "macro_recall",
    "dcg": "dcg",
}
_LOSSES = {"mse": "mse", "absolute_loss": "absolute_loss"}


def _metric(
    name: str, line: str, direction: Literal["Minimize", "Maximize"] = "Minimize"
) -> MetricDeclaration:
    return MetricDeclaration(name, line, direction)


def _quality(channel: str) -> list[MetricDeclaration]:
    head = rf"#quality_metric: host=\S+, {channel}"
    scores = [
        _metric(f"{channel}:{name}", rf"{head} {word} <score>=(\S+)", "Maximize")
        for name, word in _SCORES.items()
    ]
    losses = [
        _metric(f"{channel}:{name}", rf"{head} {word} <loss>=(\S+)")
        for name, word in _LOSSES.items()
    ]
    return scores + losses


def _objective(channel: str) -> list[MetricDeclaration]:
    head, tail = "#quality_metric: host=", rf"{channel} \S+_objective <loss>=(\S+)"
    return [
        _metric(f"{channel}:objective_loss", rf"{head}\S+, epoch=\S+, {tail}"),
        _metric(f"{channel}:objective_loss:final", rf"{head}\S+, {tail}"),
    ]


METRICS = (
    *_objective("train"),
    _metric("train:progress", r"#progress_metric: host=\S+, completed (\S+) %", "Maximize"),
    _metric(
        "train:throughput",
        r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
        "Maximize",
    ),
    *_objective("validation"),
    *_quality("validation"),
    _metric("validation:rmse", r"#quality_metric: host=\S+, validation rmse <loss>=(\S+)"),
    _metric("test:objective_loss", r"#quality_metric: host=\S+, test \S+_objective <loss>=(\S+)"),
    *_quality("test"),
)

DECLARATION = Declaration(
    name=NAME,
    title="Linear learner",
    hyperparameters=LinearLearnerHyperparameters,
    algorithm=LinearLearner,
    model=LinearModel,
    metrics=METRICS,
    channels=("train", "validation", "test"),
    label_size=1,
    csv_accept="application/json",
    learns="labels",
)
