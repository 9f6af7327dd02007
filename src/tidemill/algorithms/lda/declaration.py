"""What the platform needs to know of lda, its documented metric among it."""

from __future__ import annotations

from tidemill.algorithms.base import Declaration, MetricDeclaration
from tidemill.algorithms.lda.artifact import exports, imports
from tidemill.algorithms.lda.hyperparameters import NAME, LdaHyperparameters
from tidemill.algorithms.lda.learner import Lda
from tidemill.algorithms.lda.model import LdaModel

DECLARATION = Declaration(
    name=NAME,
    title="Latent Dirichlet allocation",
    hyperparameters=LdaHyperparameters,
    algorithm=Lda,
    model=LdaModel,
    metrics=(
        MetricDeclaration(
            "test:pwll", r"#quality_metric: host=\S+, test pwll <score>=(\S+)", "Maximize"
        ),
    ),
    response_columns=("topic_mixture",),
    exports=exports,
    imports=imports,
)
