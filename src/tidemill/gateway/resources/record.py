"""Resources for which nothing runs: written down, found again, listed, changed, removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources.listing import Listing
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.wire.model import Shape
from tidemill.store.base import Query, Row

NOBODY: dict[str, Any] = {}
"""Who made or changed it: there are no user profiles."""


def _nothing(call: Call) -> None:
    """No check."""


def _no_more(row: Row) -> dict[str, Any]:
    return {}


def _replaced(request: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """What is given takes the place of what was there."""
    return {**request, **sent}


@dataclass(frozen=True, slots=True)
class Record:
    """plural: as in ListXs · member: of its answer · status: of new ones, told as XStatus
    changes: members that UpdateX may set; without any there is no such operation
    check: before a new one is written down · may_go: before one is removed; both raise to refuse
    more: further members of what describe and list tell · sort, descending: documented defaults
    answers: whether DeleteX tells the ARN · merge: what a request becomes by what an update sends
    labels: of a new one, by its request · narrow: filters of the list beside the usual ones
    """

    noun: Noun
    plural: str
    member: str
    changes: tuple[str, ...] = ()
    status: str = ""
    check: Callable[[Call], None] = _nothing
    may_go: Callable[[Call, Row], None] | None = None
    more: Callable[[Row], Mapping[str, Any]] = _no_more
    sort: str = "CreationTime"
    descending: bool = True
    answers: bool = False
    merge: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]] = _replaced
    labels: Callable[[Mapping[str, Any]], Mapping[str, list[str]]] | None = None
    narrow: Callable[[Call, Query], Query] | None = None

    def operations(self) -> dict[str, Handler]:
        """Create, describe, update, delete, list: by their names on the wire."""
        name = self.noun.name
        listing = Listing(
            self.noun,
            self.member,
            _no_more,
            self.sort,
            self.descending,
            item=self.told,
            narrow=self.narrow,
        )
        found: dict[str, Handler] = {
            f"Create{name}": self.create,
            f"Describe{name}": self.describe,
            f"Delete{name}": self.delete,
            f"List{self.plural}": listing,
        }
        return {**found, f"Update{name}": self.update} if self.changes else found

    def create(self, call: Call) -> dict[str, Any]:
        self.check(call)
        kept = {name: value for name, value in call.request.items() if name != "Tags"}
        document: dict[str, Any] = {"request": kept, "state": {}}
        if self.labels is not None:
            document["labels"] = dict(self.labels(kept))
        kind, name = self.noun.kind, call.request[self.noun.key]

        def make(tags: Mapping[str, str]) -> Row:
            return call.verbs.create(kind, call.region, name, document, self.status, tags)

        return self.noun.create(call, make)

    def describe(self, call: Call) -> dict[str, Any]:
        return self.told(call, self.noun.find(call), call.operation.output)

    def update(self, call: Call) -> dict[str, Any]:
        """What is given takes the place of what was there, or as ``merge`` says; the rest stays."""
        row = self.noun.find(call)
        sent = {name: call.request[name] for name in self.changes if name in call.request}

        def changed(row: Row) -> Row:
            request = self.merge(row.document["request"], sent)
            return replace(row, document={**row.document, "request": request})

        call.verbs.change(row.kind, row.region, row.name, changed)
        return {self.noun.arn_key: call.arn(row.kind, row.name)}

    def delete(self, call: Call) -> dict[str, Any] | None:
        def remove(region: str, name: str) -> None:
            may_go = self.may_go
            check = None if may_go is None else lambda row: may_go(call, row)
            call.verbs.delete(self.noun.kind, region, name, check)

        self.noun.delete(call, remove)
        if not self.answers:
            return None
        return {self.noun.arn_key: call.arn(self.noun.kind, call.request[self.noun.key])}

    def told(self, call: Call, row: Row, shape: Shape | None) -> dict[str, Any]:
        """All that is known of one and that an answer of this shape has room for."""
        known: dict[str, Any] = {
            f"{self.noun.name}Status": row.status,
            "CreatedBy": NOBODY,
            "LastModifiedBy": NOBODY,
            **row.document["request"],
            self.noun.key: row.name,
            self.noun.arn_key: call.arn(row.kind, row.name),
            "CreationTime": row.created,
            "LastModifiedTime": row.modified,
            **self.more(row),
        }
        room = shape.members if shape is not None else {}
        return {name: value for name, value in known.items() if name in room}
