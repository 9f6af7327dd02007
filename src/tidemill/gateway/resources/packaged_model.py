"""Models made of packages: the containers that a ModelPackageName in CreateModel stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.gateway.call import Call
from tidemill.gateway.resources import model_package
from tidemill.gateway.wire.errors import invalid
from tidemill.store.base import Row

APPROVED = "Approved"


def containers(call: Call, sent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A container as it was sent, or in its place those of the package that it names.

    The package must be approved when it is a version. What the container says of its own
    (Environment, ContainerHostname, Mode) goes over what the package says.
    """
    if "ModelPackageName" not in sent:
        return [dict(sent)]
    for name in ("Image", "ModelDataUrl", "ModelDataSource"):
        if name in sent:
            raise invalid(
                f"A container that names a model package takes {name} from it, so ModelPackageName "
                f"and {name} cannot both be given."
            )
    row = model_package.find(call, sent["ModelPackageName"])
    arn = call.arn(row.kind, row.name)
    if row.status not in ("", APPROVED):
        raise invalid(
            f"Cannot create a model from model package {arn}: its ModelApprovalStatus is "
            f"{row.status}, and must be {APPROVED}. Approve it with UpdateModelPackage."
        )
    packaged = _specification(row, arn, sent.get("InferenceSpecificationName"))["Containers"]
    return [_over(sent, one, is_only=len(packaged) == 1) for one in packaged]


def _specification(row: Row, arn: str, wanted: str | None) -> Mapping[str, Any]:
    request = row.document["request"]
    if wanted is not None:
        named = {one["Name"]: one for one in request.get("AdditionalInferenceSpecifications", ())}
        found: Mapping[str, Any] | None = named.get(wanted)
        if found is None:
            raise invalid(
                f"Model package {arn} has no additional inference specification named '{wanted}'; "
                f"there are: {', '.join(named) or 'none'}."
            )
        return found
    if "InferenceSpecification" not in request:
        raise invalid(
            f"Model package {arn} has no InferenceSpecification, so no model can be created from "
            "it. Give it one with UpdateModelPackage."
        )
    specification: Mapping[str, Any] = request["InferenceSpecification"]
    return specification


def _over(sent: Mapping[str, Any], packaged: Mapping[str, Any], *, is_only: bool) -> dict[str, Any]:
    environment = {**packaged.get("Environment", {}), **sent.get("Environment", {})}
    own = ("Mode", "MultiModelConfig", "ContainerHostname") if is_only else ()
    return {
        **packaged,
        **{name: sent[name] for name in own if name in sent},
        "Environment": environment,
    }
