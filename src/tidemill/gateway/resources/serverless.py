"""ServerlessConfig on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.control import serverless as control
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.endpoint_config import ProductionVariant
from tidemill.spec.serverless import MEMORY_STEP, Serverless
from tidemill.store.base import Row

# What belongs to instances, of which a serverless variant has none.
_INSTANCES = (
    "InstanceType",
    "InitialInstanceCount",
    "VolumeSizeInGB",
    "ManagedInstanceScaling",
    "RoutingConfig",
    "EnableSSMAccess",
    "CoreDumpConfig",
    "InferenceAmiVersion",
    "CapacityReservationConfig",
)
# What AWS's serverless endpoints do not have.
_EXCLUDED = ("DataCaptureConfig", "AsyncInferenceConfig", "ShadowProductionVariants", "VpcConfig")
_MEMBERS = {
    "MemorySizeInMB": "memory_mb",
    "MaxConcurrency": "max_concurrency",
    "ProvisionedConcurrency": "provisioned",
}


def to_spec(variant: Mapping[str, Any]) -> Serverless | None:
    """The bounds of a variant; None where it has instances."""
    sent = variant.get("ServerlessConfig")
    if sent is None:
        return None
    name = variant["VariantName"]
    extra = [member for member in _INSTANCES if member in variant]
    if extra:
        raise invalid(
            f"ProductionVariant {name} has ServerlessConfig and {', '.join(extra)}: a serverless "
            "variant has no instances. Keep one of them."
        )
    memory = sent["MemorySizeInMB"]
    if memory % MEMORY_STEP:
        raise invalid(
            f"ServerlessConfig.MemorySizeInMB of ProductionVariant {name} must be a multiple of "
            f"{MEMORY_STEP}; got {memory}."
        )
    wanted = Serverless(memory, sent["MaxConcurrency"], sent.get("ProvisionedConcurrency", 0))
    control.fits(wanted, name)
    return wanted


def check(request: Mapping[str, Any], variants: tuple[ProductionVariant, ...]) -> None:
    """Raise ValidationException where a config has what serverless endpoints do not have."""
    if not any(variant.serverless for variant in variants):
        return
    if len(variants) > 1:
        raise invalid(
            "An endpoint config with ServerlessConfig must have one production variant; got "
            f"{len(variants)}."
        )
    for member in _EXCLUDED:
        if request.get(member):
            raise invalid(f"Serverless endpoints have no {member}. Leave one of the two out.")
    if request.get("EnableNetworkIsolation"):
        raise invalid("Serverless endpoints have no EnableNetworkIsolation. Leave it out.")


def check_model(row: Row) -> None:
    """Raise ValidationException for a model that serverless endpoints do not serve."""
    request = row.document["request"]
    containers = request.get("Containers") or [request.get("PrimaryContainer", {})]
    if len(containers) > 1 or containers[0].get("Mode") == "MultiModel":
        raise invalid(
            f"Model {row.name} has several containers or is a multi-model one: a serverless "
            "endpoint serves one container with one model. Use InstanceType."
        )


def summary(variant: Mapping[str, Any]) -> dict[str, Any]:
    """What DescribeEndpoint tells of the bounds in effect, and of others that are asked for.

    variant: ``dataclasses.asdict`` of a ``control.plan.fleet.Deployed``
    """
    current, wanted = variant.get("current_serverless"), variant["serverless"]
    answer = {} if current is None else {"CurrentServerlessConfig": _told(current)}
    return answer if wanted == current else {**answer, "DesiredServerlessConfig": _told(wanted)}


def _told(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {member: spec[field] for member, field in _MEMBERS.items() if spec.get(field)}
