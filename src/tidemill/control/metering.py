"""Keeps the metrics of endpoints: what the router counts, and what replicas use of the machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import psutil

from tidemill.control import endpoint
from tidemill.control.plan import async_metering, metering
from tidemill.control.plan.metering import Found, Variant
from tidemill.control.verbs import Verbs
from tidemill.spec import meters
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.home import Home
from tidemill.spec.meters import Key, Meters
from tidemill.stats.summary import Summary
from tidemill.store.metrics import CELL, MetricStore

NAMESPACE = "/aws/sagemaker/Endpoints"
PERCENT = "Percent"
TRIM_SECONDS = 600.0
_MARK = "meters"
_LOG = logging.getLogger(__name__)


class Metering:
    """A duty of control: reads the router's counts and stores what has come since the last time.

    How far it has read is stored with the metrics, all or nothing: whenever control dies, the
    next one goes on there, and no request is counted twice or left out.
    """

    seconds = 2.0

    def __init__(self, home: Home, metrics: MetricStore) -> None:
        self._path = home.meters
        self._metrics = metrics
        text = metrics.mark(_MARK)
        self._read = meters.from_json(text) if text is not None else None
        self._seen: object = None
        self._now: Meters | None = None
        self._sampled: dict[Key, float] = {}
        self._trimmed = 0.0

    def tick(self, now: float) -> None:
        """Store what is new. now: epoch seconds"""
        found = self._file()
        if found is not None:
            at = min(found.at, now) if found is not self._now else now
            self._now = found
            news = [*self._news(found, now)]
            # Written into only when something has come: an idle platform leaves its disk alone.
            if news:
                self._metrics.put(at, news, mark=(_MARK, found.to_json().decode()))
                self._read = found
        if now - self._trimmed >= TRIM_SECONDS:
            self._trimmed = now
            self._metrics.trim(now)

    def _file(self) -> Meters | None:
        """What the router has counted, read again only when it was written again."""
        try:
            stat = self._path.stat()
            seen = (stat.st_ino, stat.st_mtime_ns)
            if seen == self._seen:
                return self._now
            found = meters.from_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            _LOG.error("%s cannot be read: %r", self._path, error)
            return self._now
        self._seen = seen
        return found

    def _news(self, found: Meters, now: float) -> Iterator[Found]:
        last = self._read
        if last is None or last.life != found.life:
            last = Meters(found.life, found.at)
        before = metering.by_key(last.counted)
        tallied = {tally.key: tally for tally in last.tallies}
        for tally in found.tallies:
            yield from async_metering.since(tallied.get(tally.key), tally)
        cell = now // CELL
        for queue in found.queues:
            if queue.size or self._is_fresh((queue.region, queue.endpoint, "", ""), cell):
                yield from async_metering.backlog(queue, now)
        for counted in found.counted:
            earlier = before.get(counted.key)
            yield from metering.since(earlier, counted)
            if not counted.is_routed:
                continue
            is_fresh = self._is_fresh(counted.key, cell)
            if is_fresh or counted.under_way:
                if not counted.config:  # of half a variant it would mislead
                    yield metering.concurrency(counted)
                if is_fresh:
                    yield from metering.idle(counted)

    def _is_fresh(self, key: Key, cell: float) -> bool:
        """Whether this is the first look in this step of the store's time."""
        before, self._sampled[key] = self._sampled.get(key), cell
        return before != cell


class Usage:
    """A duty of control: once a minute, what the replicas of every variant use of the machine."""

    seconds = 60.0

    def __init__(self, verbs: Verbs, metrics: MetricStore) -> None:
        self._verbs = verbs
        self._metrics = metrics
        self._processes: dict[str, psutil.Process] = {}

    def tick(self, now: float) -> None:
        """Measure and store; a replica is measured from its second minute on."""
        known, self._processes = self._processes, {}
        self._metrics.put(now, list(self._found(known)))

    def _found(self, known: dict[str, psutil.Process]) -> Iterator[Found]:
        statuses = [s.value for s in EndpointStatus if s.takes_traffic]
        for row in self._verbs.store.unfinished(endpoint.KIND, statuses):
            replicas = row.document["state"]["replicas"].values()
            for name in {replica["variant"] for replica in replicas}:
                handles = [r["handle"] for r in replicas if r["variant"] == name and r["handle"]]
                used = [u for handle in handles if (u := self._used(handle, known)) is not None]
                variant = Variant(row.region, row.name, name)
                for metric, values in (
                    ("CPUUtilization", [cpu for cpu, _ in used]),
                    ("MemoryUtilization", [memory for _, memory in used]),
                ):
                    if values:
                        yield variant.series(metric, PERCENT, NAMESPACE), Summary.of(values)

    def _used(self, handle: str, known: dict[str, psutil.Process]) -> tuple[float, float] | None:
        """Percent of a core since the last time, percent of the memory; None when not known."""
        try:
            process = known.get(handle) or psutil.Process(int(handle.partition(":")[0]))
            self._processes[handle] = process
            cpu, memory = process.cpu_percent(), process.memory_percent()
        except (psutil.Error, ValueError):
            return None
        return (cpu, memory) if handle in known else None
