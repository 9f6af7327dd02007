"""lda under the laws."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np

from tidemill.data.batch import Batch
from tidemill.registry import declaration
from tidemill.testing.algorithm import Case

_ANEW = {
    law: (
        "the basis of the moments is what the earlier documents showed; it is not found anew, so "
        "that the topics differ by what the new ones would have turned it"
    )
    for law in (
        "check_going_on_with_new_rows_is_as_good_as_all_at_once",
        "check_workers_going_on_count_what_was_seen_once",
    )
}


def lda(words: int, exceptions: Mapping[str, str], **hyperparameters: str) -> Case:
    """Documents of three topics that differ in how much they are written of."""
    draws = np.random.default_rng(5)
    topics = draws.dirichlet(np.full(words, 0.2), 3)
    mixtures = draws.dirichlet([0.5, 0.3, 0.2], 700)
    chances = mixtures @ topics
    rows = np.array([draws.multinomial(60, c / c.sum()) for c in chances], np.float32)
    # Such as there are everywhere: nothing in them, or too little for pairs and triples.
    rows[::50] = 0
    rows[25::50] = np.eye(words, dtype=np.float32)[: len(rows[25::50])]
    batch = Batch(rows)
    return Case(
        declaration("lda"),
        {
            "num_topics": "3",
            "feature_dim": str(words),
            "mini_batch_size": "100",
            **hyperparameters,
        },
        list(batch.rows(0, 600).split(100)),
        batch.rows(600, 700),
        exceptions=exceptions,
        tolerance=3e-4,
        slack=0.05,
    )


CASES: dict[str, Callable[[], Case]] = {
    "lda, few words, the plain spectral method": functools.partial(lda, 20, {}, epochs="0"),
    "lda, few words": functools.partial(lda, 20, {}),
    "lda, the plain spectral method": functools.partial(lda, 120, _ANEW, epochs="0"),
    "lda": functools.partial(lda, 120, {}, epochs="2", max_restarts="2", alpha0="2.5"),
}
