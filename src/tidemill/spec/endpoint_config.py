"""An endpoint's wish list: which models, in how many copies, for what share of the traffic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProductionVariant:
    """One model behind an endpoint.

    model: its name · instances: replicas to begin with (a serverless variant begins with 1)
    weight: relative share of the traffic
    """

    name: str
    model: str
    instances: int = 1
    weight: float = 1.0
    instance_type: str = "local"


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """Never changes once made: another wish needs another name."""

    name: str
    arn: str
    region: str
    variants: tuple[ProductionVariant, ...]
