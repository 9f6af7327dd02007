"""Factorization machines under the laws."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from tidemill.data.batch import Batch
from tidemill.registry import declaration
from tidemill.testing.algorithm import Case

_WITHIN = "; the loss stays within the slack"


def factorization_machines(kind: str, slack: float = 0.1, **hyperparameters: str) -> Case:
    """Rows of two fields with six features each, where what counts is how two of them meet."""
    draws = np.random.default_rng(3)
    first, second = draws.integers(0, 6, 1800), draws.integers(0, 6, 1800)
    rows = np.zeros((1800, 13), np.float32)
    rows[np.arange(1800), first] = 1
    rows[np.arange(1800), 6 + second] = 1
    rows[:, 12] = draws.normal(size=1800)
    vectors = draws.normal(size=(12, 2))
    scores = (vectors[first] * vectors[6 + second]).sum(axis=1) + 0.5 * rows[:, 12]
    noisy = scores + draws.logistic(size=1800) * 0.3
    labels = noisy > 0 if kind == "binary_classifier" else noisy
    batch = Batch(rows, np.asarray(labels, np.float32))
    return Case(
        declaration("factorization-machines"),
        {
            "feature_dim": "13",
            "num_factors": "3",
            "predictor_type": kind,
            "epochs": "6",
            "mini_batch_size": "10",
            "linear_lr": "0.05",
            "factors_lr": "0.05",
            "factors_init_sigma": "0.1",
            **hyperparameters,
        },
        list(batch.rows(0, 1500).split(250)),
        batch.rows(1500, 1600),
        slack=slack,
        exceptions={
            "check_a_stream_cut_anywhere_merges_to_the_whole": (
                "the mean of two workers' models is not the model of all rows" + _WITHIN
            ),
            "check_batch_size_does_not_matter": "every mini-batch is a step of Adam" + _WITHIN,
        },
    )


CASES: dict[str, Callable[[], Case]] = {
    "factorization-machines": functools.partial(factorization_machines, "binary_classifier"),
    "factorization-machines, numbers": functools.partial(
        factorization_machines,
        "regressor",
        slack=0.15,  # one pass shared by two is half as many steps, and leaves a model half made
    ),
    "factorization-machines, with a falling rate": functools.partial(
        factorization_machines,
        "regressor",
        slack=0.4,  # likewise
        use_lr_scheduler="true",
        linear_wd="auto",
        factors_wd="auto",
        clip_gradient="0.5",
        rescale_grad="0.1",
        bias_init_method="constant",
        linear_init_method="uniform",
        num_factors="9",
    ),
}
