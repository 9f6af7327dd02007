"""CreateModelPackage: what is asked, checked and completed before a package is written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.control import model
from tidemill.errors import NotFound
from tidemill.gateway.call import Call
from tidemill.gateway.resources import model_card_content
from tidemill.gateway.resources.arn import name_in
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.model_card import PACKAGE_CARD
from tidemill.store.base import Row

PENDING = "PendingManualApproval"
_OF_A_CONTAINER = (
    "AdditionalModelDataSources",
    "ContainerHostname",
    "Environment",
    "Image",
    "ModelDataSource",
    "ModelDataUrl",
)


def group_of(call: Call) -> str | None:
    """The group whose next version is asked for, or None for a package of its own."""
    asked = call.request
    if "ModelPackageName" in asked and "ModelPackageGroupName" in asked:
        raise invalid(
            "Both ModelPackageName and ModelPackageGroupName are provided in the input. Cannot "
            "determine which one to use."
        )
    if "ModelPackageGroupName" in asked:
        return name_in(call, "model_package_group", asked["ModelPackageGroupName"])
    if "ModelPackageName" not in asked:
        raise invalid(
            "Missing ARN: give ModelPackageGroupName for the next version of a group, or "
            "ModelPackageName for a package of its own."
        )
    return None


def kept(call: Call, source: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is written down of a request; raises for what AWS refuses.

    source: the InferenceSpecification that its SourceUri leads to, where it does
    """
    asked = call.request
    _check(asked)
    kept = {name: v for name, v in asked.items() if name not in ("Tags", "ClientToken")}
    if source is not None:
        kept["InferenceSpecification"] = dict(source)
    if "ModelPackageName" in asked:  # an approval is for versions
        kept.pop("ModelApprovalStatus", None)
        return kept
    if "Tags" in asked:
        raise invalid(
            "Tags cannot be given for a versioned model package: it uses those of its group. "
            "Tag the group."
        )
    return {"ModelApprovalStatus": PENDING, **kept}


def _check(asked: Mapping[str, Any]) -> None:
    for algorithm in asked.get("SourceAlgorithmSpecification", {}).get("SourceAlgorithms", ()):
        raise invalid(
            f"Algorithm {algorithm['AlgorithmName']} does not exist. Give the image and the model "
            "data in InferenceSpecification."
        )
    check_names(asked.get("AdditionalInferenceSpecifications", ()))
    if "ModelCardContent" in asked.get("ModelCard", {}):
        model_card_content.check(asked["ModelCard"]["ModelCardContent"], PACKAGE_CARD)


def check_names(specifications: Sequence[Mapping[str, Any]]) -> None:
    """Raise unless additional inference specifications are at most 15, each with its own name."""
    if len(specifications) > 15:
        raise invalid(
            "A model package may have at most 15 AdditionalInferenceSpecifications; got "
            f"{len(specifications)}."
        )
    counts = Counter(one["Name"] for one in specifications)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise invalid(
            "The names of AdditionalInferenceSpecifications must be unique within a model "
            f"package; got '{twice[0]}' more than once."
        )


def of_model(call: Call, arn: str) -> dict[str, Any]:
    """An InferenceSpecification of a model's containers."""
    try:
        row = call.verbs.describe(model.KIND, call.region, name_in(call, model.KIND, arn))
    except NotFound:
        raise invalid(f'Could not find model "{arn}".') from None
    return {"Containers": _containers(row)}


def _containers(row: Row) -> list[dict[str, Any]]:
    request = row.document["request"]
    single = [request["PrimaryContainer"]] if "PrimaryContainer" in request else []
    sent = request.get("Containers", single)
    if all("Image" in container for container in sent):
        return [{n: c[n] for n in _OF_A_CONTAINER if n in c} for c in sent]
    of_packages = model.spec(row).containers
    return [
        {
            "Image": one.image,
            "Environment": one.environment,
            **({"ModelDataUrl": one.model_uri} if one.model_uri else {}),
        }
        for one in of_packages
    ]
