"""Scaling policies: rows of kind ``scaling_policy``, and the alarms of those with a target."""

from __future__ import annotations

import uuid
from collections.abc import Container, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from tidemill.control import alarm, of_resource
from tidemill.control.plan.metering import NAMESPACE
from tidemill.control.verbs import Verbs
from tidemill.errors import NotFound
from tidemill.store.base import Document, Row
from tidemill.store.metrics import Series
from tidemill.traffic.alarm import Rule
from tidemill.traffic.scaling import COOLDOWN, Step, Stepping, Tracking

KIND, ACTIVE = "scaling_policy", of_resource.ACTIVE
TRACKING, STEPPING = "TargetTrackingScaling", "StepScaling"
TRACKED, STEPPED = "TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration"
PREDEFINED: Mapping[str, tuple[str, str, int]] = {
    "SageMakerVariantInvocationsPerInstance": ("InvocationsPerInstance", "Sum", 60),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": (
        "ConcurrentRequestsPerModel",
        "Average",
        10,
    ),
    "SageMakerVariantProvisionedConcurrencyUtilization": (
        "ServerlessProvisionedConcurrencyUtilization",
        "Average",
        60,
    ),
}
"""Of SageMaker's variants: the metric, its statistic, its period in seconds."""
LOW_SECONDS = 15 * 60
"""A metric of any period must be low for so long."""


def arn(verbs: Verbs, row: Row) -> str:
    """Application Auto Scaling's ARN of a policy."""
    request, id = row.document["request"], row.document["state"]["id"]
    return (
        f"arn:aws:autoscaling:{row.region}:{verbs.account}:scalingPolicy:{id}:resource/sagemaker/"
        f"{request['ResourceId']}:policyName/{request['PolicyName']}"
    )


def find(verbs: Verbs, region: str, resource: str, name: str) -> Row | None:
    """The policy of that name of that resource."""
    return of_resource.find(verbs, KIND, region, resource, name)


def of(verbs: Verbs, region: str, resource: str | None = None) -> list[Row]:
    """The policies of a resource, or all of a region, in order of name."""
    return of_resource.rows(verbs, KIND, region, resource)


def put(verbs: Verbs, region: str, request: Mapping[str, Any]) -> Row:
    """Make a policy with its alarms, or change the one of that name."""
    row = _written(verbs, region, request)
    wanted = alarms(row) if request["PolicyType"] == TRACKING else {}
    _forget_alarms(verbs, row, but=wanted)
    for name, rule in wanted.items():
        alarm.put(verbs, region, name, _watch(verbs, row, name, rule), {})
    return row


def delete(verbs: Verbs, row: Row) -> None:
    """Remove it and the alarms that were made for it."""
    _forget_alarms(verbs, row)
    with suppress(NotFound):
        verbs.delete(KIND, row.region, row.name, arn=partial(arn, verbs))


def tracking(row: Row) -> Tracking:
    """What a policy that tracks a target was put with."""
    told = row.document["request"][TRACKED]
    _, statistic, period = _metric(row)
    return Tracking(
        target=told["TargetValue"],
        statistic=statistic,
        out_cooldown=told.get("ScaleOutCooldown", COOLDOWN),
        in_cooldown=told.get("ScaleInCooldown", COOLDOWN),
        scales_in=not told.get("DisableScaleIn", False),
        period=period,
        in_points=LOW_SECONDS // period,
    )


def stepping(row: Row) -> Stepping:
    """What a step policy was put with."""
    told = row.document["request"][STEPPED]
    steps = (
        Step(
            s["ScalingAdjustment"],
            s.get("MetricIntervalLowerBound"),
            s.get("MetricIntervalUpperBound"),
        )
        for s in told["StepAdjustments"]
    )
    return Stepping(
        told["AdjustmentType"],
        tuple(steps),
        told.get("MinAdjustmentMagnitude", 0),
        told.get("Cooldown", COOLDOWN),
        told.get("MetricAggregationType", "Average"),
    )


def series(row: Row) -> Series:
    """The metric that a policy tracks."""
    return _metric(row)[0]


def alarms(row: Row) -> dict[str, Rule]:
    """The alarms of a policy that tracks a target by name: first the high, then the low one."""
    policy = tracking(row)
    high = {_alarm_name(row, "High"): policy.high}
    return {**high, _alarm_name(row, "Low"): policy.low} if policy.scales_in else high


def _written(verbs: Verbs, region: str, request: Mapping[str, Any]) -> Row:
    name = f"{request['ResourceId']}/{request['PolicyName']}"

    def made() -> Row:
        now = verbs.clock()
        document: Document = {"request": dict(request), "state": {"id": str(uuid.uuid4())}}
        return Row(KIND, region, name, ACTIVE, now, now, document)

    change = partial(_changed, request=request)
    return verbs.put(KIND, region, name, make=made, change=change, arn=partial(arn, verbs))


def _changed(row: Row, request: Mapping[str, Any]) -> Row:
    return replace(row, document={**row.document, "request": dict(request)})


def _metric(row: Row) -> tuple[Series, str, int]:
    request = row.document["request"]
    told = request[TRACKED]
    if "PredefinedMetricSpecification" in told:
        kind = told["PredefinedMetricSpecification"]["PredefinedMetricType"]
        name, statistic, period = PREDEFINED[kind]
        _, endpoint, _, variant = request["ResourceId"].split("/")
        dimensions = {"EndpointName": endpoint, "VariantName": variant}
        return Series.of(row.region, NAMESPACE, name, dimensions), statistic, period
    own = told["CustomizedMetricSpecification"]
    dimensions = {d["Name"]: d["Value"] for d in own.get("Dimensions", ())}
    metric = Series.of(row.region, own["Namespace"], own["MetricName"], dimensions)
    return metric, own["Statistic"], 60


def _watch(verbs: Verbs, row: Row, name: str, rule: Rule) -> Document:
    """What PutMetricAlarm would be sent."""
    metric, of = series(row), arn(verbs, row)
    return {
        "AlarmName": name,
        "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {of}.",
        "ActionsEnabled": True,
        "AlarmActions": [of],
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": [{"Name": n, "Value": v} for n, v in metric.dimensions],
        "Statistic": rule.statistic,
        "Period": rule.period,
        "EvaluationPeriods": rule.periods,
        "Threshold": rule.threshold,
        "ComparisonOperator": rule.comparison,
    }


def _alarm_name(row: Row, way: str) -> str:
    request, id = row.document["request"], row.document["state"]["id"]
    return f"TargetTracking-{request['ResourceId']}-Alarm{way}-{id}"


def _forget_alarms(verbs: Verbs, row: Row, but: Container[str] = ()) -> None:
    for name in (_alarm_name(row, "High"), _alarm_name(row, "Low")):
        if name not in but and verbs.store.get(alarm.KIND, row.region, name) is not None:
            alarm.delete(verbs, row.region, [name])
