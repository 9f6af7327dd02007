"""What the platform needs to know of factorization machines, their documented metrics among it."""

from __future__ import annotations

from tidemill.algorithms.base import VECTORS, Declaration, MetricDeclaration
from tidemill.algorithms.factorization_machines.artifact import exports, imports
from tidemill.algorithms.factorization_machines.hyperparameters import (
    NAME,
    FactorizationMachinesHyperparameters,
)
from tidemill.algorithms.factorization_machines.learner import FactorizationMachines
from tidemill.algorithms.factorization_machines.model import FactorizationModel

_LOSSES = {
    "rmse": "rmse",
    "mse": "mse",
    "absolute_loss": "absolute_loss",
    "binary_classification_cross_entropy": "binary_classification_cross_entropy",
}
_SCORES = {
    "binary_classification_accuracy": "binary_classification_accuracy",
    "binary_f_beta": r"binary_f_\S+",
}


def _quality(channel: str, epoch: str) -> list[MetricDeclaration]:
    head = rf"#quality_metric: host=\S+,{epoch} {channel}"
    losses = [
        MetricDeclaration(f"{channel}:{name}", rf"{head} {word} <loss>=(\S+)", "Minimize")
        for name, word in _LOSSES.items()
    ]
    scores = [
        MetricDeclaration(f"{channel}:{name}", rf"{head} {word} <score>=(\S+)", "Maximize")
        for name, word in _SCORES.items()
    ]
    return losses + scores


METRICS = (
    *_quality("test", ""),
    *_quality("train", r" epoch=\S+,"),
    MetricDeclaration(
        "train:progress", r"#progress_metric: host=\S+, completed (\S+) %", "Maximize"
    ),
    MetricDeclaration(
        "train:throughput",
        r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
        "Maximize",
    ),
)

DECLARATION = Declaration(
    name=NAME,
    title="Factorization machines",
    hyperparameters=FactorizationMachinesHyperparameters,
    algorithm=FactorizationMachines,
    model=FactorizationModel,
    metrics=METRICS,
    content_types=(*VECTORS, "application/x-libsvm"),
    label_size=1,
    csv_accept="application/json",
    exports=exports,
    imports=imports,
    learns="labels",
    epochs_of_feedback=1,  # its steps start from the model itself: more would wipe older rows out
)
