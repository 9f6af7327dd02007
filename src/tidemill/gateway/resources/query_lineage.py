"""QueryLineage: what something came from, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tidemill.control import lineage
from tidemill.control.plan.lineage import Direction, Edge, Reached, reach
from tidemill.errors import Invalid, NotFound
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import sorted_page
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.store.base import Row

MOST_VISITED = 5_000
"""Entities that one query looks at."""
DEEPEST, LARGEST_PAGE = 10, 50
_DIRECTIONS: Mapping[str, tuple[Direction, ...]] = {
    "Both": ("Ascendants", "Descendants"),
    "Ascendants": ("Ascendants",),
    "Descendants": ("Descendants",),
}


def query(call: Call) -> dict[str, Any]:
    asked = call.request
    limit = _at_least(1, "MaxResults", asked.get("MaxResults", LARGEST_PAGE))
    found, rows = _walk(call) if asked.get("StartArns") else _everything(call)
    wanted = [arn for arn, row in rows.items() if _matches(row, asked.get("Filters", {}))]
    if asked.get("IncludeEdges", False):
        found = found.leading_to(wanted)
    else:
        start = set(asked.get("StartArns", ()))
        found = Reached([arn for arn in wanted if arn not in start])
    places = {arn: place for place, arn in enumerate(found.vertices)}
    shown, more = sorted_page.page(
        list(places),
        lambda arn: sorted_page.key(places[arn], 0),
        descending=False,
        limit=limit,
        token=asked.get("NextToken"),
        scope=[call.region, "QueryLineage", *asked.get("StartArns", ())],
    )
    # An edge comes with the later of its ends, so that the pages together hold each edge once.
    here = set(shown)
    edges = [e for e in found.edges if max(e.source, e.destination, key=places.__getitem__) in here]
    vertices = [_vertex(arn, rows[arn]) for arn in shown if arn in rows]
    return {"Vertices": vertices, "Edges": [_edge(edge) for edge in edges], **more}


def _walk(call: Call) -> tuple[Reached, dict[str, Row]]:
    """What is reached from the start, and the entities among it."""
    (start,) = call.request["StartArns"]
    try:
        lineage.entity(call.verbs, start)
    except NotFound:
        raise Fault("ResourceNotFound", f"Lineage entity '{start}' does not exist.") from None
    except Invalid as error:
        raise invalid(str(error)) from None
    depth = _at_least(0, "MaxDepth", call.request.get("MaxDepth", DEEPEST))
    directions = _DIRECTIONS[call.request.get("Direction", "Both")]
    found = reach(start, directions, _neighbours(call), depth=depth, most=MOST_VISITED)
    rows = {}
    for arn in found.vertices:
        try:
            rows[arn] = call.verbs.find(arn)
        except NotFound:  # gone while we walked
            continue
    return found, {arn: row for arn, row in rows.items() if row.kind in lineage.LINEAGE_TYPES}


def _everything(call: Call) -> tuple[Reached, dict[str, Row]]:
    """Without a start all entities are looked at, and no edge."""
    rows: dict[str, Row] = {}
    for row in lineage.every(call.verbs, call.region):
        if len(rows) == MOST_VISITED:
            break
        rows[call.arn(row.kind, row.name)] = row
    return Reached(list(rows)), rows


def _neighbours(call: Call) -> Callable[[str, Direction], Iterator[Edge]]:
    def edges(arn: str, direction: Direction) -> Iterator[Edge]:
        key = "destination" if direction == "Ascendants" else "source"
        for row in lineage.edges(call.verbs, call.region, key, arn):
            told = row.document["request"]
            yield Edge(told["SourceArn"], told["DestinationArn"], told["AssociationType"])

    return edges


def _matches(row: Row, filters: Mapping[str, Any]) -> bool:
    """Whether an entity passes all filters; of several properties one is enough."""
    properties = row.document["request"].get("Properties", {})
    wanted = filters.get("Properties", {})
    passed = (
        not filters.get("LineageTypes")
        or lineage.LINEAGE_TYPES[row.kind] in filters["LineageTypes"],
        not filters.get("Types") or lineage.type_of(row) in filters["Types"],
        filters.get("CreatedBefore", row.created + 1) > row.created,
        filters.get("CreatedAfter", row.created - 1) < row.created,
        filters.get("ModifiedBefore", row.modified + 1) > row.modified,
        filters.get("ModifiedAfter", row.modified - 1) < row.modified,
        not wanted or any(properties.get(key) == value for key, value in wanted.items()),
    )
    return all(passed)


def _vertex(arn: str, row: Row) -> dict[str, str]:
    kind = lineage.type_of(row)
    named = {"Type": kind[:40]} if kind else {}
    return {"Arn": arn, **named, "LineageType": lineage.LINEAGE_TYPES[row.kind]}


def _edge(edge: Edge) -> dict[str, str]:
    ends = {"SourceArn": edge.source, "DestinationArn": edge.destination}
    return {**ends, "AssociationType": edge.how} if edge.how else ends


def _at_least(low: int, name: str, value: int) -> int:
    if value < low:
        raise invalid(f"{name} must be at least {low}; got {value}.")
    return value


OPERATIONS: dict[str, Handler] = {"QueryLineage": query}
