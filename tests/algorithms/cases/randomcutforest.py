"""Random cut forest under the laws."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np

from tidemill.data.batch import Batch
from tidemill.registry import declaration
from tidemill.testing.algorithm import Case

_OTHER_ROWS = {
    "check_a_stream_cut_anywhere_merges_to_the_whole": (
        "of more rows than the forest holds, two workers draw others than one; as good a sample"
    )
}


def random_cut_forest(
    samples: int, exceptions: Mapping[str, str], trees: int = 50, **hyperparameters: str
) -> Case:
    """300 rows to learn from; of the 100 that are asked about the first three lie far away."""
    draws = np.random.default_rng(3)
    rows = draws.normal(size=(400, 4)) * [1, 3, 0.5, 2] + [0, 10, -1, 0]
    rows[300:303] += [[40, 0, 0, 0], [0, -90, 0, 0], [0, 0, 9, 50]]
    rows[:40, 3] = 0.0
    batch = Batch(rows.astype(np.float32), (np.arange(400) // 3 == 100).astype(np.float32))
    return Case(
        declaration("randomcutforest"),
        {
            "feature_dim": "4",
            "num_trees": str(trees),
            "num_samples_per_tree": str(samples),
            **hyperparameters,
        },
        list(batch.rows(0, 300).split(64)),
        batch.rows(300, 400),
        exceptions=exceptions,
    )


CASES: dict[str, Callable[[], Case]] = {
    "randomcutforest, every row held": functools.partial(random_cut_forest, 8, {}),
    "randomcutforest, few rows a tree": functools.partial(random_cut_forest, 4, _OTHER_ROWS),
    "randomcutforest, many trees": functools.partial(
        random_cut_forest, 6, _OTHER_ROWS, trees=120, eval_metrics='["precision_recall_fscore"]'
    ),
}
