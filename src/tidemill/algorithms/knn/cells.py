"""Rows dealt to cells around centres, so that a search begins in the right place and leaves out
the cells that are too far away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.knn.frame import Frame, Seen
from tidemill.kernels.knn import Doubles, Floats, Int32, near

Labels = NDArray[np.intp]
_A_CELL = 20
_PASSES = 4
_ROUNDING = 2.0**-24
_SLACK = 2.0**-18


@dataclass(frozen=True, slots=True)
class Cells:
    """centres : (cells, directions), as rows are seen from a frame
    radius, rest : (cells,) no row of a cell is further from its centre, leaves a longer rest
    doubt: the frame's
    """

    centres: Floats
    radius: Floats
    rest: Floats
    doubt: float

    def __len__(self) -> int:
        return len(self.centres)

    def near(self, queries: Seen, is_inner: bool) -> tuple[Floats, Int32]:
        """(cells, queries) values that no row of a cell is below, and each query's nearest cell."""
        squares = np.einsum("ij,ij->i", self.centres, self.centres)
        told = np.stack([squares, np.sqrt(squares), self.radius, self.rest], axis=1)
        own = np.einsum("ij,ij->i", queries.z, queries.z)
        whole = (queries.squares * (1 + _SLACK)).astype(np.float32)
        asked = np.stack([own, np.sqrt(own), whole, queries.rest.astype(np.float32)])
        doubt = 1.1 * (self.centres.shape[1] + 16) * _ROUNDING + _SLACK
        return near(self.centres @ queries.z.T, told, asked, is_inner, doubt, 1.1 * self.doubt)


def trained(rows: Floats, count: int, passes: int = _PASSES) -> Floats:
    """(count, columns) centres of rows in random order, by a few of Lloyd's iterations."""
    step = max(1, len(rows) // count)
    centres = np.resize(rows[::step][:count], (count, rows.shape[1]))
    for _ in range(passes):
        labels = nearest(rows, centres)
        sizes = np.bincount(labels, minlength=count)
        sums = np.zeros(centres.shape)
        add_up(sums, rows, labels)
        means = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
        centres = np.where(sizes[:, None] > 0, means, centres)
    return centres


def add_up(sums: Doubles, rows: Floats, labels: Labels) -> None:
    """Add each row to the sum of its label: (labels, columns)."""
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels, minlength=len(sums))
    filled = np.flatnonzero(sizes)
    starts = np.concatenate([[0], np.cumsum(sizes[filled])[:-1]]).astype(np.intp)
    if len(filled):
        sums[filled] += np.add.reduceat(rows[order], starts, axis=0, dtype=np.float64)


def sample_size(cells: int) -> int:
    """Rows to train so many cells on."""
    return _A_CELL * cells


def nearest(z: Floats, centres: Floats) -> Labels:
    """(count,) the centre that each row is nearest to."""
    scores = z @ centres.T
    scores -= 0.5 * np.einsum("ij,ij->i", centres, centres)
    labels: Labels = scores.argmax(axis=1)
    return labels


def spread(seen: Seen, labels: Labels, centres: Floats, frame: Frame) -> Doubles:
    """(count,) no less than how far rows are from the centres of their cells."""
    gaps = seen.z - centres[labels]
    far: Doubles = np.sqrt(np.einsum("ij,ij->i", gaps, gaps, dtype=np.float64)) * (1 + _SLACK)
    return far + (_SLACK + 3 * frame.doubt) * (np.sqrt(seen.squares) + frame.far)
