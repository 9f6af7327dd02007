"""What the platform needs to know of random cut forest, its documented metric among it."""

from __future__ import annotations

from tidemill.algorithms.base import Declaration, MetricDeclaration
from tidemill.algorithms.randomcutforest.hyperparameters import (
    NAME,
    RandomCutForestHyperparameters,
)
from tidemill.algorithms.randomcutforest.learner import RandomCutForest
from tidemill.algorithms.randomcutforest.model import RandomCutForestModel

DECLARATION = Declaration(
    name=NAME,
    title="Random Cut Forest",
    hyperparameters=RandomCutForestHyperparameters,
    algorithm=RandomCutForest,
    model=RandomCutForestModel,
    metrics=(
        MetricDeclaration(
            "test:f1", r"#quality_metric: host=\S+, test f1 <score>=(\S+)", "Maximize"
        ),
    ),
    response_key="scores",
    csv_accept="application/json",
    response_columns=("score",),
    learns="rows",
)
