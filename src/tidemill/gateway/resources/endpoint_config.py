"""EndpointConfig on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.control import endpoint_config
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import (
    async_inference,
    data_capture,
    model,
    multi_model,
    quota,
    serverless,
    shadow_variants,
)
from tidemill.gateway.resources.listing import Listing
from tidemill.gateway.resources.noun import Noun, must_be_named
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.endpoint_config import EndpointConfig, ProductionVariant
from tidemill.spec.route import LEAST_OUTSTANDING

NOUN = Noun(
    "endpoint_config",
    "EndpointConfig",
    unknown='Could not find endpoint configuration "{arn}".',
    taken='Cannot create already existing endpoint configuration "{arn}".',
)

# What would change the answers or the traffic: to ignore it would be another endpoint.
_UNMET = {
    "ExplainerConfig": "explanations of predictions are not available. Leave it out",
}


def create(call: Call) -> dict[str, Any]:
    spec = to_spec(call)
    for variant in spec.variants:
        row = model.NOUN.find(call, variant.model)
        if any(one.shadow for one in spec.variants):
            shadow_variants.check_model(row)
        if variant.serverless:
            serverless.check_model(row)
        multi_model.check_model(row, call.request)
    kept = {name: value for name, value in call.request.items() if name != "Tags"}
    return NOUN.create(call, lambda tags: endpoint_config.create(call.verbs, spec, kept, tags))


def describe(call: Call) -> dict[str, Any]:
    row = NOUN.find(call)
    return {
        "EnableNetworkIsolation": False,
        **call.echo(row.document["request"]),
        "EndpointConfigArn": call.arn(row.kind, row.name),
        "CreationTime": row.created,
    }


def delete(call: Call) -> None:
    NOUN.delete(call, lambda region, name: endpoint_config.delete(call.verbs, region, name))


def to_spec(call: Call) -> EndpointConfig:
    """An endpoint config from its CreateEndpointConfig request."""
    name = call.request["EndpointConfigName"]
    for member, why in _UNMET.items():
        if call.request.get(member):
            raise invalid(f"EndpointConfig {name} has {member}: {why}.")
    variants = _variants(call.request, "ProductionVariants")
    shadows = _variants(call.request, shadow_variants.MEMBER)
    variants += shadow_variants.checked(call.request, shadows)
    named = [v.name for v in variants]
    for one in named:
        if named.count(one) > 1:
            raise invalid(f'The variant name "{one}" was non-unique within the request.')
    serverless.check(call.request, variants)
    capture = data_capture.to_spec(call.request.get("DataCaptureConfig"))
    queued = async_inference.to_spec(
        call.request.get("AsyncInferenceConfig"), call.platform.home.topics
    )
    return EndpointConfig(name, call.arn(NOUN.kind, name), call.region, variants, capture, queued)


def _variants(request: Mapping[str, Any], member: str) -> tuple[ProductionVariant, ...]:
    sent = request.get(member, ())
    for number, variant in enumerate(sent, 1):
        place = member[0].lower() + member[1:]
        must_be_named(variant, "VariantName", f"{place}.{number}.member")
    return tuple(_variant(v) for v in sent)


def _variant(sent: Mapping[str, Any]) -> ProductionVariant:
    if "ModelName" not in sent:
        raise invalid(
            f"ProductionVariant {sent['VariantName']} must name a model: inference components "
            "are not supported. Give ModelName."
        )
    kind = sent.get("InstanceType", "local")
    return ProductionVariant(
        sent["VariantName"],
        sent["ModelName"],
        instances=quota.check(sent.get("InitialInstanceCount", 1), f"{kind} for endpoint usage"),
        weight=sent.get("InitialVariantWeight", 1.0),
        instance_type=kind,
        routing=sent.get("RoutingConfig", {}).get("RoutingStrategy", LEAST_OUTSTANDING),
        serverless=serverless.to_spec(sent),
    )


OPERATIONS: dict[str, Handler] = {
    "CreateEndpointConfig": create,
    "DescribeEndpointConfig": describe,
    "DeleteEndpointConfig": delete,
    "ListEndpointConfigs": Listing(NOUN, "EndpointConfigs", lambda row: {}),
}
