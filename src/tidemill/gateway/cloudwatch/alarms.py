"""Alarms on metrics: put, described, set, switched, deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidemill.control import alarm
from tidemill.errors import NotFound
from tidemill.gateway.call import Call
from tidemill.gateway.cloudwatch import paging
from tidemill.gateway.cloudwatch.reading import check_statistic
from tidemill.gateway.wire.errors import Fault
from tidemill.store.base import Row
from tidemill.traffic.alarm import COMPARISONS, MISSING
from tidemill.traffic.statistic import is_percentile

RECORDS, MOST_RECORDS = 50, 100
DAY, WEEK, HOUR = 86_400, 7 * 86_400, 3600
_FINE_PERIODS = (10, 20, 30)
_NEEDED = ("MetricName", "Namespace", "Period", "EvaluationPeriods", "Threshold")
_UNMET = (
    "Metrics",
    "ThresholdMetricId",
    "EvaluationWindow",
    "EvaluationCriteria",
    "EvaluationInterval",
    "WarmUpConfiguration",
)
_ACTIONS = ("OKActions", "AlarmActions", "InsufficientDataActions")


def put_metric_alarm(call: Call) -> None:
    """Make one, or change the one of that name."""
    asked = call.request
    _check(asked)
    tags = {tag["Key"]: tag["Value"] for tag in asked.get("Tags", ())}
    kept = {name: value for name, value in asked.items() if name != "Tags"}
    alarm.put(call.verbs, call.region, asked["AlarmName"], kept, tags)


def describe_alarms(call: Call) -> dict[str, Any]:
    """In order of name. There are no composite alarms and none of logs."""
    asked = call.request
    shown, more = paging.page(
        [row for row in _rows(call) if _matches(row, asked)],
        lambda row: row.name,
        asked.get("NextToken"),
        min(asked.get("MaxRecords", RECORDS), MOST_RECORDS),
    )
    is_wanted = "MetricAlarm" in asked.get("AlarmTypes", ["MetricAlarm"])
    told = [_told(call, row) for row in shown] if is_wanted else []
    return {"MetricAlarms": told, "CompositeAlarms": [], **(more if is_wanted else {})}


def describe_alarms_for_metric(call: Call) -> dict[str, Any]:
    """Those on this very metric; statistic, period and unit narrow it down when given."""
    asked = call.request
    wanted = {(d["Name"], d["Value"]) for d in asked.get("Dimensions", ())}
    narrow = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Unit")
    found = [
        _told(call, row)
        for row in _rows(call)
        if set(alarm.series(row).dimensions) == wanted
        and all(_request(row).get(name) == asked[name] for name in narrow if name in asked)
    ]
    return {"MetricAlarms": found}


def delete_alarms(call: Call) -> None:
    """All of them, or none when one is not there."""
    try:
        alarm.delete(call.verbs, call.region, call.request["AlarmNames"])
    except NotFound as error:
        raise Fault("ResourceNotFound", f"Alarms not found: {error.got}.", status=404) from None


def set_alarm_state(call: Call) -> None:
    """For trying out what follows: the next evaluation says again what is."""
    asked = call.request
    data = asked.get("StateReasonData")
    if data is not None and not _is_json(data):
        raise Fault("InvalidFormat", "StateReasonData must be a JSON object.")
    try:
        alarm.set_state(
            call.verbs,
            call.region,
            asked["AlarmName"],
            asked["StateValue"],
            asked["StateReason"],
            data,
        )
    except NotFound:
        raise Fault(
            "ResourceNotFound", f"Unknown alarm: {asked['AlarmName']}.", status=404
        ) from None


def enable_alarm_actions(call: Call) -> None:
    """Names that are not there are passed over, as AWS does."""
    _switch(call, True)


def disable_alarm_actions(call: Call) -> None:
    """Names that are not there are passed over, as AWS does."""
    _switch(call, False)


def describe_alarm_history(call: Call) -> dict[str, Any]:
    """The newest changes of state, of one alarm or all."""
    asked = call.request
    items = [
        (change["at"], row.name, change)
        for row in _rows(call)
        if asked.get("AlarmName", row.name) == row.name
        for change in row.document["state"]["history"]
        if asked.get("StartDate", 0.0) <= change["at"] <= asked.get("EndDate", change["at"])
    ]
    if asked.get("HistoryItemType", "StateUpdate") != "StateUpdate":
        items = []
    is_descending = asked.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    items.sort(key=lambda item: item[:2], reverse=is_descending)
    numbered = list(enumerate(items))
    limit = min(asked.get("MaxRecords", MOST_RECORDS), MOST_RECORDS)
    shown, more = paging.page(numbered, lambda i: f"{i[0]:09}", asked.get("NextToken"), limit)
    return {"AlarmHistoryItems": [_change(name, c) for _, (_, name, c) in shown], **more}


def _switch(call: Call, enabled: bool) -> None:
    def switched(row: Row) -> Row:
        request = {**_request(row), "ActionsEnabled": enabled}
        return replace(row, document={**row.document, "request": request})

    for name in call.request["AlarmNames"]:
        try:
            call.verbs.change(alarm.KIND, call.region, name, switched)
        except NotFound:
            continue


def _rows(call: Call) -> list[Row]:
    rows = call.verbs.store.unfinished(alarm.KIND, alarm.STATES)
    return sorted((row for row in rows if row.region == call.region), key=lambda row: row.name)


def _matches(row: Row, asked: Mapping[str, Any]) -> bool:
    request = _request(row)
    actions = [action for kind in _ACTIONS for action in request.get(kind, ())]
    return (
        row.name in asked.get("AlarmNames", [row.name])
        and row.name.startswith(asked.get("AlarmNamePrefix", ""))
        and row.status == asked.get("StateValue", row.status)
        and (
            "ActionPrefix" not in asked or any(a.startswith(asked["ActionPrefix"]) for a in actions)
        )
    )


def _told(call: Call, row: Row) -> dict[str, Any]:
    request, state = _request(row), row.document["state"]
    data = {"StateReasonData": state["data"]} if state.get("data") else {}
    return {
        "ActionsEnabled": True,
        "Dimensions": [],
        **{kind: [] for kind in _ACTIONS},
        **request,
        **data,
        "AlarmName": row.name,
        "AlarmArn": alarm.arn(call.verbs, row.region, row.name),
        "AlarmConfigurationUpdatedTimestamp": state["configured"],
        "StateValue": row.status,
        "StateReason": state["reason"],
        "StateUpdatedTimestamp": state["since"],
        "StateTransitionedTimestamp": state["since"],
    }


def _change(name: str, change: Mapping[str, Any]) -> dict[str, Any]:
    data = {
        "version": "1.0",
        "oldState": {"stateValue": change["from"]},
        "newState": {"stateValue": change["to"], "stateReason": change["reason"]},
    }
    return {
        "AlarmName": name,
        "AlarmType": "MetricAlarm",
        "Timestamp": change["at"],
        "HistoryItemType": "StateUpdate",
        "HistorySummary": f"Alarm updated from {change['from']} to {change['to']}",
        "HistoryData": json.dumps(data),
    }


def _request(row: Row) -> dict[str, Any]:
    request: dict[str, Any] = row.document["request"]
    return request


def _check(asked: Mapping[str, Any]) -> None:
    unmet = [name for name in _UNMET if name in asked]
    if unmet:
        raise Fault(
            "UnsupportedOperation",
            f"{unmet[0]} of PutMetricAlarm is not supported by Tidemill: an alarm watches one "
            "metric against a threshold. Give MetricName, Namespace and Threshold.",
            status=501,
        )
    missing = [name for name in _NEEDED if name not in asked]
    if missing:
        raise _invalid(f"The parameter {missing[0]} must be specified.")
    _check_statistic(asked)
    _check_times(asked)
    if asked.get("ComparisonOperator") not in COMPARISONS:
        raise _invalid(f"ComparisonOperator must be one of {', '.join(COMPARISONS)}.")
    if asked.get("TreatMissingData", "missing") not in MISSING:
        raise _invalid(
            f"The value {asked['TreatMissingData']!r:.50} for TreatMissingData must be one of "
            f"{', '.join(MISSING)}."
        )


def _check_statistic(asked: Mapping[str, Any]) -> None:
    if ("Statistic" in asked) == ("ExtendedStatistic" in asked):
        raise _invalid("Exactly one of Statistic and ExtendedStatistic must be specified.")
    if "ExtendedStatistic" in asked:
        check_statistic(asked["ExtendedStatistic"], is_percentile, "ExtendedStatistic")


def _check_times(asked: Mapping[str, Any]) -> None:
    period, periods = asked["Period"], asked["EvaluationPeriods"]
    if period not in _FINE_PERIODS and period % 60:
        raise _invalid(f"Period must be 10, 20, 30 or a multiple of 60; got {period}.")
    longest = WEEK if period >= HOUR else DAY
    if period * periods > longest:
        raise _invalid(
            f"Metrics cannot be checked across more than {longest // DAY} day(s) "
            f"(EvaluationPeriods * Period must be <= {longest}); got {period * periods}."
        )
    if asked.get("DatapointsToAlarm", 1) > periods:
        raise _invalid("DatapointsToAlarm must not be greater than EvaluationPeriods.")


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _invalid(message: str) -> Fault:
    return Fault("ValidationError", message)
