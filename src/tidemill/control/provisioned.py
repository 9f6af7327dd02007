"""How much of their provisioned concurrency serverless endpoints use, as a metric to scale by."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.control import endpoint
from tidemill.control.demand import Demands
from tidemill.control.plan import fleet
from tidemill.control.plan.metering import Found, Variant
from tidemill.control.verbs import Verbs
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.home import Home
from tidemill.stats.summary import Summary
from tidemill.store.metrics import MetricStore

UTILIZATION = "ServerlessProvisionedConcurrencyUtilization"
"""Requests at once for each one that is provisioned: 1 when all of it is used."""
STALE_SECONDS = 5.0
"""The router tells of what is asked every second."""


class ProvisionedUse:
    """A duty of control; endpoints without provisioned concurrency have no such metric."""

    seconds = 10.0

    def __init__(self, verbs: Verbs, home: Home, metrics: MetricStore) -> None:
        self._verbs = verbs
        self._demands = Demands(home.demand)
        self._metrics = metrics

    def tick(self, now: float) -> None:
        """Store one value for each. now: epoch seconds"""
        self._demands.read()
        found = list(self._found(now))
        if found:
            self._metrics.put(now, found)

    def _found(self, now: float) -> Iterator[Found]:
        statuses = [s.value for s in EndpointStatus if s.takes_traffic]
        for row in self._verbs.store.unfinished(endpoint.KIND, statuses):
            for one in fleet.from_document(row.document["state"]).variants:
                bounds = one.current_serverless
                if bounds is None or not bounds.provisioned:
                    continue
                used = self._at_once(row.region, row.name, now) / bounds.provisioned
                variant = Variant(row.region, row.name, one.name)
                yield variant.series(UTILIZATION), Summary.of([used])

    def _at_once(self, region: str, name: str, now: float) -> int:
        demand = self._demands.of(region, name)
        return demand.at_once if demand and now - demand.at < STALE_SECONDS else 0
