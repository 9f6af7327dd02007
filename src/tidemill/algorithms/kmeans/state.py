"""What k-means remembers between two mini-batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidemill.algorithms.kmeans.nearest import Doubles
from tidemill.data.batch import Floats


@dataclass(frozen=True, slots=True)
class KMeansState:
    """Weighted centres, and what this pass has gathered about them; at most K x columns floats.

    While the stream is followed there are up to K centres, each the mean of ``weights`` rows, and
    ``sums`` is empty. In later passes there are k that stand still until the pass is closed.
    All is relative to ``origin``.

    loss: squared distances of the rows to the centre that stands for them · weight: seen in this
    pass · sums, counts: of the rows nearest to each centre in this pass · rows: of the first pass
    batches: counts for randomness · passes: closed ones · msd: of the last of them
    gain: share of the loss that its move saved
    answer: the k centres that the K were reduced to, until more rows come
    """

    origin: Floats
    centres: Floats
    weights: Doubles
    sums: Doubles
    counts: Doubles
    loss: float = 0.0
    weight: float = 0.0
    rows: int = 0
    batches: int = 0
    passes: int = 0
    msd: float | None = None
    gain: float = 1.0
    answer: Floats | None = None


def empty(columns: int) -> KMeansState:
    """Nothing seen yet; columns: 0 where they are not known."""
    none, nothing = np.zeros((0, columns)), np.zeros(0)
    return KMeansState(nothing.astype(np.float32), none.astype(np.float32), nothing, none, nothing)


def follows(state: KMeansState) -> bool:
    """Whether the centres still follow a stream, rather than stand still for a pass."""
    return len(state.sums) == 0
