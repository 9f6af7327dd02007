"""k-nearest neighbours: a uniform sample of the rows, an index of it, a vote of the nearest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tidemill.algorithms.base import Algorithm, Each
from tidemill.algorithms.knn.graph import require_faiss
from tidemill.algorithms.knn.hyperparameters import (
    CLASSIFIER,
    HNSW,
    IVF_PQ,
    NAME,
    KnnHyperparameters,
    check_target,
    check_together,
)
from tidemill.algorithms.knn.index import build
from tidemill.algorithms.knn.model import KnnModel, prepared, width_error
from tidemill.algorithms.knn.quality import Accuracy, Error
from tidemill.algorithms.knn.reduction import Reduction
from tidemill.data.batch import Batch, Floats
from tidemill.errors import Invalid, InvalidData, amount
from tidemill.stats.reservoir import Reservoir, empty

_BLOCK_BYTES = 64 << 20
_FARTHEST = np.finfo(np.float32).max / 4


class Knn(Algorithm[Reservoir]):
    """A sample of the training rows, in which the neighbours of a row decide on it.

    The state is the sample, of up to ``sample_size`` rows, every row as likely as any other; that
    of several workers is drawn from all their rows. From one sample come models of any k,
    predictor type, metric, reduction and index.

    seed: of all randomness · each: like ``map``; one that works side by side changes no result

    Memory: sample_size x columns floats, and an eighth more. Cost: of a row that does not stay,
    next to nothing.

    >>> given = KnnHyperparameters(k=1, predictor_type="classifier", sample_size=10)
    >>> knn = Knn(given)
    >>> rows = Batch(np.array([[0.0], [1.0], [5.0]], np.float32), np.array([7, 7, 9], np.float32))
    >>> model = knn.finalize(knn.update(knn.start(), rows))
    >>> model.predict(Batch(np.array([[4.0]], np.float32)))["predicted_label"]
    array([9.], dtype=float32)
    """

    def __init__(self, given: KnnHyperparameters, *, seed: int = 0, each: Each = map) -> None:
        check_together(given)
        if given.index_type == HNSW:
            require_faiss()
        self.given = given
        self.batch_rows = given.mini_batch_size
        self._seed = seed
        self._each = each

    def start(self) -> Reservoir:
        return empty(self.given.sample_size, self.given.feature_dim or 0, 1)

    def update(self, state: Reservoir, batch: Batch) -> Reservoir:
        if not len(batch):
            return state
        columns = self.given.feature_dim or state.columns
        if columns and batch.columns != columns:
            raise width_error(columns, batch.columns)
        state = replace(state, columns=batch.columns)
        rows = max(1, _BLOCK_BYTES // (4 * max(1, batch.columns)))
        for part in batch.split(rows):  # which sparse rows may be too many of when dense
            state = state.add(part.dense(), _labels(part)[:, None], self._seed)
        return state

    def merge(self, left: Reservoir, right: Reservoir) -> Reservoir:
        if left.seen and right.seen and left.columns != right.columns:
            raise width_error(left.columns, right.columns)
        return left.merge(right)

    def finalize(self, state: Reservoir) -> KnnModel:
        given, drawn = self.given, state.ordered()
        if len(drawn) < given.k:
            raise Invalid(
                f"{NAME}: k = {given.k} neighbours need at least {given.k} rows",
                got=f"{amount(len(drawn), 'row')}, with a sample_size of {given.sample_size}",
                do="Lower k, raise sample_size, or train on more rows.",
            )
        _check_size(drawn.rows, drawn.labels)
        reduction = self._reduction(state.columns)
        rows = prepared(drawn.rows, reduction, given.index_metric)
        return KnnModel(
            given.k,
            given.predictor_type,
            given.index_metric,
            state.columns,
            np.ascontiguousarray(drawn.labels[:, 0]),
            build(rows, given, self._each),
            reduction,
        )

    def reopen(self, state: Reservoir, *, leads: bool = True) -> Reservoir:
        """The sample, to which rows come; of another size if sample_size is another now. A sample
        that is enlarged grows with the rows that come, for it stays uniform."""
        columns = self.given.feature_dim
        if columns and state.seen and columns != state.columns:
            raise Invalid(
                f"{NAME}: feature_dim must be {state.columns}, as in the earlier training",
                got=columns,
                do="Change feature_dim, or train anew.",
            )
        if not leads:
            return replace(self.start(), columns=state.columns)
        return state.reopened().resized(self.given.sample_size)

    def evaluate(self, model: KnnModel, batch: Batch) -> Accuracy | Error | None:
        if batch.labels is None or not len(batch):
            return None
        distances, found = model.nearest(batch, each=self._each)
        said, truth = model.decide(found), _labels(batch)
        if model.predictor_type == CLASSIFIER:
            return Accuracy.of(said, truth, model.classes[0])
        return Error.of(said, truth)

    def _reduction(self, columns: int) -> Reduction | None:
        given = self.given
        kind, target = given.dimension_reduction_type, given.dimension_reduction_target
        if kind is None or target is None:
            return None
        check_target(target, columns)
        if given.index_type == IVF_PQ:  # rather more columns than zeros, where there are as many
            parts = int(given.faiss_index_pq_m or 1)
            filled = -(-target // parts) * parts
            target = filled if filled < columns else target
        return Reduction(kind, self._seed, target, columns)


def _check_size(rows: Floats, labels: Floats) -> None:
    """Labels are finite, and so are the squared distances of rows, four of a longest one's."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", rows, rows)
    if not (squares < _FARTHEST).all() or not np.isfinite(labels).all():
        raise InvalidData(
            f"{NAME}: features and labels must be finite, and of a size that float32 can square",
            got="NaN, infinity or an overflow",
            do="Fill or drop missing values, and scale huge ones, before training.",
        )


def _labels(batch: Batch) -> Floats:
    labels = batch.labels
    if labels is None or (labels.ndim == 2 and labels.shape[1] != 1):
        raise InvalidData(
            f"{NAME}: every row must have one label",
            got="none" if labels is None else f"{labels.shape[1]} columns of labels",
            do="Put the label in the first column, or set label_size=1 in the content type.",
        )
    return labels.reshape(-1)
