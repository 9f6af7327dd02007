"""What the router has counted since it first ran: it writes the counts, control reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

Key = tuple[str, str, str, str]
"""Region, endpoint, variant, and the config of its fleet or nothing."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Of all requests so far, in microseconds. buckets: as ``stats.quantiles`` numbers them"""

    total: float = 0.0
    buckets: Mapping[int, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.buckets.values())


@dataclass(frozen=True, slots=True)
class Step:
    """What one container of several has been asked, ever. latency: how long it had requests, the
    other ones of their turn included
    """

    requests: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    latency: Latency = field(default_factory=Latency)


@dataclass(frozen=True, slots=True)
class Counted:
    """All that one variant has been asked, ever; counts only grow.

    by_replicas: number of replicas → requests that came while there were so many
    under_way, replicas: at this moment · is_routed: a route names it still
    config: of the fleet that was asked, while an update had the variant in two · lost: copies of
    requests that were not made, for the shadow had no room · setup: how long requests have waited
    for the first replica of a serverless variant · is_shadow: it gets copies only
    is_asynchronous: its requests come from a queue · steps: of its containers, where they are
    several, by name
    """

    region: str
    endpoint: str
    variant: str
    requests: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    model_errors: int = 0
    by_replicas: Mapping[int, int] = field(default_factory=dict)
    model: Latency = field(default_factory=Latency)
    overhead: Latency = field(default_factory=Latency)
    under_way: int = 0
    replicas: int = 0
    is_routed: bool = True
    config: str = ""
    lost: int = 0
    is_shadow: bool = False
    is_asynchronous: bool = False
    setup: Latency = field(default_factory=Latency)
    steps: Mapping[str, Step] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Which variant, in which fleet."""
        return self.region, self.endpoint, self.variant, self.config


@dataclass(frozen=True, slots=True)
class Tally:
    """What has become of all queued requests to one variant of an asynchronous endpoint.

    processed: those that have ended, and did not expire · failed: of these, without an answer
    expired: those not begun in time · unfetched: those without an input · unput, untold: answers
    that could not be written, and notifications that nobody took · waited, took: in the queue, and
    in all, in milliseconds · fetched, put: from and into S3, in microseconds
    """

    region: str
    endpoint: str
    variant: str
    processed: int = 0
    failed: int = 0
    expired: int = 0
    unfetched: int = 0
    unput: int = 0
    untold: int = 0
    waited: Latency = field(default_factory=Latency)
    took: Latency = field(default_factory=Latency)
    fetched: Latency = field(default_factory=Latency)
    put: Latency = field(default_factory=Latency)

    @property
    def key(self) -> tuple[str, str, str]:
        """Which variant."""
        return self.region, self.endpoint, self.variant


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue of an asynchronous endpoint at this moment.

    size: requests that wait or are under way · oldest: when the first of them came, in epoch
    seconds, or 0 · replicas: that it has
    """

    region: str
    endpoint: str
    size: int = 0
    oldest: float = 0.0
    replicas: int = 0


@dataclass(frozen=True, slots=True)
class Meters:
    """life: of these counts; under another one they began again · at: epoch seconds"""

    life: str
    at: float
    counted: tuple[Counted, ...] = ()
    tallies: tuple[Tally, ...] = ()
    queues: tuple[Queue, ...] = ()

    def to_json(self) -> bytes:
        return orjson.dumps(self, option=orjson.OPT_NON_STR_KEYS)


def from_json(data: bytes | str) -> Meters:
    """Read what ``to_json`` wrote; raises ValueError, TypeError or KeyError for anything else.

    >>> counted = Counted("r", "e", "v", 3, by_replicas={2: 3}, model=Latency(9.0, {0: 3}))
    >>> meters = Meters("life", 1.5, (counted,))
    >>> from_json(meters.to_json()) == meters
    True
    """
    document = orjson.loads(data)
    counted = tuple(_counted(c) for c in document["counted"])
    tallies = tuple(_tally(t) for t in document.get("tallies", ()))
    queues = tuple(Queue(**q) for q in document.get("queues", ()))
    return Meters(document["life"], document["at"], counted, tallies, queues)


def _counted(document: dict[str, Any]) -> Counted:
    return Counted(
        **{
            **document,
            "by_replicas": _numbered(document["by_replicas"]),
            "model": _latency(document["model"]),
            "overhead": _latency(document["overhead"]),
            "setup": _latency(document["setup"]) if "setup" in document else Latency(),
            "steps": {name: _step(s) for name, s in document.get("steps", {}).items()},
        }
    )


def _step(document: dict[str, Any]) -> Step:
    return Step(**{**document, "latency": _latency(document["latency"])})


def _tally(document: dict[str, Any]) -> Tally:
    times = ("waited", "took", "fetched", "put")
    return Tally(**{**document, **{name: _latency(document[name]) for name in times}})


def _latency(document: dict[str, Any]) -> Latency:
    return Latency(**{**document, "buckets": _numbered(document["buckets"])})


def _numbered(document: dict[str, int]) -> dict[int, int]:
    return {int(number): count for number, count in document.items()}
