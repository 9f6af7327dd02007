"""An order drawn by counters: which one comes depends on the seed and the counters alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHARDS, BLOCKS, ROWS = 1, 2, 3
"""What is drawn: each has its own counter, so that no draw depends on another."""


def draw(seed: int | None, size: int, *counters: int) -> NDArray[np.int64]:
    """(size,) the numbers from 0 in a drawn order; in their own without a seed.

    >>> draw(None, 3).tolist(), sorted(draw(7, 3, SHARDS, 0).tolist())
    ([0, 1, 2], [0, 1, 2])
    """
    if seed is None:
        return np.arange(size)
    key = np.random.SeedSequence([seed % 2**64, *counters])
    return np.random.Generator(np.random.Philox(key)).permutation(size)
