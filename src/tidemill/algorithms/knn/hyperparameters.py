"""Every hyperparameter of k-nearest neighbours, as SageMaker documents it, and a few more."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.algorithms.hyperparameters import Range, hyperparameter
from tidemill.errors import InvalidHyperparameter

NAME = "knn"
CLASSIFIER, REGRESSOR = "classifier", "regressor"
FLAT, IVF_FLAT, IVF_PQ, HNSW = "faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ", "faiss.HNSW"
L2, INNER_PRODUCT, COSINE = "L2", "INNER_PRODUCT", "COSINE"
PARTS = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnnHyperparameters:
    """What a training job may set; None stands for ``auto``, or for what is left out."""

    k: int = hyperparameter(
        "int", "Neighbours that decide on an answer.", low=1, tunable=Range(1, 1024)
    )
    predictor_type: str = hyperparameter(
        "choice", "What is predicted: classes or numbers.", choices=(CLASSIFIER, REGRESSOR)
    )
    sample_size: int = hyperparameter(
        "int",
        "Rows to keep of the training data.",
        low=1,
        tunable=Range(256, 20_000_000),
    )
    feature_dim: int | None = hyperparameter(
        "int",
        "Columns of the input; auto takes them from the data.",
        default=None,
        low=1,
        auto=True,
    )
    dimension_reduction_type: str | None = hyperparameter(
        "choice",
        "How rows are projected to fewer columns: random signs, or the fast "
        "Johnson-Lindenstrauss transform.",
        default=None,
        choices=("sign", "fjlt"),
    )
    dimension_reduction_target: int | None = hyperparameter(
        "int",
        "Columns to project to, fewer than feature_dim; goes with dimension_reduction_type.",
        default=None,
        low=1,
    )
    index_type: str = hyperparameter(
        "choice",
        "How neighbours are searched for: exactly (Flat), in some cells (IVFFlat), among rows "
        "compressed to a few bytes (IVFPQ), or along a graph (HNSW, beyond SageMaker's).",
        default=FLAT,
        choices=(FLAT, IVF_FLAT, IVF_PQ, HNSW),
    )
    index_metric: str = hyperparameter(
        "choice",
        "What makes rows near: squared distance, product, or the cosine; IVFPQ has L2 alone.",
        default=L2,
        choices=(L2, INNER_PRODUCT, COSINE),
    )
    faiss_index_ivf_nlists: int | None = hyperparameter(
        "int",
        "Cells of IVFFlat and IVFPQ; auto is the square root of sample_size.",
        default=None,
        low=1,
        auto=True,
    )
    faiss_index_nprobe: int = hyperparameter(
        "int", "Cells that a query of IVFFlat or IVFPQ looks into.", default=5, low=1
    )
    faiss_index_pq_m: str | None = hyperparameter(
        "choice",
        "Bytes a row of IVFPQ, which needs it; rows are filled up with zeros to a multiple.",
        default=None,
        choices=tuple(map(str, PARTS)),
    )
    faiss_index_hnsw_m: int = hyperparameter(
        "int", "Neighbours of a row in the graph of HNSW.", default=16, low=2, high=512
    )
    faiss_index_hnsw_ef_construction: int = hyperparameter(
        "int", "Rows that HNSW looks at to place one.", default=40, low=1
    )
    faiss_index_hnsw_ef_search: int = hyperparameter(
        "int", "Rows that a query of HNSW goes on from, or k where that is more.", default=32, low=1
    )
    mini_batch_size: int = hyperparameter("int", "Rows a mini-batch.", default=5000, low=1)


def check_together(given: KnnHyperparameters) -> None:
    """Raise InvalidHyperparameter where values that are right alone do not fit each other."""
    target, columns = given.dimension_reduction_target, given.feature_dim
    if (given.dimension_reduction_type is None) != (target is None):
        missing = "type" if target is not None else "target"
        raise InvalidHyperparameter(
            f"{NAME}: dimension_reduction_type and dimension_reduction_target go together",
            got=f"no dimension_reduction_{missing}",
            do=f"Add 'dimension_reduction_{missing}' to HyperParameters, or take the other out.",
        )
    if target is not None and columns is not None:
        check_target(target, columns)
    if given.index_type == IVF_PQ and given.index_metric != L2:
        raise InvalidHyperparameter(
            f"{NAME}: index_metric of {IVF_PQ} must be {L2}",
            got=given.index_metric,
            do="Change 'index_metric' or 'index_type' in HyperParameters.",
        )
    if given.index_type == IVF_PQ and given.faiss_index_pq_m is None:
        raise InvalidHyperparameter(
            f"{NAME}: faiss_index_pq_m is required of {IVF_PQ} and must be one of "
            + ", ".join(map(str, PARTS)),
            got=None,
            do="Add 'faiss_index_pq_m' to HyperParameters.",
        )


def check_target(target: int, columns: int) -> None:
    """Raise InvalidHyperparameter unless so many columns can be projected to so few."""
    if target >= columns:
        raise InvalidHyperparameter(
            f"{NAME}: dimension_reduction_target must be below {columns}, the number of features",
            got=target,
            do="Lower 'dimension_reduction_target', or leave the reduction out.",
        )
