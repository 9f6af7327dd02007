"""Which replicas answer for which endpoint: control writes the table, the router reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tidemill.spec import async_inference, capture
from tidemill.spec.async_inference import AsyncInference
from tidemill.spec.capture import Capture

# Bytes of a request's body: the bound of SageMaker's InvokeEndpoint.
MAX_BODY = 6_291_456
TIMEOUT = 60.0
LEAST_OUTSTANDING, RANDOM = "LEAST_OUTSTANDING_REQUESTS", "RANDOM"


@dataclass(frozen=True, slots=True)
class Variant:
    """weight: share of the traffic, relative · replicas: replica id → address (``unix:/…``, or
    ``tcp:host:port``) · timeout: seconds that a request may take · routing: which replica is next
    config: of the fleet, told while an update moves the traffic and the name stands for two
    targets: hostnames of containers, where each request must name one · multi_model: each request
    must name a model · shadow: it gets copies of production requests, ``weight`` of them (0 to 1)
    max_concurrency: of a serverless variant, whose replicas come and go; 0 for any other
    learns: it takes feedback
    """

    name: str
    weight: float
    replicas: Mapping[str, str]
    timeout: float = TIMEOUT
    routing: str = LEAST_OUTSTANDING
    config: str = ""
    targets: tuple[str, ...] = ()
    multi_model: bool = False
    shadow: bool = False
    max_concurrency: int = 0
    learns: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint that takes traffic.

    log_group: named in ModelError answers · most_outstanding: requests that a replica may have
    under way · most_waiting, most_waiting_bytes: requests that may wait for a replica with room
    capture: what of its requests is written down · asynchronous: set where requests are queued, and
    their answers put into S3
    """

    endpoint: str
    region: str
    variants: tuple[Variant, ...]
    max_body: int = MAX_BODY
    log_group: str = ""
    most_outstanding: int = 1000
    most_waiting: int = 5000
    most_waiting_bytes: int = 256 * 2**20
    capture: Capture | None = None
    asynchronous: AsyncInference | None = None


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """All routes, by (region, endpoint name)."""

    account: str
    routes: Mapping[tuple[str, str], Route] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(
            {"account": self.account, "routes": [asdict(r) for r in self.routes.values()]}
        )


def from_json(text: str) -> RoutingTable:
    """Read what ``to_json`` wrote; fields of a later version are passed over."""
    document = json.loads(text)
    routes = [_route(r) for r in document["routes"]]
    return RoutingTable(document["account"], {(r.region, r.endpoint): r for r in routes})


def _route(document: Mapping[str, Any]) -> Route:
    variants = tuple(_variant(v) for v in document["variants"])
    wanted = capture.from_document(document.get("capture"))
    queued = async_inference.from_document(document.get("asynchronous"))
    nested = {"variants": variants, "capture": wanted, "asynchronous": queued}
    return Route(**{**_known(Route, document), **nested})


def _variant(document: Mapping[str, Any]) -> Variant:
    targets = tuple(document.get("targets", ()))
    return Variant(**{**_known(Variant, document), "targets": targets})


def _known(kind: type[Route] | type[Variant], document: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in document.items() if name in names}
