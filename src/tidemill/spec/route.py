"""Which replicas answer for which endpoint: control writes the table, the router reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

# Bytes of a request's body: the bound of SageMaker's InvokeEndpoint.
MAX_BODY = 6_291_456


@dataclass(frozen=True, slots=True)
class Variant:
    """weight: share of the traffic, relative · replicas: replica id → address (``unix:/…``)."""

    name: str
    weight: float
    replicas: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint that takes traffic. log_stream_arn: named in ModelError answers."""

    endpoint: str
    region: str
    variants: tuple[Variant, ...]
    max_body: int = MAX_BODY
    log_group: str = ""


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
    """Read what ``to_json`` wrote."""
    document = json.loads(text)
    routes = [
        Route(**{**r, "variants": tuple(Variant(**v) for v in r["variants"])})
        for r in document["routes"]
    ]
    return RoutingTable(document["account"], {(r.region, r.endpoint): r for r in routes})
