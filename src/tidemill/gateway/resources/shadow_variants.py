"""ShadowProductionVariants on the wire: which endpoints may have one, and what it may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidemill.control import model
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.endpoint_config import ProductionVariant
from tidemill.spec.model import SINGLE
from tidemill.store.base import Row

MEMBER = "ShadowProductionVariants"


def checked(
    request: Mapping[str, Any], shadows: Sequence[ProductionVariant]
) -> tuple[ProductionVariant, ...]:
    """The shadows of a CreateEndpointConfig request; raises ValidationException for what AWS
    excludes: more than one of either kind, asynchronous and serverless endpoints.
    """
    if not shadows:
        return ()
    production = request["ProductionVariants"]
    for member, number in (("ProductionVariants", len(production)), (MEMBER, len(shadows))):
        if number != 1:
            raise invalid(
                f"An endpoint configuration with {MEMBER} must have exactly one variant in "
                f"{member}; got {number}."
            )
    if "AsyncInferenceConfig" in request:
        raise invalid(f"{MEMBER} and AsyncInferenceConfig exclude each other. Leave one out.")
    if any("ServerlessConfig" in one for one in (*production, *request[MEMBER])):
        raise invalid(f"{MEMBER} and ServerlessConfig exclude each other. Give InstanceType.")
    return tuple(replace(one, shadow=True) for one in shadows)


def check_model(row: Row) -> None:
    """Raises ValidationException for a model that takes part in no shadow test."""
    served = model.spec(row)
    if len(served.containers) > 1 or any(one.mode != SINGLE for one in served.containers):
        raise invalid(
            f"Model {served.name} is multi-model or has several containers, which {MEMBER} "
            "excludes. Give models of one container and one model."
        )
