"""BatchPutMetrics and BatchGetMetrics, and what describing a component makes of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tidemill.store import run_metrics

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
LOSSES = [4.0, 2.0, 3.0]


@pytest.fixture
def metrics(client: Callable[..., Any]) -> Any:
    return client("sagemaker-metrics")


@pytest.fixture
def arn(sagemaker: Any) -> str:
    """Of a component that is there."""
    made = sagemaker.create_trial_component(TrialComponentName="mill")
    return str(made["TrialComponentArn"])


def point(value: float, second: int, **more: Any) -> dict[str, Any]:
    at = NOON.timestamp() + second
    return {"MetricName": "loss", "Value": value, "Timestamp": at, **more}


def put(metrics: Any, *points: dict[str, Any], name: str = "mill") -> Any:
    return metrics.batch_put_metrics(TrialComponentName=name, MetricData=list(points))["Errors"]


def query(metrics: Any, arn: str, **more: Any) -> Any:
    asked = {
        "MetricName": "loss",
        "ResourceArn": arn,
        "MetricStat": "Last",
        "Period": "IterationNumber",
        "XAxisType": "IterationNumber",
        **more,
    }
    return metrics.batch_get_metrics(MetricQueries=[asked])["MetricQueryResults"][0]


def test_a_component_tells_a_summary_of_each_metric(metrics: Any, sagemaker: Any, arn: str) -> None:
    assert put(metrics, *(point(v, s, Step=s) for s, v in enumerate(LOSSES))) == []
    assert put(metrics, {"MetricName": "one", "Value": 7, "Timestamp": NOON}) == []
    loss, one = sagemaker.describe_trial_component(TrialComponentName="mill")["Metrics"]
    assert loss.pop("TimeStamp").astimezone(UTC) == NOON.replace(second=2)
    assert loss.pop("StdDev") == pytest.approx((2 / 3) ** 0.5)
    wanted = {"MetricName": "loss", "SourceArn": arn, "Max": 4.0, "Min": 2.0, "Last": 3.0}
    assert loss == {**wanted, "Count": 3, "Avg": 3.0}
    assert (one["StdDev"], one["Count"], one["Avg"]) == (0.0, 1, 7.0)


def test_metrics_of_nobody_are_refused_in_the_answer(metrics: Any, arn: str) -> None:
    errors = put(metrics, point(1.0, 0), name="nobody")
    assert errors == [{"Code": "VALIDATION_ERROR", "MetricIndex": 0}]
    assert put(metrics, point(1.0, 0), point(1e300, 0)) == [
        {"Code": "VALIDATION_ERROR", "MetricIndex": 1}
    ]


def test_metrics_beyond_the_bound_are_told_by_their_places(
    metrics: Any, arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_metrics, "MOST_POINTS", 1)
    errors = put(metrics, point(1e300, 0), point(1.0, 0), point(2.0, 1))
    assert errors == [
        {"Code": "VALIDATION_ERROR", "MetricIndex": 0},
        {"Code": "METRIC_LIMIT_EXCEEDED", "MetricIndex": 2},
    ]


def test_series_come_by_step_and_by_time(metrics: Any, arn: str) -> None:
    points = [point(v, 40 * s, Step=s + 1) for s, v in enumerate(LOSSES)]
    put(metrics, *points, point(9.0, 80, Step=3), point(5.0, 300))
    told = query(metrics, arn)
    assert told == {"Status": "Complete", "XAxisValues": [1, 2, 3], "MetricValues": [4, 2, 9]}
    assert query(metrics, arn, MetricStat="Avg")["MetricValues"] == [4, 2, 6]
    noon = int(NOON.timestamp())
    told = query(metrics, arn, Period="OneMinute", XAxisType="Timestamp", MetricStat="Count")
    assert told["XAxisValues"] == [noon, noon + 60, noon + 300]
    assert told["MetricValues"] == [2, 2, 1]
    told = query(metrics, arn, Period="OneHour", XAxisType="Timestamp", MetricStat="StdDev")
    assert len(told["MetricValues"]) == 1
    told = query(metrics, arn, XAxisType="Timestamp", Start=noon + 30, End=noon + 60)
    assert (told["XAxisValues"], told["MetricValues"]) == ([noon + 40], [2.0])
    assert query(metrics, arn, MetricName="other")["XAxisValues"] == []
    told = query(metrics, arn + "x")
    assert (told["Status"], told["MetricValues"]) == ("ValidationError", [])


def test_metrics_go_with_their_component(
    metrics: Any, sagemaker: Any, arn: str, gateway: Gateway
) -> None:
    put(metrics, point(1.0, 0))
    sagemaker.delete_trial_component(TrialComponentName="mill")
    assert gateway.runs.summaries(arn) == []
    sagemaker.create_trial_component(TrialComponentName="mill")
    assert sagemaker.describe_trial_component(TrialComponentName="mill")["Metrics"] == []
