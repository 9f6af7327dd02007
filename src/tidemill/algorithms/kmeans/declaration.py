"""What the platform needs to know of k-means, its documented metrics among it."""

from __future__ import annotations

from tidemill.algorithms.base import Declaration, MetricDeclaration
from tidemill.algorithms.kmeans.hyperparameters import KMeansHyperparameters
from tidemill.algorithms.kmeans.learner import KMeans
from tidemill.algorithms.kmeans.model import KMeansModel

DECLARATION = Declaration(
    name="kmeans",
    title="K-Means",
    hyperparameters=KMeansHyperparameters,
    algorithm=KMeans,
    model=KMeansModel,
    metrics=(
        MetricDeclaration(
            "test:msd", r"#quality_metric: host=\S+, test msd <loss>=(\S+)", "Minimize"
        ),
        MetricDeclaration(
            "test:ssd", r"#quality_metric: host=\S+, test ssd <loss>=(\S+)", "Minimize"
        ),
        MetricDeclaration(
            "train:msd", r"#quality_metric: host=\S+, epoch=\S+, train msd <loss>=(\S+)", "Minimize"
        ),
        MetricDeclaration(
            "train:progress", r"#progress_metric: host=\S+, completed (\S+) %", "Maximize"
        ),
        MetricDeclaration(
            "train:throughput",
            r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
            "Maximize",
        ),
    ),
    response_columns=("closest_cluster", "distance_to_cluster"),
    learns="rows",
)
