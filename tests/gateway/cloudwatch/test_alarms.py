"""Alarms through boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.gateway.conftest import ACCOUNT, Gateway
from tests.gateway.failing import Client, refused
from tidemill.control.alarm import Alarms

DIMENSIONS = [{"Name": "EndpointName", "Value": "mill"}]


def alarm(name: str = "busy", **changes: Any) -> dict[str, Any]:
    told = {
        "AlarmName": name,
        "Namespace": "AWS/SageMaker",
        "MetricName": "ModelLatency",
        "Dimensions": DIMENSIONS,
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 2,
        "Threshold": 100_000.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        **changes,
    }
    return {name: value for name, value in told.items() if value is not None}


def names(client: Any, **asked: Any) -> list[str]:
    return [a["AlarmName"] for a in client.describe_alarms(**asked)["MetricAlarms"]]


@pytest.fixture
def cloudwatch(client: Client) -> Any:
    return client("cloudwatch")


def test_an_alarm_is_told_as_it_was_put(cloudwatch: Any, region: str) -> None:
    cloudwatch.put_metric_alarm(**alarm(AlarmActions=["arn:aws:sns:x:1:t"]))
    [told] = cloudwatch.describe_alarms(AlarmNames=["busy"])["MetricAlarms"]
    assert {name: told[name] for name in alarm()} == alarm()
    assert told["AlarmArn"] == f"arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:busy"
    assert told["StateValue"] == "INSUFFICIENT_DATA"
    assert told["StateReason"] == "Unchecked: Initial alarm creation"
    assert told["ActionsEnabled"] is True
    assert told["AlarmActions"] == ["arn:aws:sns:x:1:t"]
    cloudwatch.put_metric_alarm(**alarm(Threshold=7.0))
    [told] = cloudwatch.describe_alarms()["MetricAlarms"]
    assert (told["Threshold"], told["AlarmActions"]) == (7.0, [])


def test_the_evaluation_is_told_with_its_reason(
    cloudwatch: Any, gateway: Gateway, region: str
) -> None:
    cloudwatch.put_metric_alarm(**alarm())
    Alarms(gateway.verbs, gateway.metrics).tick(gateway.verbs.clock())
    [told] = cloudwatch.describe_alarms(StateValue="OK")["MetricAlarms"]
    assert "unknown" in told["StateReason"]
    [change] = cloudwatch.describe_alarm_history(AlarmName="busy")["AlarmHistoryItems"]
    assert change["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to OK"
    assert json.loads(change["HistoryData"])["newState"]["stateValue"] == "OK"


def test_lists_are_filtered_and_paged(cloudwatch: Any) -> None:
    for name in ("b2", "a1", "b1", "c1"):
        actions = {"AlarmActions": [f"arn:{name}"]}
        cloudwatch.put_metric_alarm(**alarm(name, **actions))
    assert names(cloudwatch) == ["a1", "b1", "b2", "c1"]
    assert names(cloudwatch, AlarmNamePrefix="b") == ["b1", "b2"]
    assert names(cloudwatch, ActionPrefix="arn:c") == ["c1"]
    assert names(cloudwatch, StateValue="ALARM") == []
    assert names(cloudwatch, AlarmTypes=["CompositeAlarm"]) == []
    pages = cloudwatch.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 3})
    assert [len(page["MetricAlarms"]) for page in pages] == [3, 1]
    with refused("InvalidNextToken", "invalid"):
        cloudwatch.describe_alarms(NextToken="?")


def test_alarms_of_a_metric(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(**alarm("one"))
    cloudwatch.put_metric_alarm(**alarm("two", Dimensions=[]))
    cloudwatch.put_metric_alarm(**alarm("three", Period=300))
    asked = {"MetricName": "ModelLatency", "Namespace": "AWS/SageMaker", "Dimensions": DIMENSIONS}
    told = cloudwatch.describe_alarms_for_metric(**asked)["MetricAlarms"]
    assert [a["AlarmName"] for a in told] == ["one", "three"]
    told = cloudwatch.describe_alarms_for_metric(**asked, Period=300)["MetricAlarms"]
    assert [a["AlarmName"] for a in told] == ["three"]


def test_a_state_may_be_set(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(**alarm())
    told = {"AlarmName": "busy", "StateValue": "ALARM", "StateReason": "trying it out"}
    cloudwatch.set_alarm_state(**told, StateReasonData='{"a": 1}')
    [now] = cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]
    assert (now["StateReason"], now["StateReasonData"]) == ("trying it out", '{"a": 1}')
    with refused("ResourceNotFound", "nobody", status=404):
        cloudwatch.set_alarm_state(**{**told, "AlarmName": "nobody"})
    with refused("InvalidFormat", "JSON"):
        cloudwatch.set_alarm_state(**told, StateReasonData="no")


def test_actions_are_switched_and_alarms_deleted(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(**alarm())
    for switch, enabled in (
        (cloudwatch.disable_alarm_actions, False),
        (cloudwatch.enable_alarm_actions, True),
    ):
        switch(AlarmNames=["busy", "nobody"])
        assert cloudwatch.describe_alarms()["MetricAlarms"][0]["ActionsEnabled"] is enabled
    with refused("ResourceNotFound", "nobody", status=404):
        cloudwatch.delete_alarms(AlarmNames=["busy", "nobody"])
    assert names(cloudwatch) == ["busy"]
    cloudwatch.delete_alarms(AlarmNames=["busy"])
    assert names(cloudwatch) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"Threshold": None}, "Threshold must be specified"),
        ({"Statistic": None}, "Exactly one of Statistic"),
        ({"ExtendedStatistic": "p99"}, "Exactly one of Statistic"),
        ({"Period": 45}, "10, 20, 30 or a multiple of 60"),
        ({"Period": 300, "EvaluationPeriods": 300}, "across more than 1 day"),
        ({"DatapointsToAlarm": 3}, "DatapointsToAlarm"),
        ({"TreatMissingData": "guess"}, "notBreaching"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "ComparisonOperator"),
        ({"ComparisonOperator": None}, "ComparisonOperator"),
    ],
)
def test_wrong_alarms_are_refused(cloudwatch: Any, wrong: dict[str, Any], message: str) -> None:
    with refused("ValidationError", message):
        cloudwatch.put_metric_alarm(**alarm(**wrong))
    assert names(cloudwatch) == []


def test_what_is_not_built_is_said_to_be(cloudwatch: Any) -> None:
    metrics = [{"Id": "e1", "Expression": "1+1"}]
    with refused("UnsupportedOperation", "Metrics", status=501):
        cloudwatch.put_metric_alarm(**alarm(Metrics=metrics))
    with refused("InvalidParameterValue", "percentile"):
        cloudwatch.put_metric_alarm(**alarm(Statistic=None, ExtendedStatistic="tm90"))
