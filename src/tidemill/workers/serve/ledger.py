"""Counts what a shelf of models does, in a file beside it from which control makes metrics."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from math import ceil, log
from pathlib import Path

from tidemill.spec import shelf_counts
from tidemill.spec.meters import Latency
from tidemill.spec.shelf_counts import ShelfCounts
from tidemill.stats.quantiles import PER_LOG

WRITE_SECONDS = 1.0
_NANOSECOND = 1e-3  # zero has no logarithm


class Ledger:
    """A ``shelf.Ledger``. Goes on where the file of an earlier process of this replica ends.

    clock: monotonic seconds
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        began = replace(_read(path), models=0)
        self.requests, self.hits, self.models = began.requests, began.hits, 0
        self._life = began.life or secrets.token_hex(8)
        self._times = {name: _Times(getattr(began, name)) for name in shelf_counts.TIMES}
        self._written, self._looked = began, clock()

    def asked(self, requests: int, *, hit: bool) -> None:
        """Requests for one model, which was in memory or was not."""
        self.requests += requests
        self.hits += requests * hit

    def waited(self, seconds: float) -> None:
        self._times["waiting"].add(seconds)

    def downloaded(self, seconds: float) -> None:
        self._times["downloading"].add(seconds)

    def loaded(self, seconds: float, models: int) -> None:
        """models: in memory now"""
        self._times["loading"].add(seconds)
        self.models = models

    def unloaded(self, seconds: float, models: int) -> None:
        self._times["unloading"].add(seconds)
        self.models = models

    def told(self) -> ShelfCounts:
        """All counts as they stand."""
        times = {name: told.told() for name, told in self._times.items()}
        return ShelfCounts(self._life, self.requests, self.hits, self.models, **times)

    def tick(self) -> None:
        """Write the counts down if they have changed, at most once a second."""
        now = self._clock()
        if now - self._looked >= WRITE_SECONDS:
            self._looked = now
            self.write()

    def write(self) -> None:
        """The same, now. A full disk only delays it."""
        told = self.told()
        if told == self._written:
            return
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            fresh.write_bytes(told.to_json())
            fresh.replace(self._path)
        except OSError as error:
            print(f"{self._path} stays unwritten: {error}", flush=True)
            return
        self._written = told


class _Times:
    """A ``Latency`` that grows."""

    def __init__(self, told: Latency) -> None:
        self._total, self._buckets = told.total, dict(told.buckets)

    def add(self, seconds: float) -> None:
        micros = seconds * 1e6 + _NANOSECOND
        at = ceil(log(micros) * PER_LOG)
        self._total += micros
        self._buckets[at] = self._buckets.get(at, 0) + 1

    def told(self) -> Latency:
        return Latency(self._total, dict(self._buckets))


def _read(path: Path) -> ShelfCounts:
    """The counts so far; none when they cannot be read."""
    try:
        return shelf_counts.from_json(path.read_bytes())
    except (OSError, ValueError, TypeError, KeyError):
        return ShelfCounts()
