"""Whole lines at the front of a buffer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidemill.data.where import Where

NEWLINE = 10
STEP = 64 << 10
"""Bytes looked at in one go, from the back."""


def cut(data: NDArray[np.uint8], at_end: bool, where: Where) -> tuple[int, None]:
    """Bytes of whole lines at the front of a buffer."""
    if at_end:
        return len(data), None
    for stop in range(len(data), 0, -STEP):
        newlines = np.flatnonzero(data[max(0, stop - STEP) : stop] == NEWLINE)
        if len(newlines):
            return max(0, stop - STEP) + int(newlines[-1]) + 1, None
    return 0, None
