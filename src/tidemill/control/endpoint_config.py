"""Endpoint configs: written once, never changed; nothing runs for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tidemill.control.verbs import Verbs
from tidemill.spec import async_inference, capture, serverless
from tidemill.spec.endpoint_config import EndpointConfig, ProductionVariant
from tidemill.store.base import Row

KIND = "endpoint_config"


def create(
    verbs: Verbs, config: EndpointConfig, request: Mapping[str, Any], tags: Mapping[str, str]
) -> Row:
    """Write a config down; raises Conflict for a taken name, NotFound for an unknown model."""
    for variant in config.variants:
        verbs.describe("model", config.region, variant.model)
    document = {"request": dict(request), "spec": asdict(config), "state": {}}
    return verbs.create(KIND, config.region, config.name, document, "", tags)


def delete(verbs: Verbs, region: str, name: str) -> None:
    """Forget a config; endpoints made from it go on. Raises NotFound."""
    verbs.delete(KIND, region, name)


def spec(row: Row) -> EndpointConfig:
    """The endpoint config that a row holds."""
    fields = row.document["spec"]
    variants = tuple(_variant(v) for v in fields["variants"])
    wanted = capture.from_document(fields.get("capture"))
    queued = async_inference.from_document(fields.get("asynchronous"))
    nested = {"variants": variants, "capture": wanted, "asynchronous": queued}
    return EndpointConfig(**{**fields, **nested})


def _variant(fields: Mapping[str, Any]) -> ProductionVariant:
    wanted = serverless.from_document(fields.get("serverless"))
    return ProductionVariant(**{**fields, "serverless": wanted})
