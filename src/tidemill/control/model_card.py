"""Model cards: each update is a new version, and the earlier ones stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidemill.control.verbs import Verbs
from tidemill.store.base import Document, Row

KIND, VERSION = "model_card", "model_card_version"
CARD_LABEL = "card"


def create(
    verbs: Verbs, region: str, name: str, request: Mapping[str, Any], tags: Mapping[str, str]
) -> Row:
    """Write a card down with its first version; raises Conflict when the name is taken."""
    document: Document = {"request": dict(request), "state": {"version": 1}}
    status = request["ModelCardStatus"]
    return verbs.create(KIND, region, name, document, status, tags, below=_version)


def update(verbs: Verbs, region: str, name: str, sent: Mapping[str, Any]) -> None:
    """Make the next version of what is sent and, for the rest, of the last; raises NotFound."""

    def next_of(row: Row) -> tuple[Row, Row]:
        request = {**row.document["request"], **sent}
        state = {"version": row.document["state"]["version"] + 1}
        card = replace(
            row,
            status=request["ModelCardStatus"],
            modified=max(verbs.clock(), row.modified),
            document={**row.document, "request": request, "state": state},
        )
        return _version(card), card

    verbs.create_beside(KIND, region, name, next_of)


def delete(verbs: Verbs, region: str, name: str) -> None:
    """Forget a card with all its versions; raises NotFound."""
    verbs.delete(KIND, region, name, below=VERSION)


def version(verbs: Verbs, card: Row, number: int) -> Row:
    """One version of a card; raises NotFound."""
    return verbs.describe(VERSION, card.region, f"{card.name}/{number}")


def _version(card: Row) -> Row:
    """What is kept of a card as it is now."""
    number = card.document["state"]["version"]
    return Row(
        VERSION,
        card.region,
        f"{card.name}/{number}",
        card.status,
        card.modified,
        card.modified,
        {**card.document, "labels": {CARD_LABEL: [card.name]}},
    )
