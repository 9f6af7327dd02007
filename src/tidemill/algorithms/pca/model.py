"""The directions that principal component analysis leaves, and where rows lie along them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tidemill.algorithms.base import Columns, Measure
from tidemill.artifact import ndarrays
from tidemill.data.batch import Batch, Csr, Floats, floats
from tidemill.errors import InvalidData, amount
from tidemill.kernels import sound

MXNET_FILE = "model_algo-1"


@dataclass(frozen=True, slots=True)
class PcaModel:
    """As SageMaker's artifact has it: the strongest component comes last.

    v: (columns, components) · s: (components,) singular values of the training rows
    mean: (columns,), or None where it is not subtracted
    """

    v: Floats
    s: Floats
    mean: Floats | None

    def check(self) -> None:
        sound.shaped("v", self.v, None, None)
        sound.require(self.v.size > 0, "v has columns and components")
        sound.shaped("s", self.s, self.v.shape[1])
        sound.shaped("mean", self.mean, len(self.v))

    @property
    def columns(self) -> int:
        """Width of the rows that it takes."""
        return len(self.v)

    def predict(self, batch: Batch) -> Columns:
        """``projection``: (rows, components) float32, the strongest component last."""
        return {"projection": self.project(batch)}

    def project(self, batch: Batch) -> Floats:
        """(rows, components) coordinates along the components."""
        if batch.columns != len(self.v):
            raise InvalidData(
                f"pca: rows must have {amount(len(self.v), 'feature')}, as in training",
                got=amount(batch.columns, "feature"),
                do="Send rows of that width, or train on rows of this one.",
            )
        features, mean = batch.features, self.mean
        if not isinstance(features, Csr):
            rows: Floats = features if mean is None else np.subtract(features, mean)
            return rows @ self.v
        product = _product(features, self.v)
        if mean is not None:
            product -= mean @ self.v
        return product


def exports(model: PcaModel) -> Mapping[str, bytes]:
    """The model as SageMaker's own artifacts have it, for programs that read these."""
    mean = {} if model.mean is None else {"mean": model.mean[None]}
    return {MXNET_FILE: ndarrays.encode({**mean, "v": model.v, "s": model.s})}


def imports(directory: Path) -> PcaModel:
    """The model of an artifact that SageMaker's own algorithm trained."""
    path = directory / MXNET_FILE
    if not path.is_file():
        raise InvalidData(
            f"an artifact of pca with a file {MXNET_FILE}",
            got=sorted(p.name for p in directory.iterdir()),
            do="Name the model.tar.gz that a pca training job made.",
        )
    held = ndarrays.decode(path.read_bytes(), MXNET_FILE)
    v, s, mean = (held.get(name) for name in ("v", "s", "mean"))
    fits = v is not None and v.ndim == 2 and (mean is None or mean.size == len(v))
    if v is None or not fits or not v.size or (s is not None and s.shape != v.shape[1:]):
        raise InvalidData(
            f"{MXNET_FILE}: v of (columns, components), s of (components,), mean of (1, columns)",
            got={name: array.shape for name, array in held.items()},
            do="Name the model.tar.gz that a pca training job made.",
        )
    strengths = np.zeros(v.shape[1]) if s is None else s
    return PcaModel(floats(v), floats(strengths), None if mean is None else floats(mean.ravel()))


@dataclass(frozen=True, slots=True)
class PcaEvaluation:
    """How much of some rows the components tell.

    squares: squared lengths (about the mean) of the rows, added up · told: those of projections
    """

    squares: float
    told: float
    weight: float

    def merge(self, other: PcaEvaluation) -> PcaEvaluation:
        return PcaEvaluation(
            self.squares + other.squares, self.told + other.told, self.weight + other.weight
        )

    def measures(self) -> Sequence[Measure]:
        """Squared distance of a row from what its projection stands for; share of variance told."""
        lost = self.squares - self.told
        share = self.told / self.squares if self.squares else 1.0
        return [
            Measure("reconstruction_error", 0.0 if lost < 0 else lost / (self.weight or 1.0)),
            Measure("explained_variance_ratio", share, "score"),
        ]


def evaluated(model: PcaModel, batch: Batch) -> PcaEvaluation:
    """The evidence of one batch."""
    weights = np.ones(len(batch)) if batch.weights is None else batch.weights.astype(np.float64)
    projected = model.project(batch).astype(np.float64)
    told = np.einsum("ij,ij->i", projected, projected)
    return PcaEvaluation(
        float(_squares(model, batch) @ weights), float(told @ weights), float(weights.sum())
    )


def _squares(model: PcaModel, batch: Batch) -> Floats:
    """(rows,) squared distances from the mean."""
    mean = np.zeros(batch.columns, np.float32) if model.mean is None else model.mean
    features = batch.features
    if not isinstance(features, Csr):
        apart = features - mean
        return np.einsum("ij,ij->i", apart, apart).astype(np.float64)  # type: ignore[no-any-return]
    stored = features.values.astype(np.float64)
    gaps = stored * (stored - 2.0 * mean[features.indices])
    rows = np.repeat(np.arange(len(batch)), np.diff(features.indptr))
    found: Floats = np.bincount(rows, gaps, len(batch)) + float(mean.astype(np.float64) @ mean)
    return found


def _product(rows: Csr, v: Floats) -> Floats:
    stored = v[rows.indices]
    stored *= rows.values[:, None]
    sums = np.zeros((len(rows), v.shape[1]), np.float32)
    filled = np.flatnonzero(np.diff(rows.indptr))
    if len(filled):
        sums[filled] = np.add.reduceat(stored, rows.indptr[filled], axis=0)
    return sums
