"""What the labels of the neighbours make of a row: the most common one, or their mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Floats

Codes = NDArray[np.intp]


def most_common(labels: Floats) -> Floats:
    """(rows,) of (rows, k): the label that comes most often, of several the smallest.

    >>> most_common(np.array([[2, 1, 2], [3, 1, 2]], np.float32))
    array([2., 1.], dtype=float32)
    """
    if labels.shape[1] <= 2:  # one decides, or the smaller of two
        least: Floats = labels.min(axis=1)
        return least
    ordered = np.sort(labels, axis=1)
    at = np.arange(ordered.shape[1])
    begins = np.ones(ordered.shape, np.bool_)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=begins[:, 1:])
    run = at - np.maximum.accumulate(np.where(begins, at, 0), axis=1)
    # The first to reach the length of the longest run is the smallest label that does.
    longest: Floats = ordered[np.arange(len(ordered)), run.argmax(axis=1)]
    return longest


def mean(labels: Floats) -> Floats:
    """(rows,) of (rows, k)."""
    found: Floats = labels.mean(axis=1, dtype=np.float64).astype(np.float32)
    return found


def shares(codes: Codes, classes: int) -> NDArray[np.float64]:
    """(rows, classes) the share of each class, of (rows, k) classes by number."""
    rows, k = codes.shape
    flat = codes + np.arange(rows)[:, None] * classes
    counts = np.bincount(flat.ravel(), minlength=rows * classes)
    found: NDArray[np.float64] = counts.reshape(rows, classes) / k
    return found
