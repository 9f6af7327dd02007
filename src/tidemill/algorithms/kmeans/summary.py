"""Many rows told in few: weighted centres, which join with those of other rows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tidemill.algorithms.base import Each
from tidemill.algorithms.kmeans import local_lloyd
from tidemill.algorithms.kmeans.nearest import Doubles
from tidemill.data.batch import Floats
from tidemill.kernels import sound

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

    def check(self) -> None:
        check(self.origin, self.centres, self.weights)
        sound.between("loss", self.loss, -sys.float_info.max, sys.float_info.max)
        sound.between("rows", self.rows, 0)

    def times(self, share: float) -> Summary:
        """The same rows, each weighing this share of what it weighs."""
        return replace(self, weights=self.weights * share, loss=self.loss * share)


def check(origin: Floats, centres: Floats, weights: Doubles) -> None:
    """Raise ValueError unless these belong together."""
    count, columns = len(weights), centres.shape[-1] if centres.ndim else 0
    sound.shaped("centres", centres, count, columns)
    sound.shaped("weights", weights, count)
    # Before there is a row nothing is known of the origin, not even its width.
    sound.shaped("origin", origin, columns if count else None)
    sound.finite("centres", centres)
    sound.counted("weights", weights)
    sound.finite("origin", origin)


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
