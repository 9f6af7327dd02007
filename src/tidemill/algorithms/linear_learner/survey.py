"""The first look at the data: columns, labels, classes."""

from __future__ import annotations

import numpy as np

from tidemill.algorithms.linear_learner.hyperparameters import (
    REGRESSOR,
    LinearLearnerHyperparameters,
)
from tidemill.algorithms.linear_learner.state import Survey
from tidemill.data.batch import Batch, Csr, Floats
from tidemill.stats.moments import Moments


def survey(given: LinearLearnerHyperparameters, batch: Batch, labels: Floats) -> Survey:
    """What a batch tells."""
    features, weights = batch.features, batch.weights
    sparse = isinstance(features, Csr)
    classes = np.zeros(0)
    if given.predictor_type != REGRESSOR:
        count = max(2, given.outputs)
        each = None if weights is None else weights.astype(np.float64)
        classes = np.bincount(labels.astype(np.int64), each, minlength=count).astype(np.float64)
    return Survey(
        len(batch),
        _of_sparse(features, weights)
        if isinstance(features, Csr)
        else Moments.of(features, weights),
        Moments.of(labels[:, None], weights),
        classes,
        sparse,
    )


def _of_sparse(rows: Csr, weights: Floats | None) -> Moments:
    each = np.ones(len(rows)) if weights is None else weights.astype(np.float64)
    value, place = rows.values.astype(np.float64), rows.indices
    weight = np.repeat(each, np.diff(rows.indptr))
    stored = np.stack([value, value * value, value != 0]) * weight
    sums, squares, nonzero = (
        np.bincount(place, amount, minlength=rows.columns).astype(np.float64) for amount in stored
    )
    return Moments.of_sums(float(each.sum()), sums, squares, nonzero)
