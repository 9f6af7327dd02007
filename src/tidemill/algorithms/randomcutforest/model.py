"""The forest that is served: rows, and trees of random cuts over them."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from tidemill.algorithms.base import Columns
from tidemill.algorithms.randomcutforest.forest import Each
from tidemill.algorithms.randomcutforest.hyperparameters import NAME
from tidemill.data.batch import Batch, Floats
from tidemill.errors import InvalidData, amount
from tidemill.kernels import sound
from tidemill.kernels.randomcutforest import FARTHEST, Trees, Walk, lay_out, score

_FEWEST_ROWS, _MOST_ROWS, _PARTS = 512, 4096, 8
_BLOCK_FLOATS = 1 << 22


@dataclass(frozen=True)
class RandomCutForestModel:
    """Trees over ``rows``, (rows, columns) float32, each grown from ``sample_size`` of them.

    Saved, it takes 4 x columns bytes a row, of which there are trees x sample_size at most, and 24
    a row and tree. In memory, the boxes about the nodes take 8 x columns more for each row of each
    tree: 100 x 256 rows of 50 columns are 5 MB and 10 MB.
    """

    rows: Floats
    trees: Trees
    sample_size: int
    row_by_row: ClassVar[bool] = True

    def check(self) -> None:
        """What is cheap to tell; trees are followed for the first time when they are laid out."""
        sound.shaped("rows", self.rows, None, None)
        sound.require(self.rows.size > 0, "a forest has rows, and these have columns")
        sound.between("sample_size", self.sample_size, 1)
        nearest, farthest = self.rows.min(), self.rows.max()
        sound.require(nearest >= -FARTHEST and farthest <= FARTHEST, "rows are not too far")

    @property
    def columns(self) -> int:
        """Width of the rows that it takes."""
        return int(self.rows.shape[1])

    def predict(self, batch: Batch) -> Columns:
        """``score`` of each row, float32: about 1 where it is one of many, more where it is not."""
        return {"score": self.scores(batch)}

    def scores(self, batch: Batch, each: Each = map) -> Floats:
        """(rows,) float32: the mean over the trees of the expected score, times log2(size + 1).

        The expectation is over where the next random cuts would put the row: parted from the rest
        at depth d it scores 1 / (d + 1); a row that a leaf of the mass m equals, at depth d,
        (1 - m / 2 size) / (d + log2(m + 1)). So does AWS's own open-source forest.
        """
        if batch.columns != self.rows.shape[1]:
            raise width_error(self.rows.shape[1], batch.columns)
        walk, part = self._walk, -(-len(batch) // _PARTS)
        step = min(block_rows(batch.columns), max(_FEWEST_ROWS, min(_MOST_ROWS, part)))
        starts = range(0, len(batch), step)
        parts = each(lambda at: _sums(walk, batch.rows(at, at + step)), starts)
        scale = math.log2(self.sample_size + 1) / len(self.trees.nodes)
        return np.concatenate([np.zeros(0), *parts]).astype(np.float32) * np.float32(scale)

    def __getstate__(self) -> dict[str, object]:
        """What pickles and copies take along: all but what can be laid out anew."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @functools.cached_property
    def _walk(self) -> Walk:
        try:
            return lay_out(self.trees, self.rows, self.sample_size)
        except ValueError as error:
            raise InvalidData(
                f"{NAME}: a saved forest", got=str(error), do="Train it again."
            ) from error


def block_rows(columns: int) -> int:
    """Sparse rows that are made dense together: some megabytes of them."""
    return max(1, _BLOCK_FLOATS // columns)


def width_error(wanted: int, got: int) -> InvalidData:
    """Rows of another width than the forest's."""
    return InvalidData(
        f"{NAME}: rows must have {amount(wanted, 'feature')}, as feature_dim says",
        got=amount(got, "feature"),
        do="Set feature_dim to the width of the rows, or send rows of that width; a channel of CSV "
        "whose rows begin with a label is text/csv;label_size=1.",
    )


def size_error(rows: Floats) -> InvalidData:
    """Rows with a number that no forest can hold: which."""
    at = np.argwhere(~(np.abs(rows) <= FARTHEST))[0].tolist()
    return InvalidData(
        f"{NAME}: features must be finite and between -{FARTHEST:g} and {FARTHEST:g}",
        got=f"{rows[*at]} in feature {at[1] + 1} of row {at[0] + 1} of those read together",
        do="Replace missing values and scale huge ones.",
    )


def _sums(walk: Walk, batch: Batch) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    rows = batch.dense()
    found = score(walk, rows)
    if found is None:
        raise size_error(rows)
    return found
