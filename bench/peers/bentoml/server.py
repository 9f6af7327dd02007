"""BentoML: a service class with typed arrays; WORKERS in the environment."""

from __future__ import annotations

import os

import bentoml
import numpy as np
from logistic import scores


@bentoml.service(workers=int(os.environ["WORKERS"]))
class Logistic:
    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return scores(rows)
