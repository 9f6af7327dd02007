"""Clients of before 2025 speak CloudWatch's query protocol: forms in, XML out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config

from tests.gateway.conftest import KEYS, Gateway
from tests.gateway.failing import refused

NOW = time.time() // 60 * 60


@pytest.fixture
def older(gateway: Gateway, region: str) -> Iterator[Any]:
    session = botocore.session.get_session()
    loader = session.get_component("data_loader")
    load = loader.load_service_model

    def load_older(service: str, kind: str, **more: Any) -> Any:
        model = dict(load(service, kind, **more))
        if kind == "service-2":
            model["metadata"] = {**model["metadata"], "protocol": "query", "protocols": ["query"]}
        return model

    loader.load_service_model = load_older
    client = boto3.Session(botocore_session=session).client(
        "cloudwatch",
        region_name=region,
        endpoint_url=gateway.url,
        aws_access_key_id=KEYS.access_key_id,
        aws_secret_access_key=KEYS.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}),
    )
    assert client.meta.service_model.resolved_protocol == "query"
    yield client
    client.close()


def test_metrics_are_put_and_read(older: Any) -> None:
    dimensions = [{"Name": "room", "Value": "attic & <cellar>"}]
    datum = {"MetricName": "heat", "Dimensions": dimensions, "Timestamp": NOW - 60}
    older.put_metric_data(Namespace="mine", MetricData=[{**datum, "Value": 20.5}])
    older.put_metric_data(Namespace="mine", MetricData=[{**datum, "Values": [1.5], "Counts": [3]}])
    many = [{**datum, "MetricName": f"m{n}", "Value": 1.0} for n in range(300)]
    older.put_metric_data(Namespace="many", MetricData=many)  # which the client packs
    span = {"StartTime": NOW - 600, "EndTime": NOW + 60}
    metric = {"Namespace": "mine", "MetricName": "heat", "Dimensions": dimensions}
    [told] = older.get_metric_statistics(
        **metric, **span, Period=60, Statistics=["Sum"], ExtendedStatistics=["p100", "p0"]
    )["Datapoints"]
    assert (told["Sum"], told["ExtendedStatistics"]) == (25.0, {"p100": 20.5, "p0": 1.5})
    query = {"Id": "a", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "SampleCount"}}
    [found] = older.get_metric_data(**span, MetricDataQueries=[query])["MetricDataResults"]
    assert found["Values"] == [4.0]
    assert found["Timestamps"][0].timestamp() == NOW - 60
    assert older.list_metrics(Namespace="mine")["Metrics"] == [metric]


def test_alarms_are_put_and_told(older: Any) -> None:
    alarm = {
        "AlarmName": "hot",
        "Namespace": "mine",
        "MetricName": "heat",
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 30.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    older.put_metric_alarm(**alarm, Tags=[{"Key": "a", "Value": "b"}])
    [told] = older.describe_alarms(AlarmNames=["hot"])["MetricAlarms"]
    assert {name: told[name] for name in alarm} == alarm
    assert told["ActionsEnabled"] is True
    older.delete_alarms(AlarmNames=["hot"])
    with refused("ResourceNotFound", "hot", status=404):
        older.delete_alarms(AlarmNames=["hot"])
    with refused("ValidationError", "Threshold"):
        older.put_metric_alarm(**{n: v for n, v in alarm.items() if n != "Threshold"})
