"""Artifact on the wire: what is at a URI; one for each, found by its ARN."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tidemill.control import lineage
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import noun as nouns
from tidemill.gateway.resources.arn import name_in
from tidemill.gateway.resources.lineage_entity import merged, noun, remove
from tidemill.gateway.resources.listing import Listing, by_labels
from tidemill.gateway.resources.record import NOBODY
from tidemill.gateway.wire.errors import invalid
from tidemill.gateway.wire.model import Shape
from tidemill.store.base import Row

NOUN = noun(lineage.ARTIFACT, "Artifact")
_CHANGES = ("ArtifactName", "Properties", "PropertiesToRemove")


def create(call: Call) -> dict[str, Any]:
    """The one of that SourceUri is answered where it is there already."""
    request = {name: value for name, value in call.request.items() if name != "Tags"}
    tags = nouns.tags(call.request.get("Tags", ()))
    row = lineage.put_artifact(call.verbs, call.region, request, tags)
    return {NOUN.arn_key: call.arn(NOUN.kind, row.name)}


def describe(call: Call) -> dict[str, Any]:
    return _told(call, _find(call), call.operation.output)


def update(call: Call) -> dict[str, Any]:
    row = _find(call)
    sent = {name: call.request[name] for name in _CHANGES if name in call.request}

    def changed(row: Row) -> Row:
        request = merged(row.document["request"], sent)
        return replace(row, document={**row.document, "request": request})

    call.verbs.change(row.kind, row.region, row.name, changed)
    return {NOUN.arn_key: call.arn(row.kind, row.name)}


def delete(call: Call) -> dict[str, Any]:
    """By its ARN, or by what it stands for."""
    if (NOUN.arn_key in call.request) == ("Source" in call.request):
        raise invalid("Exactly one of ArtifactArn and Source must name the artifact.")
    if NOUN.arn_key in call.request:
        return remove(call, NOUN, _find(call).name)
    name = lineage.artifact_id(call.request["Source"]["SourceUri"])
    return remove(call, NOUN, NOUN.find(call, name).name)


def _find(call: Call) -> Row:
    return NOUN.find(call, name_in(call, NOUN.kind, call.request[NOUN.arn_key]))


def _plain(row: Row) -> dict[str, Any]:
    return {}


def _told(call: Call, row: Row, shape: Shape | None) -> dict[str, Any]:
    known: dict[str, Any] = {
        "CreatedBy": NOBODY,
        "LastModifiedBy": NOBODY,
        **row.document["request"],
        NOUN.arn_key: call.arn(row.kind, row.name),
        "CreationTime": row.created,
        "LastModifiedTime": row.modified,
    }
    room = shape.members if shape is not None else {}
    return {name: value for name, value in known.items() if name in room}


OPERATIONS: dict[str, Handler] = {
    "CreateArtifact": create,
    "DescribeArtifact": describe,
    "UpdateArtifact": update,
    "DeleteArtifact": delete,
    "ListArtifacts": Listing(
        NOUN,
        "ArtifactSummaries",
        _plain,
        item=_told,
        narrow=by_labels(SourceUri="uri", ArtifactType="type"),
    ),
}
