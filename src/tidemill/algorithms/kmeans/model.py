"""The centres that k-means leaves: which one is nearest to a row, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidemill.algorithms.base import Columns, Each, Measure
from tidemill.algorithms.kmeans.nearest import Labels, block_rows, labels_of, origin_of, rows_of
from tidemill.data.batch import Batch, Floats
from tidemill.errors import InvalidData, amount
from tidemill.kernels import sound

_FEW = 4


@dataclass(frozen=True, slots=True)
class KMeansModel:
    """k centres, (k, columns) float32."""

    centres: Floats

    def check(self) -> None:
        sound.shaped("centres", self.centres, None, None)
        sound.require(self.centres.size > 0, "a model has centres, and these have columns")

    @property
    def columns(self) -> int:
        """Width of the rows that it takes."""
        return int(self.centres.shape[1])

    def predict(self, batch: Batch) -> Columns:
        """``closest_cluster`` and ``distance_to_cluster`` (Euclidean), float32, of each row."""
        labels, squares = self.nearest(batch)
        return {
            "closest_cluster": labels.astype(np.float32),
            "distance_to_cluster": np.sqrt(squares),
        }

    def nearest(self, batch: Batch, each: Each = map) -> tuple[Labels, Floats]:
        """Index of the nearest centre and squared distance to it, of each row."""
        if batch.columns != self.centres.shape[1]:
            raise width_error(self.centres.shape[1], batch.columns)
        if len(batch) <= _FEW:
            return _near_few(self.centres, batch)
        return _near_many(self.centres, batch, each)


@dataclass(frozen=True, slots=True)
class KMeansEvaluation:
    """Squared distances of rows to their nearest centre, added up; ``names``: what to tell."""

    squares: float
    weight: float
    names: tuple[str, ...] = ("msd",)

    def merge(self, other: KMeansEvaluation) -> KMeansEvaluation:
        return KMeansEvaluation(
            self.squares + other.squares, self.weight + other.weight, self.names
        )

    def measures(self) -> Sequence[Measure]:
        values = {"msd": self.squares / (self.weight or 1.0), "ssd": self.squares}
        return [Measure(name, values[name]) for name in self.names]


def _near_few(centres: Floats, batch: Batch) -> tuple[Labels, Floats]:
    """Nearest centre and squared distance, by differences: quickest for a few rows, and exact."""
    labels, squares = np.empty(len(batch), np.intp), np.empty(len(batch), np.float32)
    for at, row in enumerate(batch.dense()):
        gaps = centres - row
        distances = np.einsum("ij,ij->i", gaps, gaps)
        labels[at] = label = distances.argmin()
        squares[at] = distances[label]
    return labels, squares


def _near_many(centres: Floats, batch: Batch, each: Each) -> tuple[Labels, Floats]:
    """Nearest centre and squared distance, by a matrix product a block of rows."""
    labels, squares = np.empty(len(batch), np.intp), np.empty(len(batch), np.float32)
    origin = origin_of(Batch(centres))
    turned = centres - origin
    step = block_rows(batch.columns, len(centres))

    def block(start: int) -> None:
        rows = rows_of(batch, start, min(start + step, len(batch)), origin)
        found = labels_of(rows, turned)
        gaps = turned[found]
        np.subtract(rows, gaps, out=gaps)
        labels[start : start + len(rows)] = found
        squares[start : start + len(rows)] = np.einsum("ij,ij->i", gaps, gaps)

    for _ in each(block, range(0, len(batch), step)):
        pass
    return labels, squares


def width_error(wanted: int, got: int) -> InvalidData:
    """Rows of another width than the centres."""
    return InvalidData(
        f"kmeans: rows must have {amount(wanted, 'feature')}, as feature_dim says",
        got=amount(got, "feature"),
        do="Set feature_dim to the width of the rows, or send rows of that width.",
    )
