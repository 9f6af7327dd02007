"""Association on the wire: edges between lineage entities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tidemill.control import lineage
from tidemill.errors import Conflict, Invalid, NotFound
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import sorted_page
from tidemill.gateway.resources.listing import DEFAULT_PAGE, Listing, by_labels
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.resources.record import NOBODY
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.gateway.wire.model import Shape
from tidemill.store.base import Query, Row

MOST_SORTED = 10_000
"""Associations that are put in another order than that of their making."""
NOUN = Noun(lineage.ASSOCIATION, "Association", unknown="", taken="")
_NARROW = by_labels(
    SourceArn="source",
    DestinationArn="destination",
    SourceType="source_type",
    DestinationType="destination_type",
    AssociationType="type",
)


def add(call: Call) -> dict[str, Any]:
    source, destination = _ends(call)
    how = call.request.get("AssociationType", "")
    try:
        lineage.associate(call.verbs, source, destination, how)
    except NotFound as error:
        raise Fault("ResourceNotFound", f"Lineage entity '{error.got}' does not exist.") from None
    except Invalid as error:
        raise invalid(str(error)) from None
    except Conflict:
        raise invalid(
            f"An association from '{source}' to '{destination}' already exists."
        ) from None
    return {"SourceArn": source, "DestinationArn": destination}


def delete(call: Call) -> dict[str, Any]:
    source, destination = _ends(call)
    try:
        lineage.disassociate(call.verbs, call.region, source, destination)
    except NotFound:
        raise Fault(
            "ResourceNotFound",
            f"An association from '{source}' to '{destination}' does not exist.",
        ) from None
    return {"SourceArn": source, "DestinationArn": destination}


def list_(call: Call) -> dict[str, Any]:
    """By the time of their making as the store has them; in another order, sorted here."""
    asked = call.request
    by = asked.get("SortBy", "CreationTime")
    if by == "CreationTime":
        return _LISTING(call)
    query = replace(
        Query(
            lineage.ASSOCIATION,
            call.region,
            created_after=asked.get("CreatedAfter"),
            created_before=asked.get("CreatedBefore"),
        ),
        limit=MOST_SORTED,
    )
    rows = call.verbs.list(_NARROW(call, query)).rows
    shown, more = sorted_page.page(
        rows,
        _by(by),
        descending=asked.get("SortOrder", "Descending") == "Descending",
        limit=asked.get("MaxResults", DEFAULT_PAGE),
        token=asked.get("NextToken"),
        scope=[call.region, "ListAssociations", by, asked.get("SortOrder", "")],
    )
    return {"AssociationSummaries": [_told(call, row, None) for row in shown], **more}


def _by(name: str) -> Callable[[Row], sorted_page.Key]:
    return lambda row: sorted_page.key(_summary(row).get(name), row.serial)


def _ends(call: Call) -> tuple[str, str]:
    return call.request["SourceArn"], call.request["DestinationArn"]


def _summary(row: Row) -> dict[str, Any]:
    state = row.document["state"]
    (source, destination), names = state["types"], state["names"]
    known = {
        **row.document["request"],
        "SourceType": source,
        "DestinationType": destination,
        "SourceName": names[0],
        "DestinationName": names[1],
    }
    return {name: value for name, value in known.items() if value}


def _told(call: Call, row: Row, shape: Shape | None) -> dict[str, Any]:
    return {**_summary(row), "CreationTime": row.created, "CreatedBy": NOBODY}


_LISTING = Listing(NOUN, "AssociationSummaries", _summary, item=_told, narrow=_NARROW)
OPERATIONS: dict[str, Handler] = {
    "AddAssociation": add,
    "DeleteAssociation": delete,
    "ListAssociations": list_,
}
