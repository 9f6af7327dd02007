"""What the platform needs to know of xgboost, its documented metrics among it."""

from __future__ import annotations

from typing import Literal

from tidemill.algorithms.base import Declaration, MetricDeclaration
from tidemill.algorithms.xgboost import metrics
from tidemill.algorithms.xgboost.dialogue import XGBoostDialogue
from tidemill.algorithms.xgboost.hyperparameters import NAME, XGBoostHyperparameters
from tidemill.algorithms.xgboost.learner import XGBoost
from tidemill.algorithms.xgboost.model import XGBoostModel, exports, imports
from tidemill.data import content_type as types


def _metric(channel: str, name: str) -> MetricDeclaration:
    goal: Literal["Minimize", "Maximize"]
    goal = "Maximize" if metrics.is_better_large(name) else "Minimize"
    parameter = f"(?:{metrics.PARAMETERS[name]})?" if name in metrics.PARAMETERS else ""
    # SageMaker's own begin with .*, which says nothing and costs a search at every character.
    regex = rf"\[[0-9]+\].*#011{channel}-{name}{parameter}:(\S+)"
    return MetricDeclaration(f"{channel}:{name}", regex, goal)


DECLARATION = Declaration(
    name=NAME,
    title="XGBoost",
    hyperparameters=XGBoostHyperparameters,
    algorithm=XGBoost,
    model=XGBoostModel,
    metrics=tuple(_metric(c, name) for c in ("train", "validation") for name in metrics.NAMES),
    channels=("train", "validation"),
    content_types=(
        types.LIBSVM,
        types.CSV,
        types.RECORDIO,
        types.PARQUET,
        types.NPY,
        types.JSON_LINES,
    ),
    default_content_type=types.LIBSVM,
    label_size=1,
    response_columns=("score",),
    allows_missing=True,
    dialogue=XGBoostDialogue(),
    exports=exports,
    imports=imports,
)
