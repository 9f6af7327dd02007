"""What belongs to a scalable resource (policies, schedules): rows named ``RESOURCE/NAME``."""

from __future__ import annotations

from tidemill.control.verbs import Verbs
from tidemill.store.base import Row

ACTIVE = "Active"


def find(verbs: Verbs, kind: str, region: str, resource: str, name: str) -> Row | None:
    """The one of that name of that resource."""
    return verbs.store.get(kind, region, f"{resource}/{name}")


def rows(verbs: Verbs, kind: str, region: str, resource: str | None = None) -> list[Row]:
    """Those of a resource, or all of a region, in order of name."""
    found = (row for row in verbs.store.unfinished(kind, [ACTIVE]) if row.region == region)
    return sorted(
        (r for r in found if resource in (None, r.document["request"]["ResourceId"])),
        key=lambda row: row.name,
    )
