"""What the platform needs to know of principal components, and what it logs of them."""

from __future__ import annotations

from tidemill.algorithms.base import Declaration, MetricDeclaration
from tidemill.algorithms.pca.hyperparameters import PcaHyperparameters
from tidemill.algorithms.pca.learner import Pca
from tidemill.algorithms.pca.model import PcaModel, exports, imports

DECLARATION = Declaration(
    name="pca",
    title="Principal Component Analysis (PCA)",
    hyperparameters=PcaHyperparameters,
    algorithm=Pca,
    model=PcaModel,
    metrics=(
        MetricDeclaration(
            "test:reconstruction_error",
            r"#quality_metric: host=\S+, test reconstruction_error <loss>=(\S+)",
            "Minimize",
        ),
        MetricDeclaration(
            "test:explained_variance_ratio",
            r"#quality_metric: host=\S+, test explained_variance_ratio <score>=(\S+)",
            "Maximize",
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
    response_key="projections",
    response_columns=("projection",),
    csv_accept="application/json",
    exports=exports,
    imports=imports,
)
