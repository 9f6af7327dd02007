"""Counts what every variant is asked, and how long it takes; control makes metrics of the counts.

A request costs some additions. Counts live longer than the router: a new one goes on where the
file of the one before it ends, so that control finds counts that only grow.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from math import ceil, log
from pathlib import Path

from tidemill.router.latency import NANOSECOND, Latency
from tidemill.router.tally import Tally
from tidemill.router.trail import microseconds
from tidemill.spec import meters as spec
from tidemill.stats.quantiles import PER_LOG

WRITE_SECONDS = 1.0
FORGET_SECONDS = 3600.0
"""So long counts of a variant are kept that no route names any more: control has read them then."""

MOST_STEPS = 60
"""Names of containers that a variant may have had, in all its configs."""

_LOG = logging.getLogger(__name__)


class Step:
    """Of one container of several."""

    __slots__ = ("errors_4xx", "errors_5xx", "latency", "requests")

    def __init__(self, told: spec.Step) -> None:
        self.requests = told.requests
        self.errors_4xx = told.errors_4xx
        self.errors_5xx = told.errors_5xx
        self.latency = Latency(told.latency)

    def add(self, status: int, micros: float) -> None:
        """A request that it answered with this status."""
        self.requests += 1
        self.errors_4xx += 400 <= status < 500
        self.errors_5xx += status >= 500
        self.latency.add(micros / 1e6)

    def told(self) -> spec.Step:
        return spec.Step(self.requests, self.errors_4xx, self.errors_5xx, self.latency.told())


class Meter:
    """Of one variant. replicas: how many it has · under_way: requests that it has at the moment
    lost: requests that a shadow had no room for · setup: how long first replicas were waited for
    """

    __slots__ = (
        "_by_replicas",
        "_split",
        "errors_4xx",
        "errors_5xx",
        "is_asynchronous",
        "is_shadow",
        "key",
        "left",
        "lost",
        "model",
        "model_errors",
        "overhead",
        "replicas",
        "requests",
        "setup",
        "steps",
        "under_way",
    )

    def __init__(self, told: spec.Counted) -> None:
        self.key = told.key
        self.requests = told.requests
        self.errors_4xx = told.errors_4xx
        self.errors_5xx = told.errors_5xx
        self.model_errors = told.model_errors
        self.lost = told.lost
        self.is_shadow, self.is_asynchronous = told.is_shadow, told.is_asynchronous
        self.model = Latency(told.model)
        self.overhead = Latency(told.overhead)
        self.setup = Latency(told.setup)
        self.steps = {name: Step(step) for name, step in told.steps.items()}
        self.replicas = told.replicas
        self.under_way = 0
        self.left = 0.0  # monotonic seconds when the last route left it, or 0
        self._by_replicas = dict(told.by_replicas)
        self._split = told.requests  # so many are in _by_replicas

    def add(self, status: int, model_seconds: float, overhead_seconds: float) -> None:
        """A request that a replica answered with this status, or failed to answer (0)."""
        self.requests += 1
        if status != 200:
            self._wrong(status)
        # Spelled out for either latency: calls would cost more than what they do.
        latency, micros = self.model, model_seconds * 1e6 + NANOSECOND
        latency.total += micros
        latency.buckets[ceil(log(micros) * PER_LOG)] += 1
        latency, micros = self.overhead, overhead_seconds * 1e6 + NANOSECOND
        latency.total += micros
        latency.buckets[ceil(log(micros) * PER_LOG)] += 1

    def refuse(self, status: int) -> None:
        """A request that no replica got to see."""
        self.requests += 1
        if 400 <= status < 500:
            self.errors_4xx += 1
        else:
            self.errors_5xx += 1

    def passed(self, trail: bytes, status: int) -> None:
        """Which of several containers had the request, and how long (``router.trail``)."""
        times = microseconds(trail)
        last = len(times)
        for place, (name, micros) in enumerate(times.items(), 1):
            step = self.steps.get(name)
            if step is None:
                if len(self.steps) >= MOST_STEPS:
                    continue
                step = self.steps[name] = Step(spec.Step())
            step.add(status if place == last else 200, micros)

    def _wrong(self, status: int) -> None:
        if 200 <= status < 300:
            return
        self.model_errors += 1
        if 400 <= status < 500:
            self.errors_4xx += 1
        elif status >= 500 or status == 0:
            self.errors_5xx += 1

    def scale(self, replicas: int) -> None:
        """So many replicas from now on."""
        self._share()
        self.replicas = replicas

    def _share(self) -> None:
        """Ascribe what has come since the last time to the number of replicas there was."""
        fresh, self._split = self.requests - self._split, self.requests
        if fresh:
            number = max(1, self.replicas)
            self._by_replicas[number] = self._by_replicas.get(number, 0) + fresh

    def told(self) -> spec.Counted:
        self._share()
        region, endpoint, variant, config = self.key
        return spec.Counted(
            region,
            endpoint,
            variant,
            config=config,
            requests=self.requests,
            errors_4xx=self.errors_4xx,
            errors_5xx=self.errors_5xx,
            model_errors=self.model_errors,
            lost=self.lost,
            is_shadow=self.is_shadow,
            is_asynchronous=self.is_asynchronous,
            by_replicas=self._by_replicas,
            model=self.model.told(),
            overhead=self.overhead.told(),
            setup=self.setup.told(),
            steps={name: step.told() for name, step in self.steps.items()},
            under_way=self.under_way,
            replicas=self.replicas,
            is_routed=not self.left,
        )


class Meters:
    """All meters, in a file that is replaced about once a second, when anything has changed.

    path: of the file (``spec.home.Home.meters``), None to keep none · queues: tells of those of
    asynchronous endpoints
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        told = _read(path)
        self._life = told.life
        self._meters = {counted.key: Meter(counted) for counted in told.counted}
        self._tallies = {tally.key: Tally(tally) for tally in told.tallies}
        self.queues: Callable[[], tuple[spec.Queue, ...]] = tuple
        self._written: Sequence[tuple[object, ...]] = []
        self._looked = 0.0

    def __iter__(self) -> Iterator[Meter]:
        return iter(self._meters.values())

    def of(
        self, region: str, endpoint: str, variant: str, replicas: int, config: str = ""
    ) -> Meter:
        """The meter of a variant (or of one of its fleets) that has so many replicas now."""
        key = (region, endpoint, variant, config)
        meter = self._meters.get(key)
        if meter is None:
            meter = self._meters[key] = Meter(
                spec.Counted(region, endpoint, variant, config=config)
            )
        meter.left = 0.0
        meter.scale(replicas)
        return meter

    def tally(self, region: str, endpoint: str, variant: str) -> Tally:
        """The tally of a variant of an asynchronous endpoint."""
        key = (region, endpoint, variant)
        if key not in self._tallies:
            self._tallies[key] = Tally(spec.Tally(*key))
        return self._tallies[key]

    def told(self) -> spec.Meters:
        """All counts as they stand."""
        counted = tuple(meter.told() for meter in self)
        tallies = tuple(tally.told() for tally in self._tallies.values())
        return spec.Meters(self._life, time.time(), counted, tallies, self.queues())

    def is_due(self, now: float) -> bool:
        """Whether it is time to look if anything has changed."""
        return now - self._looked >= WRITE_SECONDS

    def write(self, now: float) -> None:
        """Put the counts into the file if they have changed. now: monotonic seconds"""
        self._looked = now
        seen: list[tuple[object, ...]] = [
            (m.key, m.requests, m.lost, m.setup.total, m.under_way, m.replicas, m.left > 0)
            for m in self
        ]
        seen += [(*tally.key, *tally.ended) for tally in self._tallies.values()]
        seen += [(queue,) for queue in self.queues()]
        if self._path is None or seen == self._written:
            return
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            fresh.write_bytes(self.told().to_json())
            fresh.replace(self._path)
        except OSError as error:  # a full disk, say: the counts stand, and are written when it goes
            _LOG.error("%s stays unwritten: %r", self._path, error)
            return
        self._written = seen

    def keep(self, used: set[spec.Key], now: float) -> None:
        """Forget in time what no route names any more."""
        for key, meter in list(self._meters.items()):
            if key in used:
                meter.left = 0.0
            elif not meter.left:
                meter.left, meter.under_way = now, 0
                meter.scale(0)
            elif now - meter.left > FORGET_SECONDS:
                del self._meters[key]
                if not key[3]:
                    self._tallies.pop(key[:3], None)


def _read(path: Path | None) -> spec.Meters:
    """The counts of the router before this one; none when they cannot be read."""
    try:
        if path is not None:
            return spec.from_json(path.read_bytes())
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, KeyError) as error:
        _LOG.warning("%s cannot be read, counts begin anew: %r", path, error)
    return spec.Meters(secrets.token_hex(8), time.time())
