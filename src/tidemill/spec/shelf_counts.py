"""What a replica of a multi-model endpoint has counted: written by it, read by control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from tidemill.spec.meters import Latency


@dataclass(frozen=True, slots=True)
class ShelfCounts:
    """Since the counts began; they only grow. Times are in microseconds.

    life: of these counts; under another one they began again · requests: that named a model
    hits: those whose model was in memory · models: in memory at this moment
    waiting: of requests, for their models · downloading, with unpacking, loading, unloading: of
    models
    """

    life: str = ""
    requests: int = 0
    hits: int = 0
    models: int = 0
    waiting: Latency = field(default_factory=Latency)
    downloading: Latency = field(default_factory=Latency)
    loading: Latency = field(default_factory=Latency)
    unloading: Latency = field(default_factory=Latency)

    def to_json(self) -> bytes:
        return orjson.dumps(self, option=orjson.OPT_NON_STR_KEYS)


def from_json(data: bytes | str) -> ShelfCounts:
    """Read what ``to_json`` wrote; raises ValueError, TypeError or KeyError for anything else.

    >>> counts = ShelfCounts("life", 3, 2, waiting=Latency(9.0, {0: 1}))
    >>> from_json(counts.to_json()) == counts
    True
    """
    return from_document(orjson.loads(data))


def from_document(document: Mapping[str, Any]) -> ShelfCounts:
    """The same, of JSON that was read already."""
    times = {name: _latency(document[name]) for name in TIMES}
    return ShelfCounts(**{**document, **times})


TIMES = ("waiting", "downloading", "loading", "unloading")


def _latency(document: Mapping[str, Any]) -> Latency:
    buckets = {int(number): count for number, count in document["buckets"].items()}
    return Latency(document["total"], buckets)
