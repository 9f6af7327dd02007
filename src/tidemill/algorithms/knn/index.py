"""The kinds of index, made of rows and opened for a search."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from tidemill.algorithms.base import Each
from tidemill.algorithms.knn.flat import Flat
from tidemill.algorithms.knn.graph import Navigable, navigable
from tidemill.algorithms.knn.hyperparameters import (
    FLAT,
    HNSW,
    INNER_PRODUCT,
    IVF_FLAT,
    L2,
    NAME,
    KnnHyperparameters,
)
from tidemill.algorithms.knn.inverted import Inverted, inverted
from tidemill.algorithms.knn.quantised import Quantised, quantised
from tidemill.data.batch import Floats
from tidemill.errors import Invalid, amount
from tidemill.kernels.knn import Int32

Index = Flat | Inverted | Quantised | Navigable


class Search(Protocol):
    """An index that is ready to be searched."""

    def search(self, queries: Floats, k: int, each: Each = map) -> tuple[Floats, Int32]:
        """(queries, k) distances, ascending, and whose they are: squares, or minus products."""
        ...


def build(rows: Floats, given: KnnHyperparameters, each: Each = map) -> Index:
    """The index that these hyperparameters ask for, of rows in random order."""
    if given.index_type == FLAT:
        return Flat(rows)
    if given.index_type == HNSW:
        return navigable(
            rows,
            given.index_metric != L2,
            given.faiss_index_hnsw_m,
            given.faiss_index_hnsw_ef_construction,
            given.faiss_index_hnsw_ef_search,
        )
    cells = given.faiss_index_ivf_nlists or max(1, math.isqrt(min(given.sample_size, len(rows))))
    if cells > len(rows):
        raise Invalid(
            f"{NAME}: faiss_index_ivf_nlists = {cells} cells need at least {cells} rows",
            got=amount(len(rows), "row"),
            do="Lower faiss_index_ivf_nlists, or train on more rows.",
        )
    if given.index_type == IVF_FLAT:
        return inverted(rows, cells, given.faiss_index_nprobe, each)
    parts = int(given.faiss_index_pq_m or 1)
    return quantised(rows, cells, parts, given.faiss_index_nprobe, each)


def told(distances: Floats, metric: str) -> Floats:
    """Distances as they are answered: squares, minus products, or one minus the cosine."""
    if metric == L2:
        return np.maximum(distances, np.float32(0))
    return distances if metric == INNER_PRODUCT else np.maximum(1 + distances, np.float32(0))
