"""The centres that k-means leaves: which one is nearest to a row, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidemill.algorithms.base import Columns, Measure
from tidemill.algorithms.nearest import Labels, block_rows, labels_of, origin_of, rows_of
from tidemill.data.batch import Batch, Floats
from tidemill.errors import InvalidData

_FEW = 4


@dataclass(frozen=True, slots=True)
class KMeansModel:
    """k centres, (k, columns) float32."""

    centres: Floats

    def predict(self, batch: Batch) -> Columns:
        """``closest_cluster`` and ``distance_to_cluster`` (Euclidean), float32, of each row."""
        if batch.columns != self.centres.shape[1]:
            raise width_error(self.centres.shape[1], batch.columns)
        near = _near_one if len(batch) <= _FEW else _near_many
        labels, squares = near(self.centres, batch)
        return {
            "closest_cluster": labels.astype(np.float32),
            "distance_to_cluster": np.sqrt(squares),
        }


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


def _near_one(centres: Floats, batch: Batch) -> tuple[Labels, Floats]:
    """Nearest centre and squared distance, by differences: quickest for a few rows, and exact."""
    labels, squares = np.empty(len(batch), np.intp), np.empty(len(batch), np.float32)
    for at, row in enumerate(batch.dense()):
        gaps = centres - row
        distances = np.einsum("ij,ij->i", gaps, gaps)
        labels[at] = label = distances.argmin()
        squares[at] = distances[label]
    return labels, squares


def _near_many(centres: Floats, batch: Batch) -> tuple[Labels, Floats]:
    """Nearest centre and squared distance, by a matrix product a block of rows."""
    labels, squares = np.empty(len(batch), np.intp), np.empty(len(batch), np.float32)
    origin = origin_of(Batch(centres))
    turned = centres - origin
    step = block_rows(batch.columns, len(centres))
    for start in range(0, len(batch), step):
        stop = min(start + step, len(batch))
        rows = rows_of(batch, start, stop, origin)
        labels[start:stop] = label = labels_of(rows, turned)
        gaps = turned[label]
        np.subtract(rows, gaps, out=gaps)
        squares[start:stop] = np.einsum("ij,ij->i", gaps, gaps)
    return labels, squares


def width_error(wanted: int, got: int) -> InvalidData:
    """Rows of another width than the centres."""
    return InvalidData(
        f"kmeans: rows must have {wanted} features, as feature_dim says",
        got=f"{got} features",
        do="Set feature_dim to the width of the rows, or send rows of that width.",
    )
