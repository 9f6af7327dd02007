"""What the platform needs to know of k-nearest neighbours, its documented metrics among it."""

from __future__ import annotations

from tidemill.algorithms.base import Declaration, MetricDeclaration
from tidemill.algorithms.knn.hyperparameters import NAME, KnnHyperparameters
from tidemill.algorithms.knn.learner import Knn
from tidemill.algorithms.knn.model import KnnModel

_TEST = r"#quality_metric: host=\S+, test"

DECLARATION = Declaration(
    name=NAME,
    title="k-nearest neighbours",
    hyperparameters=KnnHyperparameters,
    algorithm=Knn,
    model=KnnModel,
    metrics=(
        MetricDeclaration("test:accuracy", rf"{_TEST} accuracy <score>=(\S+)", "Maximize"),
        MetricDeclaration(
            "test:macro_f_1.000", rf"{_TEST} macro_f_1.000 <score>=(\S+)", "Maximize"
        ),
        MetricDeclaration("test:mse", rf"{_TEST} mse <loss>=(\S+)", "Minimize"),
        MetricDeclaration(
            "train:progress", r"#progress_metric: host=\S+, completed (\S+) %", "Maximize"
        ),
        MetricDeclaration(
            "train:throughput",
            r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
            "Maximize",
        ),
    ),
    label_size=1,
    csv_accept="application/json",
    response_columns=("predicted_label",),
    verbose_columns=("distances", "labels"),
)
