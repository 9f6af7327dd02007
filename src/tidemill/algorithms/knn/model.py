"""The rows that k-nearest neighbours keeps, and what they say of others."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Columns, Each
from tidemill.algorithms.knn import vote
from tidemill.algorithms.knn.flat import FlatSearch
from tidemill.algorithms.knn.hyperparameters import (
    CLASSIFIER,
    COSINE,
    INNER_PRODUCT,
    L2,
    NAME,
    REGRESSOR,
)
from tidemill.algorithms.knn.index import Index, Search, told
from tidemill.algorithms.knn.quantised import Quantised
from tidemill.algorithms.knn.reduction import Reduction
from tidemill.data.batch import Batch, Floats
from tidemill.errors import InvalidData, amount
from tidemill.kernels import sound
from tidemill.kernels.knn import Int32


@dataclass(frozen=True)  # without slots: the opened index is kept beside the fields
class KnnModel:
    """feature_dim: columns of a row as it comes · labels : (rows,) of the rows in the index
    reduction: that rows went through before they were indexed
    """

    k: int
    predictor_type: str
    index_metric: str
    feature_dim: int
    labels: Floats
    index: Index
    reduction: Reduction | None = None

    def check(self) -> None:
        sound.require(self.predictor_type in (CLASSIFIER, REGRESSOR), "a known predictor_type")
        sound.require(self.index_metric in (L2, INNER_PRODUCT, COSINE), "a known index_metric")
        sound.between("feature_dim", self.feature_dim, 1)
        rows, columns = self.index.shape
        sound.shaped("labels", self.labels, rows)
        sound.between("k", self.k, 1, rows)
        if self.reduction is not None:
            sound.require(self.reduction.input_dim == self.feature_dim, "what rows are reduced of")
        made = self.reduction.target_dim if self.reduction else self.feature_dim
        least = columns - self.index.parts + 1 if isinstance(self.index, Quantised) else columns
        sound.between("columns of a row as it is indexed", made, least, columns)

    @property
    def columns(self) -> int:
        """Width of the rows that it takes."""
        return self.feature_dim

    @property
    def row_by_row(self) -> bool:
        """Whether a row's answer has the same bytes whatever rows are asked with it."""
        return not isinstance(self.index, Quantised)

    def predict(self, batch: Batch) -> Columns:
        """``predicted_label`` of each row, and of its k neighbours, the nearest first,
        ``distances`` (squared ones for L2, minus the product, one minus the cosine) and
        ``labels``."""
        distances, found = self.nearest(batch)
        said = self.decide(found)
        return {"predicted_label": said, "distances": distances, "labels": self.labels[found]}

    def nearest(self, batch: Batch, k: int | None = None, each: Each = map) -> tuple[Floats, Int32]:
        """(rows, k) distances, as they are told, and which of the kept rows they are to."""
        if batch.columns != self.feature_dim:
            raise width_error(self.feature_dim, batch.columns)
        rows = prepared(batch.dense(), self.reduction, self.index_metric)
        distances, found = self.opened(each).search(rows, self.k if k is None else k, each)
        return told(distances, self.index_metric), found

    def decide(self, found: Int32) -> Floats:
        """(rows,) what the neighbours of each row, (rows, k), make of it."""
        labels = self.labels[found]
        return vote.most_common(labels) if self.predictor_type == CLASSIFIER else vote.mean(labels)

    def shares(self, found: Int32) -> NDArray[np.float64]:
        """(rows, classes) how many of the neighbours are of each class, as shares."""
        classes, codes = self.classes
        return vote.shares(codes[found], len(classes))

    def with_k(self, k: int) -> KnnModel:
        """For another number of neighbours, with the same index, opened if this one's is."""
        other = replace(self, k=k)
        other.__dict__.update(self.__dict__ | {"k": k})
        return other

    @functools.cached_property
    def classes(self) -> tuple[Floats, NDArray[np.intp]]:
        """The different labels, and which of them each row has."""
        return np.unique(self.labels, return_inverse=True)

    def opened(self, each: Each = map) -> Search:
        """The index, opened when it is first asked for and then kept."""
        found: Search | None = self.__dict__.get("_opened")
        if found is None:
            found = self.__dict__["_opened"] = self._open(each)
        return found

    def ready(self, each: Each = map) -> None:
        """Prepare the index now for as many rows as may come, not when they do."""
        opened = self.opened(each)
        if isinstance(opened, FlatSearch):
            opened.ready(each)

    def _open(self, each: Each) -> Search:
        try:
            return self.index.open(self.index_metric != L2, self.k, each)
        except (ValueError, IndexError) as error:
            raise InvalidData(
                f"a {NAME} model whose index is whole", got=str(error), do="Train it again."
            ) from error


def prepared(rows: Floats, reduction: Reduction | None, metric: str) -> Floats:
    """Rows as an index holds them: projected, and of length one for the cosine."""
    turned = reduction.apply(np.ascontiguousarray(rows)) if reduction else rows
    if metric != COSINE:
        return np.ascontiguousarray(turned)
    lengths = np.sqrt(np.einsum("ij,ij->i", turned, turned, dtype=np.float64))
    return (turned / np.where(lengths > 0, lengths, 1)[:, None]).astype(np.float32)


def width_error(wanted: int, got: int) -> InvalidData:
    """Rows of another width than the model's."""
    return InvalidData(
        f"{NAME}: rows must have {amount(wanted, 'feature')}, as feature_dim says",
        got=amount(got, "feature"),
        do="Set feature_dim to the width of the rows, or send rows of that width.",
    )
