"""Tidemill: train, deploy and watch machine-learning models anywhere, through SageMaker's API.

>>> import tidemill                                              # doctest: +SKIP
>>> job = tidemill.train("kmeans", X, k=10).wait()               # doctest: +SKIP
>>> tidemill.deploy(job).predict(X[:5])["closest_cluster"]       # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidemill.sdk.connection import Connection, connect
    from tidemill.sdk.endpoint import Endpoint, deploy, endpoints
    from tidemill.sdk.feature_group import FeatureGroup, feature_group
    from tidemill.sdk.train import train
    from tidemill.sdk.training_job import TrainingJob, jobs

__version__ = "0.1.0"
__all__ = [
    "Connection",
    "Endpoint",
    "FeatureGroup",
    "TrainingJob",
    "connect",
    "deploy",
    "endpoints",
    "feature_group",
    "jobs",
    "train",
]

# The door is lazy: `import tidemill` must cost next to nothing, and boto3 alone takes 0.1 s.
_HOMES = {
    "Connection": "tidemill.sdk.connection",
    "connect": "tidemill.sdk.connection",
    "Endpoint": "tidemill.sdk.endpoint",
    "deploy": "tidemill.sdk.endpoint",
    "endpoints": "tidemill.sdk.endpoint",
    "FeatureGroup": "tidemill.sdk.feature_group",
    "feature_group": "tidemill.sdk.feature_group",
    "TrainingJob": "tidemill.sdk.training_job",
    "jobs": "tidemill.sdk.training_job",
    "train": "tidemill.sdk.train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tidemill' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
