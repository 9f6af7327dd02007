"""ModelCard on the wire: what people should know of a model, version by version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tidemill.control import model_card
from tidemill.errors import NotFound
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import model_card_content
from tidemill.gateway.resources.arn import name_in
from tidemill.gateway.resources.listing import Listing
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.resources.record import NOBODY
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.gateway.wire.model import Shape
from tidemill.spec.model_card import about, metadata_only
from tidemill.store.base import Query, Row

NOUN = Noun(
    model_card.KIND,
    "ModelCard",
    unknown="Modelcard {name} does not exist.",
    taken="Modelcard {name} already exists",
    unknown_code="ResourceNotFound",
    taken_code="ConflictException",
)
_CHANGED = frozenset({"Content", "ModelCardStatus"})
_OF_VERSIONS = replace(NOUN, kind=model_card.VERSION)


def create(call: Call) -> dict[str, Any]:
    asked, name = call.request, call.request[NOUN.key]
    model_card_content.check(asked["Content"])
    kept = {key: value for key, value in asked.items() if key not in ("Tags", NOUN.key)}
    return NOUN.create(
        call, lambda tags: model_card.create(call.verbs, call.region, name, kept, tags)
    )


def describe(call: Call) -> dict[str, Any]:
    card = _find(call)
    row = card
    if "ModelCardVersion" in call.request:
        number = call.request["ModelCardVersion"]
        try:
            row = model_card.version(call.verbs, card, number)
        except NotFound:
            raise Fault(
                NOUN.unknown_code,
                f"Modelcard with name {card.name} and version: {number} does not exist",
            ) from None
    answer = _told(call, card, row, call.operation.output)
    if call.request.get("IncludedData") == "MetadataOnly":
        answer["Content"] = metadata_only(answer["Content"])
    return answer


def update(call: Call) -> dict[str, Any]:
    card = _find(call)
    sent = {name: value for name, value in call.request.items() if name in _CHANGED}
    if len(sent) != 1:
        raise invalid(
            "You cannot update both model card content and model card status in a single call."
            if sent
            else "Nothing to update: give Content or ModelCardStatus."
        )
    if "Content" in sent:
        model_card_content.check(sent["Content"])
    try:
        model_card.update(call.verbs, call.region, card.name, sent)
    except NotFound:
        raise NOUN.missing(call, card.name) from None
    return {NOUN.arn_key: call.arn(NOUN.kind, card.name)}


def delete(call: Call) -> None:
    NOUN.delete(call, lambda region, name: model_card.delete(call.verbs, region, name))


def list_versions(call: Call) -> dict[str, Any]:
    """All versions have the creation time of their card, so its filters take all or none."""
    card = _find(call)
    asked = dict(call.request)
    after, before = asked.pop("CreationTimeAfter", None), asked.pop("CreationTimeBefore", None)
    asked.pop("SortBy", None)  # by version, which is by creation
    listing = Listing(
        _OF_VERSIONS,
        "ModelCardVersionSummaryList",
        lambda row: {},
        descending=False,
        item=lambda call, row, shape: _told(call, card, row, shape),
        narrow=lambda call, query: replace(
            _narrow(call, query), labels=((model_card.CARD_LABEL, card.name),)
        ),
    )
    if (after is not None and card.created <= after) or (
        before is not None and card.created >= before
    ):
        return {listing.member: []}
    return listing(replace(call, request=asked))


def _find(call: Call) -> Row:
    return NOUN.find(call, name_in(call, NOUN.kind, call.request[NOUN.key]))


def _narrow(call: Call, query: Query) -> Query:
    return replace(query, status=call.request.get("ModelCardStatus"))


def searched(call: Call, row: Row, shape: Shape) -> dict[str, Any]:
    """A card as Search tells it: with what its content says of the model that it is for."""
    of_model = about(row.document["request"]["Content"])
    found = {name: value for name, value in of_model.items() if name in shape.members}
    return {**_told(call, row, row, shape), **found}


def _told(call: Call, card: Row, row: Row, shape: Shape | None) -> dict[str, Any]:
    known: dict[str, Any] = {
        "CreatedBy": NOBODY,
        "LastModifiedBy": NOBODY,
        **row.document["request"],
        NOUN.key: card.name,
        NOUN.arn_key: call.arn(card.kind, card.name),
        "ModelCardVersion": row.document["state"]["version"],
        "CreationTime": card.created,
        "LastModifiedTime": row.modified,
    }
    room = shape.members if shape is not None else {}
    return {name: value for name, value in known.items() if name in room}


OPERATIONS: dict[str, Handler] = {
    "CreateModelCard": create,
    "DeleteModelCard": delete,
    "DescribeModelCard": describe,
    "ListModelCardVersions": list_versions,
    "ListModelCards": Listing(
        NOUN,
        "ModelCardSummaries",
        lambda row: {},
        descending=False,
        item=lambda call, row, shape: _told(call, row, row, shape),
        narrow=_narrow,
    ),
    "UpdateModelCard": update,
}
