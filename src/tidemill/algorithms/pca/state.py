"""What principal components remember of the rows: their mean, and their scatter or a sketch."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import numpy as np

from tidemill.algorithms.pca.rows import Doubles
from tidemill.algorithms.pca.scatter import add_outer
from tidemill.algorithms.pca.sketch import Sketch
from tidemill.errors import InvalidData
from tidemill.kernels import sound


@dataclass(frozen=True, slots=True)
class PcaState:
    """A summary of rows that merges: all about their mean, whatever is subtracted in the end.

    rows: seen, of some weight · weight: of them · mean: (columns,)
    scatter: (columns, columns) sums of products of the centred columns, of which the lower triangle
    counts; None where there is a sketch in its place, or columns are not known yet
    """

    rows: int
    weight: float
    mean: Doubles
    scatter: Doubles | None = None
    sketch: Sketch | None = None

    def check(self) -> None:
        sound.shaped("mean", self.mean, None)
        columns = len(self.mean)
        held = (self.scatter is not None) + (self.sketch is not None)
        sound.require(held == (columns > 0), "there is a scatter or a sketch")
        sound.shaped("scatter", self.scatter, columns, columns)
        if self.sketch is not None:
            sound.shaped("rows of the sketch", self.sketch.rows, None, columns)
        for name, array in (("mean", self.mean), ("scatter", self.scatter)):
            sound.finite(name, array)
        sound.between("rows", self.rows, 0)
        sound.between("weight", self.weight, 0, sys.float_info.max)
        sound.require((self.rows > 0) == (self.weight > 0), "rows have weight")

    @property
    def columns(self) -> int:
        """Width of the rows; 0 where it is not known yet."""
        return len(self.mean)

    @property
    def squares(self) -> float:
        """Squared distances of all rows from the mean, by weight, added up."""
        if self.sketch is not None:
            return self.sketch.squares
        return 0.0 if self.scatter is None else float(np.trace(self.scatter))


def empty(columns: int, directions: int | None) -> PcaState:
    """Nothing seen yet; directions: that a sketch keeps, None for the exact scatter."""
    if columns == 0:
        return PcaState(0, 0.0, np.zeros(0))
    if directions is None:
        return PcaState(0, 0.0, np.zeros(columns), np.zeros((columns, columns)))
    return PcaState(0, 0.0, np.zeros(columns), sketch=Sketch.empty(columns, directions))


def moved(state: PcaState, rows: int, weight: float, mean: Doubles) -> tuple[PcaState, Doubles]:
    """With so many further rows of this mean, and what their mean adds to the scatter: the outer
    product of this row (the pairwise merge of Chan, Golub & LeVeque, 1983)."""
    total = state.weight + weight
    apart = mean - state.mean
    between = apart * np.sqrt(state.weight * weight / total)
    mean = state.mean + apart * (weight / total)
    return replace(state, rows=state.rows + rows, weight=total, mean=mean), between


def merged(left: PcaState, right: PcaState) -> PcaState:
    """Of both workers' rows; done in the left one, in place."""
    if not right.weight:
        return left if left.columns else right
    if not left.weight:
        return right
    if left.columns != right.columns:
        raise InvalidData(
            "pca: all objects of the train channel must have the same number of features",
            got=f"{left.columns} on one host, {right.columns} on another",
            do="Give all of them the same columns.",
        )
    joined, between = moved(left, right.rows, right.weight, right.mean)
    if left.scatter is not None and right.scatter is not None:
        left.scatter[...] += right.scatter
        add_outer(left.scatter, between[None], np.ones(1))
        return joined
    assert left.sketch is not None
    assert right.sketch is not None
    sketch = left.sketch.merge(right.sketch).add(between[None].astype(np.float32))
    return replace(joined, sketch=sketch)
