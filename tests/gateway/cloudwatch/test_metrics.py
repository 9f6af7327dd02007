"""Metrics through boto3: put, read, listed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.failing import Client, refused
from tidemill.stats.summary import Summary
from tidemill.store.metrics import Series

MINUTE = time.time() // 60 * 60 - 600
DIMENSIONS = [{"Name": "room", "Value": "attic"}]


def put(client: Any, *data: dict[str, Any], namespace: str = "mine") -> None:
    client.put_metric_data(Namespace=namespace, MetricData=list(data))


def datum(value: float | None = None, at: float = 0.0, **more: Any) -> dict[str, Any]:
    told = {"MetricName": "heat", "Dimensions": DIMENSIONS, "Timestamp": MINUTE + at, **more}
    return told if value is None else {**told, "Value": value}


def read(client: Any, **more: Any) -> list[dict[str, Any]]:
    asked = {
        "Namespace": "mine",
        "MetricName": "heat",
        "Dimensions": DIMENSIONS,
        "StartTime": MINUTE,
        "EndTime": MINUTE + 600,
        "Period": 60,
        **more,
    }
    told: list[dict[str, Any]] = client.get_metric_statistics(**asked)["Datapoints"]
    return told


def query(stat: str = "Sum", id: str = "m1", period: int = 60, **more: Any) -> dict[str, Any]:
    metric = {"Namespace": "mine", "MetricName": "heat", "Dimensions": DIMENSIONS}
    return {"Id": id, "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}, **more}


def test_what_is_put_is_read_by_the_minute(client: Client) -> None:
    cloudwatch = client("cloudwatch")
    put(cloudwatch, datum(20.0, 1, Unit="Count"), datum(30.0, 2), datum(5.0, 60))
    plain = ["Average", "Sum", "Minimum", "Maximum", "SampleCount"]
    told = read(cloudwatch, Statistics=plain)
    assert [[d[name] for name in plain] for d in told] == [
        [25.0, 50.0, 20.0, 30.0, 2.0],
        [5.0, 5.0, 5.0, 5.0, 1.0],
    ]
    assert told[0]["Timestamp"] == datetime.fromtimestamp(MINUTE, UTC)
    assert told[0]["Unit"] == "Count"
    assert read(cloudwatch, Statistics=["Sum"], Unit="Seconds") == []
    assert read(cloudwatch, Statistics=["Sum"], Dimensions=[]) == []


def test_values_with_counts_and_percentiles(client: Client) -> None:
    cloudwatch = client("cloudwatch")
    put(cloudwatch, datum(Values=[float(n) for n in range(1, 101)], Counts=[2.0] * 100))
    [told] = read(cloudwatch, ExtendedStatistics=["p50", "p99.9"], Statistics=["SampleCount"])
    assert told["SampleCount"] == 200
    assert told["ExtendedStatistics"]["p50"] == pytest.approx(50, rel=0.011)
    assert told["ExtendedStatistics"]["p99.9"] == pytest.approx(100, rel=0.011)


def test_totals_have_no_percentiles(client: Client) -> None:
    cloudwatch = client("cloudwatch")
    totals = {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 5}
    put(cloudwatch, datum(StatisticValues=totals))
    [told] = read(cloudwatch, ExtendedStatistics=["p50"], Statistics=["Average"])
    assert told["Average"] == 2.5
    assert "ExtendedStatistics" not in told


def test_a_large_request_that_the_client_packs_is_read(client: Client) -> None:
    cloudwatch = client("cloudwatch")
    put(cloudwatch, *(datum(float(n), 0, MetricName=f"heat-{n}") for n in range(400)))
    assert read(cloudwatch, MetricName="heat-399", Statistics=["Sum"])[0]["Sum"] == 399.0


@pytest.mark.parametrize(
    ("wrong", "code", "message"),
    [
        ({}, "MissingParameter", "MetricData.member.1.Value is required"),
        ({"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination", "mutually exclusive"),
        ({"Values": [1.0], "Counts": [1.0, 2.0]}, "InvalidParameterValue", "same size"),
        ({"Values": [1.0], "Counts": [0.0]}, "InvalidParameterValue", "greater than 0"),
        ({"Values": []}, "InvalidParameterValue", "1 to 150"),
        ({"Value": 1e300}, "InvalidParameterValue", "2^360"),
        ({"Value": 1.0, "Timestamp": MINUTE + 9000}, "InvalidParameterValue", "2 hours"),
        ({"Value": 1.0, "Timestamp": MINUTE - 1.3e6}, "InvalidParameterValue", "two weeks"),
        ({"Value": 1.0, "Dimensions": DIMENSIONS * 2}, "InvalidParameterValue", "must differ"),
        ({"Value": 1.0, "Unit": "Furlongs"}, "InvalidParameterValue", "enum value set"),
        (
            {"StatisticValues": {"SampleCount": 0, "Sum": 0, "Minimum": 0, "Maximum": 0}},
            "InvalidParameterValue",
            "SampleCount",
        ),
        (
            {"StatisticValues": {"SampleCount": 1, "Sum": 0, "Minimum": 2, "Maximum": 0}},
            "InvalidParameterValue",
            "Minimum",
        ),
    ],
)
def test_wrong_data_are_refused(
    client: Client, wrong: dict[str, Any], code: str, message: str
) -> None:
    cloudwatch = client("cloudwatch")
    with refused(code, message):
        put(cloudwatch, datum(**wrong))
    assert cloudwatch.list_metrics()["Metrics"] == []


def test_a_request_holds_so_much_data_and_no_namespace_of_the_platform(client: Client) -> None:
    cloudwatch = client("cloudwatch", disable_request_compression=True)
    with refused("InvalidParameterValue", "AWS/"):
        put(cloudwatch, datum(1.0), namespace="AWS/SageMaker")
    with refused("MissingParameter", "MetricData"):
        put(cloudwatch)
    with refused("InvalidParameterValue", "1000"):
        put(cloudwatch, *[datum(1.0)] * 1001)


@pytest.mark.parametrize(
    ("wrong", "code", "message"),
    [
        ({}, "InvalidParameterCombination", "At least one"),
        ({"Statistics": ["Sum"], "Period": 45}, "InvalidParameterValue", "multiple of 60"),
        ({"ExtendedStatistics": ["tm90"]}, "InvalidParameterValue", "not supported"),
        ({"Statistics": ["Sum"], "StartTime": 0}, "InvalidParameterCombination", "exceeds"),
        ({"Statistics": ["Sum"], "EndTime": 0}, "InvalidParameterValue", "StartTime"),
        ({"Statistics": ["Median"]}, "InvalidParameterValue", "constraint"),
    ],
)
def test_wrong_questions_are_refused(
    client: Client, wrong: dict[str, Any], code: str, message: str
) -> None:
    with refused(code, message):
        read(client("cloudwatch"), **wrong)


def test_several_metrics_are_asked_for_at_once(client: Client) -> None:
    cloudwatch = client("cloudwatch")
    put(cloudwatch, datum(1.0), datum(2.0, 60), datum(4.0, 120))
    asked = {
        "StartTime": MINUTE,
        "EndTime": MINUTE + 600,
        "MetricDataQueries": [
            query("Sum"),
            query("p50", "m2", Label="half"),
            query("Sum", "hidden", ReturnData=False),
        ],
    }
    told = cloudwatch.get_metric_data(**asked)["MetricDataResults"]
    assert [(r["Id"], r["Label"], r["StatusCode"]) for r in told] == [
        ("m1", "heat", "Complete"),
        ("m2", "half", "Complete"),
    ]
    assert told[0]["Values"] == [4.0, 2.0, 1.0]
    assert told[1]["Values"] == pytest.approx([4.0, 2.0, 1.0], rel=0.011)
    rising = cloudwatch.get_metric_data(**asked, ScanBy="TimestampAscending")
    assert rising["MetricDataResults"][0]["Values"] == [1.0, 2.0, 4.0]


def test_pages_hold_so_many_datapoints(client: Client) -> None:
    cloudwatch = client("cloudwatch")
    put(cloudwatch, *(datum(float(n), 60 * n) for n in range(5)))
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        StartTime=MINUTE,
        EndTime=MINUTE + 600,
        MetricDataQueries=[query("Sum"), query("Maximum", "m2")],
        ScanBy="TimestampAscending",
        MaxDatapoints=3,
    )
    seen = [
        [(r["Id"], r["Values"], r["StatusCode"]) for r in page["MetricDataResults"]]
        for page in pages
    ]
    assert seen == [
        [("m1", [0, 1, 2], "PartialData")],
        [("m1", [3, 4], "Complete"), ("m2", [0], "PartialData")],
        [("m2", [1, 2, 3], "PartialData")],
        [("m2", [4], "Complete")],
    ]


@pytest.mark.parametrize(
    ("queries", "code", "message", "status"),
    [
        ([{"Id": "e1", "Expression": "m1*2"}], "UnsupportedOperation", "Metric math", 501),
        ([{"Id": "m1"}], "ValidationError", "MetricStat", 400),
        ([query(), query()], "ValidationError", "must differ", 400),
        ([query("Median")], "InvalidParameterValue", "p99.9", 400),
        ([query(period=61)], "InvalidParameterValue", "Period", 400),
    ],
)
def test_wrong_queries_are_refused(
    client: Client, queries: list[dict[str, Any]], code: str, message: str, status: int
) -> None:
    asked = {"StartTime": MINUTE, "EndTime": MINUTE + 60, "MetricDataQueries": queries}
    with refused(code, message, status=status):
        client("cloudwatch").get_metric_data(**asked)


def test_foreign_tokens_are_refused(client: Client) -> None:
    cloudwatch = client("cloudwatch")
    for token in ("nonsense", "dGhlcmU="):
        with refused("InvalidNextToken", "invalid"):
            cloudwatch.list_metrics(NextToken=token)
        with refused("InvalidNextToken", "invalid"):
            cloudwatch.get_metric_data(
                StartTime=0, EndTime=60, MetricDataQueries=[query()], NextToken=token
            )


def test_metrics_are_listed_by_pages_and_filters(
    client: Client, gateway: Gateway, region: str
) -> None:
    cloudwatch = client("cloudwatch")
    found = [(Series.of(region, "mine", f"m{n:03}", {"a": "1"}), Summary()) for n in range(501)]
    gateway.metrics.put(MINUTE, found)
    gateway.metrics.put(MINUTE - 86_400, [(Series.of(region, "old", "m", {}), Summary())])
    paginator = cloudwatch.get_paginator("list_metrics")
    pages = [page["Metrics"] for page in paginator.paginate()]
    assert [len(page) for page in pages] == [500, 2]
    assert len({m["MetricName"] for page in pages for m in page}) == 502
    assert cloudwatch.list_metrics(MetricName="m007")["Metrics"] == [
        {"Namespace": "mine", "MetricName": "m007", "Dimensions": [{"Name": "a", "Value": "1"}]}
    ]
    assert cloudwatch.list_metrics(Dimensions=[{"Name": "a", "Value": "2"}])["Metrics"] == []
    assert cloudwatch.list_metrics(Namespace="old", RecentlyActive="PT3H")["Metrics"] == []
    assert len(cloudwatch.list_metrics(Namespace="old")["Metrics"]) == 1
