"""Scalable targets: registered, described, deregistered; and what scaling them has done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.control import scalable_target, scaling_activity
from tidemill.control.scalable_target import DIMENSION, KIND
from tidemill.control.scaling_activity import Activity
from tidemill.errors import NotFound
from tidemill.gateway.autoscaling import asked
from tidemill.gateway.autoscaling.asked import NAMESPACE
from tidemill.gateway.call import Call
from tidemill.gateway.resources.quota import MOST_INSTANCES
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.store.base import Row

MOST_TARGETS = 500
_KEPT = ("MinCapacity", "MaxCapacity", "RoleARN", "SuspendedState", "ScalableDimension")
_SWITCHES = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
_ROLE = (
    "arn:aws:iam::{}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)


def register(call: Call) -> dict[str, Any]:
    """Make a variant scalable, or change its bounds."""
    resource = asked.resource(call)
    told = {name: call.request[name] for name in _KEPT if name in call.request}
    old = call.verbs.store.get(KIND, call.region, resource)
    found = scalable_target.count(call.verbs, call.region, resource)
    fewest = 1 if found is None else scalable_target.fewest(found[0])
    _check({**old.document["request"], **told} if old else told, fewest)
    if found is None:
        raise invalid(f"There is no variant of an endpoint with the resource ID {resource!r:.200}.")
    if old is None and len(_rows(call)) >= MOST_TARGETS:
        raise Fault(
            "LimitExceededException",
            f"There may be at most {MOST_TARGETS} scalable targets; deregister one.",
        )
    tags = call.request.get("Tags", {})
    row = scalable_target.register(call.verbs, call.region, resource, told, tags)
    return {"ScalableTargetARN": scalable_target.arn(call.verbs, row)}


def deregister(call: Call) -> None:
    """Its policies and their alarms go with it."""
    resource = asked.resource(call)
    try:
        scalable_target.deregister(call.verbs, call.region, resource)
    except NotFound:
        raise asked.missing(call, "No scalable target found") from None


def describe(call: Call) -> dict[str, Any]:
    """In order of resource id."""
    ids = call.request.get("ResourceIds", [])
    asked.only_resource(call, ids)
    rows = [row for row in _rows(call) if not ids or row.name in ids]
    shown, more = asked.page(call, rows, lambda row: row.name)
    return {"ScalableTargets": [_told(call, row) for row in shown], **more}


def describe_activities(call: Call) -> dict[str, Any]:
    """The newest first. What was not done is not recorded."""
    id = call.request.get("ResourceId")
    asked.only_resource(call, [id] if id else [])
    found = list(enumerate(scaling_activity.of(call.verbs, call.region, id)))
    shown, more = asked.page(call, found, lambda item: f"{item[0]:09}")
    return {"ScalingActivities": [_done(call, name, one) for _, (name, one) in shown], **more}


def _rows(call: Call) -> list[Row]:
    rows = call.verbs.store.unfinished(KIND, [scalable_target.ACTIVE])
    return sorted((row for row in rows if row.region == call.region), key=lambda row: row.name)


def _check(told: Mapping[str, Any], fewest: int) -> None:
    absent = [name for name in ("MinCapacity", "MaxCapacity") if name not in told]
    if absent:
        raise invalid(f"{absent[0]} must be specified when a scalable target is registered.")
    low, high = told["MinCapacity"], told["MaxCapacity"]
    if low < fewest:
        raise invalid(f"MinCapacity of a variant must be at least {fewest}; got {low}.")
    if high < low:
        raise invalid("Maximum capacity cannot be less than minimum capacity.")
    if high > MOST_INSTANCES:
        raise invalid(f"MaxCapacity must be at most {MOST_INSTANCES} instances; got {high}.")


def _told(call: Call, row: Row) -> dict[str, Any]:
    request = row.document["request"]
    suspended = request.get("SuspendedState", {})
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": row.name,
        "ScalableDimension": request.get("ScalableDimension", DIMENSION),
        "MinCapacity": request["MinCapacity"],
        "MaxCapacity": request["MaxCapacity"],
        "RoleARN": request.get("RoleARN", _ROLE.format(call.platform.account)),
        "CreationTime": row.created,
        "SuspendedState": {name: suspended.get(name, False) for name in _SWITCHES},
        "ScalableTargetARN": scalable_target.arn(call.verbs, row),
    }


def _done(call: Call, resource: str, one: Activity) -> dict[str, Any]:
    ended = {} if one.end is None else {"EndTime": one.end}
    return {
        "ActivityId": one.id,
        "ServiceNamespace": NAMESPACE,
        "ResourceId": resource,
        "ScalableDimension": scalable_target.dimension(call.verbs, call.region, resource)
        or DIMENSION,
        "Description": one.description,
        "Cause": one.cause,
        "StartTime": one.start,
        "StatusCode": one.status,
        "StatusMessage": one.message,
        **ended,
    }
