"""The built-in algorithms as scikit-learn estimators; needs ``pip install tidemill[sklearn]``.

>>> from tidemill.estimators import KMeans
>>> KMeans(n_clusters=2).fit([[1.0], [2.0], [10.0], [12.0]]).labels_.tolist()
[1, 1, 0, 0]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidemill.estimators.factorization_machines import (
        FactorizationMachineClassifier,
        FactorizationMachineRegressor,
    )
    from tidemill.estimators.kmeans import KMeans
    from tidemill.estimators.knn import KNeighborsClassifier, KNeighborsRegressor
    from tidemill.estimators.lda import LatentDirichletAllocation
    from tidemill.estimators.linear_learner import LinearLearnerClassifier, LinearLearnerRegressor
    from tidemill.estimators.pca import PCA
    from tidemill.estimators.random_cut_forest import RandomCutForest
    from tidemill.estimators.text_classifier import TextClassifier
    from tidemill.estimators.word2vec import Word2Vec
    from tidemill.estimators.xgboost import XGBoostClassifier, XGBoostRegressor

__all__ = [
    "PCA",
    "FactorizationMachineClassifier",
    "FactorizationMachineRegressor",
    "KMeans",
    "KNeighborsClassifier",
    "KNeighborsRegressor",
    "LatentDirichletAllocation",
    "LinearLearnerClassifier",
    "LinearLearnerRegressor",
    "RandomCutForest",
    "TextClassifier",
    "Word2Vec",
    "XGBoostClassifier",
    "XGBoostRegressor",
]

_HOMES = {
    "FactorizationMachineClassifier": "tidemill.estimators.factorization_machines",
    "FactorizationMachineRegressor": "tidemill.estimators.factorization_machines",
    "KMeans": "tidemill.estimators.kmeans",
    "KNeighborsClassifier": "tidemill.estimators.knn",
    "KNeighborsRegressor": "tidemill.estimators.knn",
    "LatentDirichletAllocation": "tidemill.estimators.lda",
    "LinearLearnerClassifier": "tidemill.estimators.linear_learner",
    "LinearLearnerRegressor": "tidemill.estimators.linear_learner",
    "PCA": "tidemill.estimators.pca",
    "RandomCutForest": "tidemill.estimators.random_cut_forest",
    "TextClassifier": "tidemill.estimators.text_classifier",
    "Word2Vec": "tidemill.estimators.word2vec",
    "XGBoostClassifier": "tidemill.estimators.xgboost",
    "XGBoostRegressor": "tidemill.estimators.xgboost",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tidemill.estimators' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
