"""Search: what there is of one kind, by any of its properties, in any order, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import sorted_page
from tidemill.gateway.search import expression
from tidemill.gateway.search.properties import has, values
from tidemill.gateway.search.resources import RESOURCES, Searched
from tidemill.gateway.wire.errors import invalid
from tidemill.store.base import Query, Row

LARGEST_PAGE = 100
_CHUNK, _LARGEST_CHUNK = 200, 3_200
"""Rows read at a time: few first, for a page may end with them; then more."""
_STORED: Mapping[str, Literal["created", "modified"]] = {
    "LastModifiedTime": "modified",
    "CreationTime": "created",
}
"""Orders in which the store keeps rows; in all others they are put here."""
Wanted = Callable[[Row], bool]


def search(call: Call) -> dict[str, Any]:
    asked = call.request
    kind = RESOURCES.get(asked["Resource"])
    if kind is None or asked.get("CrossAccountFilterOption") == "CrossAccount":
        return {"Results": []}
    sort = asked.get("SortBy", "LastModifiedTime")
    terms = asked.get("SearchExpression", {})
    shape = kind.shape(call)
    expression.check(terms, shape)
    if sort not in _STORED and not has(shape, sort):
        raise invalid(f"Unknown property name: {sort}")
    seen = _costly([*expression.names(terms), *_visible(call)])

    def wanted(row: Row) -> bool:
        record = kind.record(call, row, **seen)
        return expression.matches(terms, record) and _may_see(call, record)

    query = _query(call, kind, terms)
    rows, more = _stored(call, query, wanted) if sort in _STORED else _sorted(call, query, wanted)
    return {"Results": [kind.answer(call, row) for row in rows], **more}


def _costly(names: list[str]) -> dict[str, bool]:
    """What must be looked up for properties of these names."""
    folded = [name.casefold() for name in names]
    return {
        "tags": any(name.startswith("tags.") for name in folded),
        "metrics": any(name.startswith("metrics.") for name in folded),
    }


def _query(call: Call, kind: Searched, terms: Mapping[str, Any]) -> Query:
    """The rows among which the results are: what the store can find itself it is asked for."""
    asked = call.request
    query = Query(
        kind.kind,
        call.region,
        sort_by=_STORED.get(asked.get("SortBy", "LastModifiedTime"), "created"),
        descending=asked.get("SortOrder", "Descending") == "Descending",
        limit=_CHUNK,
    )
    for name, value in expression.equals(terms):
        if name == kind.names:
            query = replace(query, names=(value,))
        elif name in kind.labels:
            query = replace(query, labels=(*query.labels, (kind.labels[name], value)))
    return query


def _stored(call: Call, query: Query, wanted: Wanted) -> tuple[list[Row], dict[str, str]]:
    """In an order that the store keeps: read no further than to the first one of the next page."""
    limit: int = call.request.get("MaxResults", LARGEST_PAGE)
    found: list[Row] = []
    query = replace(query, after=call.request.get("NextToken"))
    end = query
    while True:
        page = call.verbs.list(query)
        for place, row in enumerate(page.rows, 1):
            if not wanted(row):
                continue
            if len(found) == limit:
                token = call.verbs.list(end).next
                return found, {"NextToken": token} if token else {}
            found.append(row)
            end = replace(query, limit=place)  # a page of the store that ends with this row
        if page.next is None:
            return found, {}
        query = _further(query, page.next)


def _sorted(call: Call, query: Query, wanted: Wanted) -> tuple[list[Row], dict[str, str]]:
    """In an order of the client's: all are read, and what has not the property comes last."""
    asked = call.request
    kind, sort = RESOURCES[asked["Resource"]], asked["SortBy"]
    seen = _costly([sort])

    def place(row: Row) -> sorted_page.Key:
        found = next(values(kind.record(call, row, **seen), sort), None)
        if found is None:
            return sorted_page.last(row.serial, descending=query.descending)
        return sorted_page.key(found, row.serial)

    keys = {row.serial: (place(row), row) for row in _every(call, query) if wanted(row)}
    shown, more = sorted_page.page(
        list(keys),
        lambda serial: keys[serial][0],
        descending=query.descending,
        limit=asked.get("MaxResults", LARGEST_PAGE),
        token=asked.get("NextToken"),
        scope=[call.region, "Search", asked["Resource"], sort, str(query.descending)],
    )
    return [keys[serial][1] for serial in shown], more


def _every(call: Call, query: Query) -> Iterator[Row]:
    while True:
        page = call.verbs.list(query)
        yield from page.rows
        if page.next is None:
            return
        query = _further(query, page.next)


def _further(query: Query, after: str) -> Query:
    return replace(query, after=after, limit=min(4 * query.limit, _LARGEST_CHUNK))


def _visible(call: Call) -> list[str]:
    return [one["Key"] for one in call.request.get("VisibilityConditions", ()) if "Key" in one]


def _may_see(call: Call, record: Mapping[str, Any]) -> bool:
    """Whether no condition on a tag that the record has says otherwise."""
    for one in call.request.get("VisibilityConditions", ()):
        found = list(values(record, one.get("Key", "")))
        if found and one.get("Value") not in found:
            return False
    return True


OPERATIONS: dict[str, Handler] = {"Search": search}
