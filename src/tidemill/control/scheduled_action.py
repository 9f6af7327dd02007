"""Bounds that change at set times: rows of kind ``scheduled_action``, with the time of the next."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from tidemill.control import of_resource
from tidemill.control.verbs import Verbs
from tidemill.errors import Invalid, NotFound
from tidemill.store.base import Document, Row
from tidemill.traffic.schedule import parse

KIND, ACTIVE = "scheduled_action", of_resource.ACTIVE


def arn(verbs: Verbs, row: Row) -> str:
    """Application Auto Scaling's ARN of a scheduled action."""
    request, id = row.document["request"], row.document["state"]["id"]
    return (
        f"arn:aws:autoscaling:{row.region}:{verbs.account}:scheduledAction:{id}:resource/sagemaker/"
        f"{request['ResourceId']}:scheduledActionName/{request['ScheduledActionName']}"
    )


def find(verbs: Verbs, region: str, resource: str, name: str) -> Row | None:
    """The action of that name of that resource."""
    return of_resource.find(verbs, KIND, region, resource, name)


def of(verbs: Verbs, region: str, resource: str | None = None) -> list[Row]:
    """The actions of a resource, or all of a region, in order of name."""
    return of_resource.rows(verbs, KIND, region, resource)


def put(verbs: Verbs, region: str, request: Mapping[str, Any]) -> Row:
    """Make one, or put this in place of the one of that name; raises Invalid for its schedule."""
    name, now = f"{request['ResourceId']}/{request['ScheduledActionName']}", verbs.clock()
    due = next_time(request, now, now)
    if due is None:
        raise Invalid(
            "a schedule that has times to come", got=request["Schedule"], do="Choose a later one."
        )

    def made() -> Row:
        state = {"id": str(uuid.uuid4()), "since": now, "next": due}
        document: Document = {"request": dict(request), "state": state}
        return Row(KIND, region, name, ACTIVE, now, now, document)

    change = partial(_changed, request=request, now=now, due=due)
    return verbs.put(KIND, region, name, make=made, change=change, arn=partial(arn, verbs))


def delete(verbs: Verbs, row: Row) -> None:
    """Remove it; it may be gone."""
    with suppress(NotFound):
        verbs.delete(KIND, row.region, row.name, arn=partial(arn, verbs))


def next_time(request: Mapping[str, Any], since: float, now: float) -> float | None:
    """When it is due next, after now; None when it is over. since: when it was put"""
    start, end = request.get("StartTime"), request.get("EndTime")
    schedule = parse(
        request["Schedule"], request.get("Timezone", "UTC"), since if start is None else start
    )
    due = schedule.after(now if start is None else max(now, start))
    return None if due is None or (end is not None and due > end) else due


def _changed(row: Row, request: Mapping[str, Any], now: float, due: float) -> Row:
    state = {**row.document["state"], "since": now, "next": due}
    return replace(row, document={"request": dict(request), "state": state})
