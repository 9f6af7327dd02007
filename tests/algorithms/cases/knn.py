"""k-nearest neighbours under the laws."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable

import numpy as np

from tidemill.data.batch import Batch
from tidemill.registry import declaration
from tidemill.testing.algorithm import Case

_SAMPLED = "two workers, or two trainings, draw another sample than one; its quality is alike"


def knn(kind: str = "classifier", is_sampled: bool = False, **hyperparameters: str) -> Case:
    draws = np.random.default_rng(11)
    centres = draws.normal(size=(4, 6)) * 2
    which = draws.integers(0, 4, 500)
    rows = centres[which] + draws.normal(size=(500, 6))
    labels = which if kind == "classifier" else rows.sum(axis=1)
    batch = Batch(rows.astype(np.float32), labels.astype(np.float32))
    sampled = {
        "check_a_stream_cut_anywhere_merges_to_the_whole": _SAMPLED,
        "check_going_on_with_new_rows_is_as_good_as_all_at_once": _SAMPLED,
        "check_workers_going_on_count_what_was_seen_once": _SAMPLED,
    }
    return Case(
        declaration("knn"),
        {"k": "5", "predictor_type": kind, "sample_size": "1000", **hyperparameters},
        list(batch.rows(0, 400).split(64)),
        batch.rows(400, 500),
        exceptions=sampled if is_sampled else {},
        slack=0.2,
    )


CASES: dict[str, Callable[[], Case]] = {
    "knn": knn,
    "knn, sampled": functools.partial(knn, is_sampled=True, sample_size="150"),
    "knn, numbers by cosine": functools.partial(knn, "regressor", index_metric="COSINE"),
    "knn, products of signs": functools.partial(
        knn,
        index_metric="INNER_PRODUCT",
        dimension_reduction_type="sign",
        dimension_reduction_target="4",
    ),
    "knn, cells": functools.partial(
        knn, index_type="faiss.IVFFlat", faiss_index_ivf_nlists="8", faiss_index_nprobe="8"
    ),
    "knn, few cells": functools.partial(
        knn, is_sampled=True, index_type="faiss.IVFFlat", sample_size="300"
    ),
    "knn, bytes": functools.partial(
        knn,
        "regressor",
        is_sampled=True,
        index_type="faiss.IVFPQ",
        faiss_index_pq_m="3",
        dimension_reduction_type="fjlt",
        dimension_reduction_target="5",
    ),
}
if importlib.util.find_spec("faiss"):  # an optional package
    CASES["knn, graph"] = functools.partial(
        knn, index_type="faiss.HNSW", faiss_index_hnsw_ef_search="400"
    )
