"""Lists: the same filters, orders and pages for every noun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tidemill.gateway.call import Call
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.wire.model import Shape
from tidemill.store.base import Query, Row

DEFAULT_PAGE = 10
_COLUMNS: dict[str, Literal["name", "created", "modified", "status"]] = {
    "Name": "name",
    "CreationTime": "created",
    "LastModifiedTime": "modified",
    "Status": "status",
    "FeatureGroupStatus": "status",
    "OfflineStoreStatus": "status",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """member: of the answer · sort, descending: the documented defaults, which apply each by itself
    filter_after: MaxResults counts rows looked at, not rows returned (wire facts of the jobs)
    never: filters that nothing here can meet · item: makes one of the list in place of summary,
    from the call, the row and the shape of an item · narrow: filters of its own, put into the query
    """

    noun: Noun
    member: str
    summary: Callable[[Row], dict[str, Any]]
    sort: str = "CreationTime"
    descending: bool = True
    filter_after: bool = False
    never: frozenset[str] = field(default_factory=frozenset)
    item: Callable[[Call, Row, Shape | None], dict[str, Any]] | None = None
    narrow: Callable[[Call, Query], Query] | None = None

    def __call__(self, call: Call) -> dict[str, Any]:
        if self.never & call.request.keys():
            return {self.member: []}
        query = self._query(call)
        page = call.verbs.list(self.narrow(call, query) if self.narrow else query)
        answer: dict[str, Any] = {self.member: [self._item(call, row) for row in page.rows]}
        return answer if page.next is None else {**answer, "NextToken": page.next}

    def _query(self, call: Call) -> Query:
        asked = call.request
        order = asked.get("SortOrder")
        return Query(
            self.noun.kind,
            call.region,
            name_contains=asked.get("NameContains"),
            status=asked.get("StatusEquals"),
            created_after=_first(asked, "CreationTimeAfter", "CreatedAfter"),
            created_before=_first(asked, "CreationTimeBefore", "CreatedBefore"),
            modified_after=_first(asked, "LastModifiedTimeAfter", "ModifiedTimeAfter"),
            modified_before=_first(asked, "LastModifiedTimeBefore", "ModifiedTimeBefore"),
            sort_by=_COLUMNS[asked.get("SortBy", self.sort)],
            descending=self.descending if order is None else order == "Descending",
            limit=asked.get("MaxResults", DEFAULT_PAGE),
            after=asked.get("NextToken"),
            filter_after=self.filter_after,
        )

    def _item(self, call: Call, row: Row) -> dict[str, Any]:
        if self.item is not None:
            shape = call.operation.output.members[self.member] if call.operation.output else None
            return self.item(call, row, shape.element if shape else None)
        named = {
            self.noun.key: row.name,
            self.noun.arn_key: call.arn(row.kind, row.name),
            "CreationTime": row.created,
        }
        return {**named, **self.summary(row)}


def by_labels(**labels: str) -> Callable[[Call, Query], Query]:
    """Narrows a list by labels: the request's member → the key of the label that it gives."""

    def narrow(call: Call, query: Query) -> Query:
        asked = [(key, call.request[name]) for name, key in labels.items() if name in call.request]
        return replace(query, labels=(*query.labels, *asked))

    return narrow


def _first(asked: dict[str, Any], *names: str) -> Any:
    """The filter under whichever of its names this operation has."""
    return next((asked[name] for name in names if name in asked), None)
