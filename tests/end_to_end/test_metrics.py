"""What an endpoint is asked appears in CloudWatch within seconds, alarms ring on it, and
Prometheus finds it."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

import tidemill
from tests.end_to_end.conftest import Platform

pytestmark = pytest.mark.slow
POINTS = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
REQUESTS = 7


def until(ask: Callable[[], Any], seconds: float = 40.0) -> Any:
    give_up = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.25)
    return answer


def test_invocations_become_metrics_that_ring_alarms(platform: Platform) -> None:
    cloudwatch = platform.connection.client("cloudwatch")
    job = tidemill.train("kmeans", POINTS, k=3, connection=platform.connection).wait(quiet=True)
    endpoint = tidemill.deploy(job, name="mill")
    dimensions = [
        {"Name": "EndpointName", "Value": "mill"},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]
    cloudwatch.put_metric_alarm(
        AlarmName="busy",
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=dimensions,
        Statistic="Sum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=REQUESTS,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    asked: dict[str, Any] = {
        "Namespace": "AWS/SageMaker",
        "Dimensions": dimensions,
        "StartTime": datetime.now(UTC) - timedelta(minutes=5),
        "EndTime": datetime.now(UTC) + timedelta(minutes=5),
        "Period": 3600,
    }
    # All of them in one alarm period, whichever it is.
    time.sleep(max(0.0, 10 - time.time() % 10 if time.time() % 10 > 7 else 0.0))
    for _ in range(REQUESTS):
        endpoint.predict(POINTS[:1])

    def counted(name: str, *statistics: str) -> dict[str, Any] | None:
        told = cloudwatch.get_metric_statistics(
            **asked, MetricName=name, Statistics=statistics, ExtendedStatistics=["p99"]
        )["Datapoints"]
        is_whole = told and told[0]["SampleCount"] == REQUESTS
        return told[0] if is_whole else None

    invocations = until(lambda: counted("Invocations", "Sum", "SampleCount"))
    assert invocations["Sum"] == REQUESTS
    latency = counted("ModelLatency", "Minimum", "Average", "Maximum", "SampleCount")
    assert latency is not None
    assert 0 < latency["Minimum"] <= latency["Average"] <= latency["Maximum"] < 10e6
    assert latency["Unit"] == "Microseconds"
    errors = counted("Invocation5XXErrors", "Average", "SampleCount")
    assert errors is not None
    assert errors["Average"] == 0

    metric = {"Namespace": "AWS/SageMaker", "MetricName": "OverheadLatency"}
    stat = {"Metric": {**metric, "Dimensions": dimensions}, "Period": 3600, "Stat": "p50"}
    [found] = cloudwatch.get_metric_data(
        StartTime=asked["StartTime"],
        EndTime=asked["EndTime"],
        MetricDataQueries=[{"Id": "overhead", "MetricStat": stat}],
    )["MetricDataResults"]
    assert found["Values"][0] > 0
    listed = cloudwatch.list_metrics(Namespace="AWS/SageMaker", Dimensions=dimensions)["Metrics"]
    assert {"Invocations", "ModelLatency"} <= {m["MetricName"] for m in listed}

    page = urllib.request.Request(
        f"{platform.connection.url}/metrics",
        headers={"Authorization": f"Bearer {platform.environment['TIDEMILL_METRICS_TOKEN']}"},
    )
    with urllib.request.urlopen(page) as answer:
        text = answer.read().decode()
    assert f'endpoint="mill",variant="AllTraffic"}} {REQUESTS}' in text

    def rings() -> bool:
        history = cloudwatch.describe_alarm_history(AlarmName="busy")["AlarmHistoryItems"]
        return any(item["HistorySummary"].endswith("to ALARM") for item in history)

    until(rings)
    endpoint.delete()
