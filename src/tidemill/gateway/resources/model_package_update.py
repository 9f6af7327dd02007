"""UpdateModelPackage: how a version changes, approval above all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidemill.gateway.resources import model_card_content
from tidemill.gateway.resources.model_package_request import check_names
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.model_card import PACKAGE_CARD
from tidemill.store.base import Row

_REPLACED = (
    "ApprovalDescription",
    "InferenceSpecification",
    "ModelApprovalStatus",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
    "SourceUri",
)
_MOST_PROPERTIES = 50


def changed(row: Row, sent: Mapping[str, Any]) -> Row:
    """A version after an update; the very row when this update is known already. May refuse."""
    state = row.document["state"]
    token = sent.get("ClientToken")
    if token is not None and token == state.get("updated_by"):
        return row
    request = {
        **row.document["request"],
        **{name: sent[name] for name in _REPLACED if name in sent},
        **_properties(row, sent),
        **_specifications(row, sent),
        **_card(row, sent),
    }
    kept = {name: value for name, value in request.items() if value is not None}
    document = {**row.document, "request": kept, "state": {**state, "updated_by": token}}
    return replace(row, status=kept["ModelApprovalStatus"], document=document)


def _properties(row: Row, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Customer metadata: first what is given is put in, then what is to go is taken out."""
    name = "CustomerMetadataProperties"
    gone = sent.get("CustomerMetadataPropertiesToRemove", ())
    if name not in sent and not gone:
        return {}
    merged = {**row.document["request"].get(name, {}), **sent.get(name, {})}
    left = {key: value for key, value in merged.items() if key not in gone}
    if len(left) > _MOST_PROPERTIES:
        raise invalid(
            f"A model package may have at most {_MOST_PROPERTIES} CustomerMetadataProperties; "
            f"this update would make it {len(left)}. Remove some with "
            "CustomerMetadataPropertiesToRemove."
        )
    return {name: left or None}


def _specifications(row: Row, sent: Mapping[str, Any]) -> dict[str, Any]:
    added = sent.get("AdditionalInferenceSpecificationsToAdd")
    if added is None:
        return {}
    name = "AdditionalInferenceSpecifications"
    all_of_them = [*row.document["request"].get(name, ()), *added]
    check_names(all_of_them)
    return {name: all_of_them}


def _card(row: Row, sent: Mapping[str, Any]) -> dict[str, Any]:
    card = sent.get("ModelCard")
    if card is None:
        return {}
    known = row.document["request"].get("ModelCard", {})
    if "ModelCardContent" in card:
        if known.get("ModelCardStatus") == "Archived":
            raise invalid("Model Card is in Archived state. Its content cannot be updated.")
        model_card_content.check(card["ModelCardContent"], PACKAGE_CARD)
    return {"ModelCard": {**known, **card}}
