"""Scaling policies: put, described, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.control import alarm, scalable_target, scaling_policy
from tidemill.control.scaling_policy import PREDEFINED, STEPPED, STEPPING, TRACKED, TRACKING
from tidemill.gateway.autoscaling import asked, steps
from tidemill.gateway.autoscaling.asked import NAMESPACE
from tidemill.gateway.call import Call
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.store.base import Row

MOST_POLICIES = 50
"""Of one target."""
_CONFIGURED = {TRACKING: TRACKED, STEPPING: STEPPED}
_NAMED = ("PolicyName", "ResourceId", "ScalableDimension")


def put(call: Call) -> dict[str, Any]:
    """Make one, or change the one of that name."""
    resource = asked.resource(call)
    old = scaling_policy.find(call.verbs, call.region, resource, call.request["PolicyName"])
    request = _checked(call, old)
    if call.verbs.store.get(scalable_target.KIND, call.region, resource) is None:
        raise Fault(
            "ObjectNotFoundException",
            f"No scalable target registered for service namespace: {NAMESPACE}, resource ID: "
            f"{resource}, scalable dimension: {call.request['ScalableDimension']}",
        )
    if old is None and _is_full(call, resource):
        raise Fault(
            "LimitExceededException",
            f"A scalable target may have at most {MOST_POLICIES} scaling policies.",
        )
    row = scaling_policy.put(call.verbs, call.region, request)
    return {"PolicyARN": scaling_policy.arn(call.verbs, row), "Alarms": _alarms(call, row)}


def delete(call: Call) -> None:
    """The alarms made for it go with it; those of its user's stay."""
    resource = asked.resource(call)
    row = scaling_policy.find(call.verbs, call.region, resource, call.request["PolicyName"])
    if row is None:
        raise asked.missing(call, "No scaling policy found")
    scaling_policy.delete(call.verbs, row)


def describe(call: Call) -> dict[str, Any]:
    """In order of resource id and name."""
    id, names = call.request.get("ResourceId"), call.request.get("PolicyNames", [])
    asked.only_resource(call, [id] if id else [])
    rows = [
        row
        for row in scaling_policy.of(call.verbs, call.region, id)
        if not names or row.document["request"]["PolicyName"] in names
    ]
    shown, more = asked.page(call, rows, lambda row: row.name)
    return {"ScalingPolicies": [_told(call, row) for row in shown], **more}


def _is_full(call: Call, resource: str) -> bool:
    return len(scaling_policy.of(call.verbs, call.region, resource)) >= MOST_POLICIES


def _checked(call: Call, old: Row | None) -> dict[str, Any]:
    """What is kept of the request."""
    told = call.request
    kind = told.get("PolicyType") or (old and old.document["request"]["PolicyType"])
    if kind is None:
        raise invalid("PolicyType must be specified when a scaling policy is made.")
    if kind not in _CONFIGURED:
        raise invalid(f"PolicyType must be {TRACKING} or {STEPPING} for {NAMESPACE}; got {kind}.")
    needed = _CONFIGURED[kind]
    given = [name for name in told if name.endswith("PolicyConfiguration")]
    if given != [needed]:
        raise invalid(f"A policy of type {kind} needs {needed} and no other configuration.")
    check = _check_tracking if kind == TRACKING else steps.check
    check(told[needed])
    return {**{n: told[n] for n in _NAMED}, "PolicyType": kind, needed: told[needed]}


def _check_tracking(told: Mapping[str, Any]) -> None:
    if told["TargetValue"] <= 0:
        raise invalid(f"TargetValue must be greater than 0; got {told['TargetValue']}.")
    for name in ("ScaleOutCooldown", "ScaleInCooldown"):
        if told.get(name, 0) < 0:
            raise invalid(f"{name} must be at least 0; got {told[name]}.")
    predefined, own = (
        told.get("PredefinedMetricSpecification"),
        told.get("CustomizedMetricSpecification"),
    )
    if (predefined is None) == (own is None):
        raise invalid(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must "
            "be specified."
        )
    if own is not None:
        _check_own(own)
    elif predefined is not None and predefined["PredefinedMetricType"] not in PREDEFINED:
        raise invalid(
            f"PredefinedMetricType {predefined['PredefinedMetricType']!r:.100} is not for variants "
            f"of endpoints; it must be one of {', '.join(PREDEFINED)}."
        )


def _check_own(own: Mapping[str, Any]) -> None:
    if "Metrics" in own:
        raise invalid(
            "Metrics of CustomizedMetricSpecification is not supported by Tidemill: give one "
            "metric by Namespace, MetricName, Dimensions and Statistic."
        )
    for name in ("Namespace", "MetricName", "Statistic"):
        if name not in own:
            raise invalid(f"{name} of CustomizedMetricSpecification must be specified.")


def _alarms(call: Call, row: Row) -> list[dict[str, str]]:
    """All that trigger the policy, its own and its user's."""
    of = scaling_policy.arn(call.verbs, row)
    return sorted(
        (
            {"AlarmName": one.name, "AlarmARN": alarm.arn(call.verbs, one.region, one.name)}
            for one in call.verbs.store.unfinished(alarm.KIND, alarm.STATES)
            if one.region == row.region and of in one.document["request"].get("AlarmActions", ())
        ),
        key=lambda told: told["AlarmName"],
    )


def _told(call: Call, row: Row) -> dict[str, Any]:
    return {
        **row.document["request"],
        "ServiceNamespace": NAMESPACE,
        "PolicyARN": scaling_policy.arn(call.verbs, row),
        "Alarms": _alarms(call, row),
        "CreationTime": row.created,
    }
