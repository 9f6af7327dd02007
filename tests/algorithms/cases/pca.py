"""Principal components under the laws."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from tidemill.data.batch import Batch
from tidemill.registry import declaration
from tidemill.testing.algorithm import Case


def pca(columns: int = 6, count: int = 3, offset: float = 3.0, **hyperparameters: str) -> Case:
    draws = np.random.default_rng(11)
    rank = min(columns, 8)
    turns = np.linalg.qr(draws.normal(size=(columns, rank)))[0]
    rows = draws.normal(size=(400, rank)) * 2.0 ** -np.arange(rank) @ turns.T
    rows += 0.01 * draws.normal(size=rows.shape) + offset * draws.normal(size=columns)
    batch = Batch(rows.astype(np.float32))
    randomized = hyperparameters.get("algorithm_mode") == "randomized"
    return Case(
        declaration("pca"),
        {
            "feature_dim": str(columns),
            "num_components": str(count),
            "mini_batch_size": "64",
            **hyperparameters,
        },
        list(batch.rows(0, 300).split(64)),
        batch.rows(300, 400),
        exceptions={
            "check_a_stream_cut_anywhere_merges_to_the_whole": (
                "a sketch drops what is weak among the rows it has; the loss stays within the slack"
            ),
            "check_batch_size_does_not_matter": (
                "a sketch is made anew whenever twice as many rows wait as it keeps directions"
            ),
        }
        if randomized
        else {},
        tolerance=1e-3,
    )


CASES: dict[str, Callable[[], Case]] = {
    "pca": pca,
    "pca, about zero": functools.partial(pca, subtract_mean="false"),
    "pca, far from zero": functools.partial(pca, offset=100.0),
    "pca, randomized": functools.partial(
        pca, columns=2100, algorithm_mode="randomized", extra_components="12"
    ),
}
