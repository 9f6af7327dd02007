"""One API call on its way to the resource that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.auth.access import Access, Caller
from tidemill.control.offline_store import OfflineStore
from tidemill.control.verbs import Verbs
from tidemill.gateway.wire.model import Operation
from tidemill.spec.home import Home
from tidemill.storage.bucket import Buckets
from tidemill.store.features import FeatureRecords
from tidemill.store.metrics import MetricStore
from tidemill.store.run_metrics import RunMetrics


@dataclass(frozen=True, slots=True)
class Platform:
    """What every call can reach. account: 12 digits, of all ARNs.

    features, offline: the records of feature groups, and their way into Parquet
    access: the keys, and who has them
    """

    home: Home
    verbs: Verbs
    buckets: Buckets
    account: str
    metrics: MetricStore
    runs: RunMetrics
    features: FeatureRecords
    offline: OfflineStore
    access: Access


@dataclass(frozen=True, slots=True)
class Call:
    """request: parsed and within the model's bounds · region: of the caller's signature
    caller: None is the administrator
    """

    operation: Operation
    request: dict[str, Any]
    region: str
    platform: Platform
    caller: Caller | None = None

    @property
    def verbs(self) -> Verbs:
        return self.platform.verbs

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a thing in the caller's region."""
        return self.verbs.arn(kind, self.region, name)

    def echo(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Of what was sent at creation, all that this call's answer has room for, unchanged."""
        room = self.operation.output.members if self.operation.output else {}
        return {name: value for name, value in request.items() if name in room}


Handler = Callable[[Call], dict[str, Any] | None]
