"""Where a reader stands in a pass over its shards: small, plain, saved with every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cursor:
    """shard: index in this pass's order of shards · offset: bytes (or rows, or row groups: the
    format's own unit) into it of the block being read · skip: rows of that block already given out
    """

    shard: int = 0
    offset: int = 0
    skip: int = 0


START = Cursor()
