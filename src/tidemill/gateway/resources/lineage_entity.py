"""What actions and contexts have in common on the wire: lineage entities with names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tidemill.control import lineage
from tidemill.errors import Conflict
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources.arn import name_in
from tidemill.gateway.resources.listing import by_labels
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.resources.record import Record
from tidemill.gateway.wire.errors import invalid

MOST_PROPERTIES = 30


def noun(kind: str, name: str) -> Noun:
    """Of a kind of lineage entity. name: as in CreateX"""
    return Noun(
        kind,
        name,
        unknown=f"{name} '{{arn}}' does not exist.",
        taken=f"{name} names must be unique within an AWS account and region. {name} with name "
        "({name}) already exists.",
        unknown_code="ResourceNotFound",
    )


def merged(request: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Properties get what is new to them, and lose what is to be removed; the rest is replaced."""
    gone = frozenset(sent.get("PropertiesToRemove", ()))
    both = {**request.get("Properties", {}), **sent.get("Properties", {})}
    kept = {key: value for key, value in both.items() if key not in gone}
    if len(kept) > MOST_PROPERTIES:
        raise invalid(f"There may be at most {MOST_PROPERTIES} Properties; got {len(kept)}.")
    changed = {key: value for key, value in sent.items() if key != "PropertiesToRemove"}
    return {**request, **changed, "Properties": kept}


def remove(call: Call, noun: Noun, name: str) -> dict[str, Any]:
    """Delete it, unless something is associated with it; answers its ARN."""
    arn = call.arn(noun.kind, name)
    try:
        lineage.delete(call.verbs, noun.kind, call.region, name)
    except Conflict as error:
        raise invalid(
            f"{noun.name} '{arn}' cannot be deleted because it has associations. Delete them "
            f"first: there is {error.got}."
        ) from None
    return {noun.arn_key: arn}


@dataclass(frozen=True, slots=True)
class LineageEntity:
    """plural: as in ListXs · changes: members that UpdateX may set, beside Properties"""

    noun: Noun
    plural: str
    changes: tuple[str, ...]

    def operations(self) -> dict[str, Handler]:
        """Create, describe, update, delete, list: by their names on the wire."""
        name = self.noun.name
        record = Record(
            self.noun,
            self.plural,
            f"{name}Summaries",
            changes=(*self.changes, "Properties", "PropertiesToRemove"),
            merge=merged,
            labels=partial(lineage.labels, self.noun.kind),
            narrow=by_labels(**{"SourceUri": "uri", f"{name}Type": "type"}),
        )

        def describe(call: Call) -> dict[str, Any]:
            name = name_in(call, self.noun.kind, call.request[self.noun.key])
            return record.told(call, self.noun.find(call, name), call.operation.output)

        def delete(call: Call) -> dict[str, Any]:
            return remove(call, self.noun, self.noun.find(call).name)

        return {**record.operations(), f"Describe{name}": describe, f"Delete{name}": delete}
