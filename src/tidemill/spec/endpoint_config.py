"""An endpoint's wish list: which models, in how many copies, for what share of the traffic."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.spec.async_inference import AsyncInference
from tidemill.spec.capture import Capture
from tidemill.spec.route import LEAST_OUTSTANDING
from tidemill.spec.serverless import Serverless


@dataclass(frozen=True, slots=True)
class ProductionVariant:
    """One model behind an endpoint.

    model: its name · instances: replicas to begin with (a serverless variant begins with 1)
    weight: relative share of the traffic · routing: RoutingConfig's strategy · shadow: it gets
    copies of requests, its weight relative to the production variant's · serverless: set where
    replicas come and go with the requests
    """

    name: str
    model: str
    instances: int = 1
    weight: float = 1.0
    instance_type: str = "local"
    routing: str = LEAST_OUTSTANDING
    shadow: bool = False
    serverless: Serverless | None = None


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """Never changes once made: another wish needs another name.

    capture: what of the requests is written down, or None · asynchronous: where the answers of
    queued requests go; None where requests are answered at once
    """

    name: str
    arn: str
    region: str
    variants: tuple[ProductionVariant, ...]
    capture: Capture | None = None
    asynchronous: AsyncInference | None = None
