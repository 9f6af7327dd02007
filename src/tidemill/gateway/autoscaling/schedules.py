"""Scheduled actions: put, described, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.control import scalable_target, scheduled_action
from tidemill.errors import Invalid
from tidemill.gateway.autoscaling import asked
from tidemill.gateway.autoscaling.asked import NAMESPACE
from tidemill.gateway.call import Call
from tidemill.gateway.resources.quota import MOST_INSTANCES
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.store.base import Row

MOST_ACTIONS = 200
"""Of one target."""
_NAMED = ("ScheduledActionName", "ResourceId", "ScalableDimension")
_STAYING = ("Schedule", "Timezone", "ScalableTargetAction")
_REPLACED = ("StartTime", "EndTime")


def put(call: Call) -> None:
    """Make one, or change what is named of the one of that name; its start and end are replaced."""
    resource, told = asked.resource(call), call.request
    if call.verbs.store.get(scalable_target.KIND, call.region, resource) is None:
        raise Fault(
            "ObjectNotFoundException",
            f"No scalable target registered for service namespace: {NAMESPACE}, resource ID: "
            f"{resource}, scalable dimension: {told['ScalableDimension']}",
        )
    old = scheduled_action.find(call.verbs, call.region, resource, told["ScheduledActionName"])
    before = old.document["request"] if old else {}
    kept = {name: before[name] for name in _STAYING if name in before}
    names = (*_NAMED, *_STAYING, *_REPLACED)
    request = {**kept, **{name: told[name] for name in names if name in told}}
    found = scalable_target.count(call.verbs, call.region, resource)
    _check(request, 1 if found is None else scalable_target.fewest(found[0]))
    if old is None and _is_full(call, resource):
        raise Fault(
            "LimitExceededException",
            f"A scalable target may have at most {MOST_ACTIONS} scheduled actions.",
        )
    try:
        scheduled_action.put(call.verbs, call.region, request)
    except Invalid as error:
        raise invalid(str(error)) from None


def delete(call: Call) -> None:
    """The bounds that it has set stay."""
    resource, name = asked.resource(call), call.request["ScheduledActionName"]
    row = scheduled_action.find(call.verbs, call.region, resource, name)
    if row is None:
        raise asked.missing(call, "No scheduled action found")
    scheduled_action.delete(call.verbs, row)


def describe(call: Call) -> dict[str, Any]:
    """In order of resource id and name."""
    id, names = call.request.get("ResourceId"), call.request.get("ScheduledActionNames", [])
    asked.only_resource(call, [id] if id else [])
    rows = [
        row
        for row in scheduled_action.of(call.verbs, call.region, id)
        if not names or row.document["request"]["ScheduledActionName"] in names
    ]
    shown, more = asked.page(call, rows, lambda row: row.name)
    return {"ScheduledActions": [_told(call, row) for row in shown], **more}


def _is_full(call: Call, resource: str) -> bool:
    return len(scheduled_action.of(call.verbs, call.region, resource)) >= MOST_ACTIONS


def _check(request: Mapping[str, Any], fewest: int) -> None:
    if "Schedule" not in request:
        raise invalid("Schedule must be specified when a scheduled action is made.")
    bounds = request.get("ScalableTargetAction", {})
    low, high = bounds.get("MinCapacity"), bounds.get("MaxCapacity")
    if low is None and high is None:
        raise invalid("ScalableTargetAction must specify MinCapacity, MaxCapacity or both.")
    for bound in (low, high):
        if bound is not None and not fewest <= bound <= MOST_INSTANCES:
            raise invalid(f"A capacity must be from {fewest} to {MOST_INSTANCES}; got {bound}.")
    if low is not None and high is not None and high < low:
        raise invalid("Maximum capacity cannot be less than minimum capacity.")
    start, end = request.get("StartTime"), request.get("EndTime")
    if start is not None and end is not None and end <= start:
        raise invalid("EndTime must be after StartTime.")


def _told(call: Call, row: Row) -> dict[str, Any]:
    return {
        **row.document["request"],
        "ServiceNamespace": NAMESPACE,
        "ScheduledActionARN": scheduled_action.arn(call.verbs, row),
        "CreationTime": row.created,
    }
