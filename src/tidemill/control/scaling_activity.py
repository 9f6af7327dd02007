"""What scaling has done: a row of kind ``scaling_activity`` a resource, with its newest changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict
from tidemill.store.base import Row

KIND, KEPT = "scaling_activity", "Kept"
MOST = 100
"""So many of a resource are kept, the newest, for six weeks as AWS does."""
SECONDS = 42 * 86_400.0
_TRIES = 50


@dataclass(frozen=True, slots=True)
class Activity:
    """In AWS's words. status: ``InProgress``, ``Successful``, ``Failed``, ``Overridden`` or
    ``Unfulfilled``
    """

    id: str
    description: str
    cause: str
    start: float
    status: str = "InProgress"
    message: str = ""
    end: float | None = None


def record(verbs: Verbs, region: str, resource: str, activity: Activity) -> None:
    """Write it down; one of the same id is replaced."""
    for _ in range(_TRIES):
        row = verbs.store.get(KIND, region, resource)
        now = verbs.clock()
        if row is None:
            document = {"activities": [asdict(activity)]}
            try:
                verbs.store.insert(Row(KIND, region, resource, KEPT, now, now, document))
                return
            except Conflict:
                continue
        left = [
            one
            for one in row.document["activities"]
            if one["id"] != activity.id and one["start"] > now - SECONDS
        ]
        document = {"activities": [*left, asdict(activity)][-MOST:]}
        try:
            verbs.store.update(replace(row, document=document, modified=now))
            return
        except Conflict:
            continue
    raise Conflict(f"{resource!r} to hold still", got=f"{_TRIES} changes", do="Try again.")


def of(verbs: Verbs, region: str, resource: str | None = None) -> list[tuple[str, Activity]]:
    """(resource, activity) of one resource or all of a region, the newest first."""
    rows: Sequence[Row | None] = (
        verbs.store.unfinished(KIND, [KEPT])
        if resource is None
        else [verbs.store.get(KIND, region, resource)]
    )
    found = [
        (row.name, Activity(**one))
        for row in rows
        if row is not None and row.region == region
        for one in row.document["activities"]
    ]
    return sorted(found, key=lambda pair: (pair[1].start, pair[1].id), reverse=True)
