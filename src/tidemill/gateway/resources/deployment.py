"""DeploymentConfig on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.control import alarm
from tidemill.gateway.call import Call
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.spec.deployment import ALL_AT_ONCE, CANARY, LINEAR, ROLLING, Capacity, Deployment

_SIZES = {CANARY: "CanarySize", LINEAR: "LinearStepSize"}


def to_spec(call: Call, sent: Mapping[str, Any]) -> Deployment:
    """A deployment from a DeploymentConfig; its alarms must be there."""
    alarms = tuple(
        one["AlarmName"]
        for one in sent.get("AutoRollbackConfiguration", {}).get("Alarms", ())
        if "AlarmName" in one
    )
    unknown = [name for name in alarms if alarm.state(call.verbs, call.region, name) is None]
    if unknown:
        raise invalid(
            f"Could not find the CloudWatch alarm(s) {', '.join(unknown)} of "
            "AutoRollbackConfiguration. Create them with PutMetricAlarm."
        )
    blue_green, rolling = sent.get("BlueGreenUpdatePolicy"), sent.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise invalid(
            "DeploymentConfig must have either BlueGreenUpdatePolicy or RollingUpdatePolicy, "
            "not both."
        )
    if rolling:
        return _rolling(rolling, alarms)
    return _blue_green(blue_green, alarms) if blue_green else Deployment(alarms=alarms)


def _blue_green(sent: Mapping[str, Any], alarms: tuple[str, ...]) -> Deployment:
    routing = sent["TrafficRoutingConfiguration"]
    kind = routing["Type"]
    for other, size in _SIZES.items():
        if (size in routing) != (other == kind):
            raise _misplaced(size, other, kind)
    return Deployment(
        kind=kind,
        step=_capacity(routing[_SIZES[kind]]) if kind != ALL_AT_ONCE else None,
        wait=routing["WaitIntervalInSeconds"],
        termination=sent.get("TerminationWaitInSeconds", 0),
        timeout=sent.get("MaximumExecutionTimeoutInSeconds"),
        alarms=alarms,
    )


def _rolling(sent: Mapping[str, Any], alarms: tuple[str, ...]) -> Deployment:
    back = sent.get("RollbackMaximumBatchSize")
    return Deployment(
        kind=ROLLING,
        step=_capacity(sent["MaximumBatchSize"]),
        back=_capacity(back) if back else None,
        wait=sent["WaitIntervalInSeconds"],
        timeout=sent.get("MaximumExecutionTimeoutInSeconds"),
        alarms=alarms,
    )


def _capacity(sent: Mapping[str, Any]) -> Capacity:
    return Capacity(sent["Type"], sent["Value"])


def _misplaced(size: str, wanted_by: str, kind: str) -> Fault:
    if kind == wanted_by:
        return invalid(f"TrafficRoutingConfiguration of type {kind} must have {size}.")
    return invalid(
        f"{size} is for traffic routing of type {wanted_by}; the type is {kind}. Leave it out."
    )
