"""Many rows told in few: weighted centres, which join with those of other rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tidemill.algorithms.base import Each
from tidemill.algorithms.kmeans import local_lloyd
from tidemill.algorithms.kmeans.nearest import Doubles
from tidemill.data.batch import Floats

_POOLING = local_lloyd.Settings(max_iter=10, tol=1e-3)


@dataclass(frozen=True, slots=True)
class Summary:
    """Up to K weighted centres, relative to an origin.

    loss: squared distances of the rows to the centre that stands for them · rows: so many
    """

    origin: Floats
    centres: Floats
    weights: Doubles
    loss: float
    rows: int

    def times(self, share: float) -> Summary:
        """The same rows, each weighing this share of what it weighs."""
        return replace(self, weights=self.weights * share, loss=self.loss * share)


def joined(left: Summary, right: Summary) -> Summary:
    """The centres of both, relative to the left one's origin."""
    if not len(left.centres) or not len(right.centres):
        return left if len(left.centres) else right
    shift = (right.origin.astype(np.float64) - left.origin).astype(np.float32)
    return Summary(
        left.origin,
        np.concatenate([left.centres, right.centres + shift]),
        np.concatenate([left.weights, right.weights]),
        left.loss + right.loss,
        left.rows + right.rows,
    )


def pooled(
    all_: Summary, most: int, draws: Callable[[], np.random.Generator], each: Each
) -> Summary:
    """The same rows told in at most so many centres."""
    if len(all_.centres) <= most:
        return all_
    centres, weights, lost = local_lloyd.reduce(
        all_.centres, all_.weights, most, _POOLING, draws(), each
    )
    return replace(all_, centres=centres, weights=weights, loss=all_.loss + lost)
