"""Counts what becomes of the queued requests of asynchronous endpoints."""

from __future__ import annotations

from tidemill.router.latency import Latency
from tidemill.spec import meters as spec


class Tally:
    """Of one variant, as ``spec.meters.Tally`` tells it; the latter's times are in milliseconds."""

    __slots__ = (
        "expired",
        "failed",
        "fetched",
        "key",
        "processed",
        "put",
        "took",
        "unfetched",
        "unput",
        "untold",
        "waited",
    )

    def __init__(self, told: spec.Tally) -> None:
        self.key = told.key
        self.processed, self.failed, self.expired = told.processed, told.failed, told.expired
        self.unfetched, self.unput, self.untold = told.unfetched, told.unput, told.untold
        self.waited, self.took = Latency(told.waited), Latency(told.took)
        self.fetched, self.put = Latency(told.fetched), Latency(told.put)

    def end(self, *, failed: bool, waited: float, took: float) -> None:
        """A request has its one object. waited, took: seconds in the queue, and in all"""
        self.processed += 1
        self.failed += failed
        self.waited.add(max(0.0, waited) / 1e3)
        self.took.add(max(0.0, took) / 1e3)

    def miss(self) -> None:
        """Nobody took a notification."""
        self.untold += 1

    @property
    def ended(self) -> tuple[int, ...]:
        """What changes when anything does."""
        return self.processed, self.expired, self.unput, self.untold

    def told(self) -> spec.Tally:
        return spec.Tally(
            *self.key,
            processed=self.processed,
            failed=self.failed,
            expired=self.expired,
            unfetched=self.unfetched,
            unput=self.unput,
            untold=self.untold,
            waited=self.waited.told(),
            took=self.took.told(),
            fetched=self.fetched.told(),
            put=self.put.told(),
        )
