"""Lineage: artifacts, actions and contexts, and the associations from what was used to what came.

An association is a row of its own, found from either end by its labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tidemill.control.experiment import COMPONENT, EXPERIMENT, RELATIONS
from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, Invalid, NotFound
from tidemill.store.base import Query, Row

ARTIFACT, ACTION, CONTEXT, ASSOCIATION = "artifact", "action", "context", "association"
LINEAGE_TYPES = {
    COMPONENT: "TrialComponent",
    ARTIFACT: "Artifact",
    ACTION: "Action",
    CONTEXT: "Context",
}
"""The kinds that lineage is made of, in AWS's words."""
_TYPES = {ARTIFACT: "ArtifactType", ACTION: "ActionType", CONTEXT: "ContextType"}
_PAGE = 500


def artifact_id(uri: str) -> str:
    """The name of the one artifact that stands for what is at a URI."""
    return hashlib.sha256(uri.encode()).hexdigest()[:32]


def labels(kind: str, request: Mapping[str, Any]) -> dict[str, list[str]]:
    """By which lists find an artifact, an action or a context."""
    return {"uri": [request["Source"]["SourceUri"]], "type": [request[_TYPES[kind]]]}


def put_artifact(
    verbs: Verbs, region: str, request: Mapping[str, Any], tags: Mapping[str, str]
) -> Row:
    """The artifact of the request's SourceUri: the one there, else a new one."""
    name = artifact_id(request["Source"]["SourceUri"])
    document = {"request": dict(request), "state": {}, "labels": labels(ARTIFACT, request)}
    with suppress(Conflict):
        return verbs.create(ARTIFACT, region, name, document, "", tags)
    return verbs.describe(ARTIFACT, region, name)


def associate(verbs: Verbs, source: str, destination: str, how: str) -> Row:
    """Draw an edge between two ARNs; raises NotFound for either end, Conflict for one drawn before,
    Invalid for an end that is no lineage entity, or for both being the same. how: or nothing
    """
    with RELATIONS:
        ends = [entity(verbs, source), entity(verbs, destination)]
        if source == destination:
            raise Invalid("two different ARNs", got=source, do="Associate it with another.")
        kinds = [type_of(row) for row in ends]
        names = [name_of(row) for row in ends]
        document = {
            "request": {
                "SourceArn": source,
                "DestinationArn": destination,
                "AssociationType": how,
            },
            "state": {"types": kinds, "names": names},
            "labels": {
                "source": [source],
                "destination": [destination],
                "source_type": [kinds[0]],
                "destination_type": [kinds[1]],
                "type": [how] if how else [],
            },
        }
        return verbs.create(ASSOCIATION, ends[0].region, _name(source, destination), document, "")


def disassociate(verbs: Verbs, region: str, source: str, destination: str) -> None:
    """Remove an edge; raises NotFound."""
    verbs.delete(ASSOCIATION, region, _name(source, destination))


def edges(verbs: Verbs, region: str, key: str, arn: str) -> Iterator[Row]:
    """The associations that have this ARN as their ``source`` or their ``destination``."""
    yield from _all(verbs, Query(ASSOCIATION, region, labels=((key, arn),), limit=_PAGE))


def delete(verbs: Verbs, kind: str, region: str, name: str) -> Row:
    """Remove an artifact, an action or a context; raises NotFound, Conflict while it has edges."""
    arn = verbs.arn(kind, region, name)

    def check(row: Row) -> None:
        for key in ("source", "destination"):
            for edge in edges(verbs, region, key, arn):
                other = edge.document["request"]
                raise Conflict(
                    f"an {kind} without associations",
                    got=f"one from {other['SourceArn']} to {other['DestinationArn']}",
                    do="Delete its associations first.",
                )

    with RELATIONS:
        return verbs.delete(kind, region, name, check)


def forget(verbs: Verbs, region: str, arn: str) -> None:
    """Remove all edges of what is gone."""
    with RELATIONS:
        for key in ("source", "destination"):
            for edge in list(edges(verbs, region, key, arn)):
                with suppress(NotFound):
                    verbs.delete(ASSOCIATION, region, edge.name)


def entity(verbs: Verbs, arn: str) -> Row:
    """What an ARN names; raises NotFound, and Invalid where that is no lineage entity."""
    row = verbs.find(arn)
    if row.kind not in (*LINEAGE_TYPES, EXPERIMENT):
        raise Invalid("a lineage entity", got=arn, do="Name an artifact, action or context.")
    return row


def type_of(row: Row) -> str:
    """An entity's own type: DataSet, Model, ModelDeployment, SageMakerTrainingJob …; "" of none."""
    if row.kind in _TYPES:
        return str(row.document["request"][_TYPES[row.kind]])
    source = row.document["state"].get("source") or {}
    return str(source.get("SourceType", ""))


def name_of(row: Row) -> str | None:
    """What people call it."""
    return row.document["request"].get("ArtifactName") if row.kind == ARTIFACT else row.name


def every(verbs: Verbs, region: str) -> Iterator[Row]:
    """All lineage entities of a region."""
    for kind in LINEAGE_TYPES:
        yield from _all(verbs, Query(kind, region, limit=_PAGE))


def record_job(
    verbs: Verbs,
    component: Row,
    used: Sequence[tuple[str, str]],
    made: Sequence[tuple[str, str]],
) -> None:
    """Draw what a job has used and made around its component. used, made: (URI, type)"""
    arn = verbs.arn(component.kind, component.region, component.name)
    for place, how in ((used, "ContributedTo"), (made, "Produced")):
        for uri, kind in place:
            request = {"Source": {"SourceUri": uri}, "ArtifactType": kind}
            row = put_artifact(verbs, component.region, request, {})
            other = verbs.arn(ARTIFACT, row.region, row.name)
            ends = (other, arn) if how == "ContributedTo" else (arn, other)
            with suppress(Conflict, NotFound):  # drawn before, or the component is gone
                associate(verbs, *ends, how)


def _all(verbs: Verbs, query: Query) -> Iterator[Row]:
    while True:
        page = verbs.list(query)
        yield from page.rows
        if page.next is None:
            return
        query = replace(query, after=page.next)


def _name(source: str, destination: str) -> str:
    return hashlib.sha256(f"{source}\0{destination}".encode()).hexdigest()[:40]
