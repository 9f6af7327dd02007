"""Lines of text in blocks that can be read side by side."""

from __future__ import annotations

import numpy as np

from tidemill.data.text import Text

_BLOCK = 1 << 18
"""Bytes of a block, about."""


def in_blocks(text: Text) -> list[Text]:
    """The lines in order, in blocks of about a quarter of a megabyte; one at least."""
    size = int(text.offsets[-1] - text.offsets[0])
    count = max(1, size // _BLOCK)
    cuts = np.searchsorted(text.offsets, text.offsets[0] + np.arange(1, count) * size // count)
    bounds = np.unique(np.concatenate([[0], cuts, [len(text)]])).tolist()
    return [text.rows(a, b) for a, b in zip(bounds[:-1], bounds[1:], strict=True)] or [text]
