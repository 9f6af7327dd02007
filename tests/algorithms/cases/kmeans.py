"""k-means under the laws."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from tidemill.data.batch import Batch
from tidemill.registry import declaration
from tidemill.testing.algorithm import Case


def kmeans(**hyperparameters: str) -> Case:
    draws = np.random.default_rng(5)
    centres = draws.normal(size=(6, 5)) * 4
    rows = centres[draws.integers(0, 6, 400)] + draws.normal(size=(400, 5))
    batch = Batch(rows.astype(np.float32))
    return Case(
        declaration("kmeans"),
        {"feature_dim": "5", "k": "6", **hyperparameters},
        list(batch.rows(0, 300).split(64)),
        batch.rows(300, 400),
        exceptions={
            "check_a_stream_cut_anywhere_merges_to_the_whole": (
                "the centres of two workers are reduced to K; the loss stays within the slack"
            ),
            "check_batch_size_does_not_matter": (
                "centres are seeded by, and move after, every mini-batch"
            ),
        },
    )


CASES: dict[str, Callable[[], Case]] = {
    "kmeans": kmeans,
    "kmeans, few centres, five epochs": functools.partial(
        kmeans, epochs="5", extra_center_factor="2", local_lloyd_num_trials="2"
    ),
    "kmeans, forgetful": functools.partial(
        kmeans, half_life_time_size="100", init_method="kmeans++", extra_center_factor="4"
    ),
}
