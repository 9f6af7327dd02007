"""Small factorization machines, and rows for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tidemill.algorithms.factorization_machines.hyperparameters import (
    FactorizationMachinesHyperparameters,
)
from tidemill.algorithms.factorization_machines.learner import FactorizationMachines
from tidemill.algorithms.factorization_machines.model import FactorizationModel
from tidemill.algorithms.factorization_machines.state import FactorizationState
from tidemill.data.batch import Batch
from tidemill.testing.algorithm import Stream
from tidemill.training.loop import fit

BINARY, NUMBERS = "binary_classifier", "regressor"


def settings(kind: str = NUMBERS, columns: int = 8, **more: Any) -> Any:
    """What trains well on the few rows of these tests."""
    quick = {
        "mini_batch_size": 20,
        "bias_lr": 0.05,
        "linear_lr": 0.05,
        "factors_lr": 0.05,
        "factors_init_sigma": 0.1,
    }
    return FactorizationMachinesHyperparameters(
        feature_dim=columns, predictor_type=kind, **{"num_factors": 4, **quick, **more}
    )


def machine(kind: str = NUMBERS, columns: int = 8, **more: Any) -> FactorizationMachines:
    return FactorizationMachines(settings(kind, columns, **more))


def pairs(rows: int, kind: str = NUMBERS, seed: int = 0) -> Batch:
    """Two fields of four features, whose meeting alone decides."""
    draws = np.random.default_rng(seed)
    first, second = draws.integers(0, 4, rows), draws.integers(0, 4, rows)
    features = np.zeros((rows, 8), np.float32)
    features[np.arange(rows), first] = features[np.arange(rows), 4 + second] = 1
    vectors = np.random.default_rng(9).normal(size=(8, 2))
    scores = (vectors[first] * vectors[4 + second]).sum(axis=1)
    return Batch(features, np.asarray(scores > 0 if kind == BINARY else scores, np.float32))


def trained(algorithm: FactorizationMachines, rows: Batch, **more: Any) -> FactorizationState:
    return fit(algorithm, Stream(list(rows.split(algorithm.batch_rows))), **more)


def value(algorithm: FactorizationMachines, model: FactorizationModel, rows: Batch) -> float:
    evidence = algorithm.evaluate(model, rows)
    assert evidence is not None
    return evidence.measures()[0].value
