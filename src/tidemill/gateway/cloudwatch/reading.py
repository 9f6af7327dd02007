"""GetMetricStatistics, GetMetricData and ListMetrics."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidemill.gateway.call import Call
from tidemill.gateway.cloudwatch import paging, training_jobs
from tidemill.gateway.wire.errors import Fault
from tidemill.stats.summary import Summary
from tidemill.store.metrics import Series
from tidemill.traffic.statistic import STATISTICS, is_percentile, statistic

MOST_DATAPOINTS = 1440
MOST_QUERIES, MOST_IN_PAGE = 500, 100_800
METRICS_IN_PAGE = 500
ACTIVE_SECONDS = 3 * 3600
_FINE_PERIODS = (1, 5, 10, 20, 30)

Told = list[tuple[float, Summary]]


def get_metric_statistics(call: Call) -> dict[str, Any]:
    """One datapoint a period that was told anything, in order of time."""
    asked = call.request
    start, end, period = _times(asked["StartTime"], asked["EndTime"], asked["Period"])
    points = math.ceil((end - start) / period)
    if points > MOST_DATAPOINTS:
        raise Fault(
            "InvalidParameterCombination",
            f"You have requested up to {points:,} datapoints, which exceeds the limit of "
            f"{MOST_DATAPOINTS:,}. You may reduce the datapoints requested by increasing Period, "
            "or decreasing the time range.",
        )
    plain, extended = asked.get("Statistics", []), asked.get("ExtendedStatistics", [])
    if not plain and not extended:
        raise Fault(
            "InvalidParameterCombination",
            "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
        )
    for name in extended:
        check_statistic(name, is_percentile, "ExtendedStatistics")
    series, told = _told(call, asked, asked.get("Unit"), start, end, period)
    points_told = [_datapoint(at, s, series.unit, plain, extended) for at, s in told]
    return {"Label": series.name, "Datapoints": points_told}


def get_metric_data(call: Call) -> dict[str, Any]:
    """Several metrics at once, a page holding so many datapoints of all of them together."""
    asked = call.request
    queries = asked["MetricDataQueries"]
    _check_queries(queries)
    results = [_result(call, query) for query in queries if query.get("ReturnData", True)]
    limit = min(asked.get("MaxDatapoints", MOST_IN_PAGE), MOST_IN_PAGE)
    start = _offset(asked.get("NextToken"))
    return {**_page(results, start, limit), "Messages": []}


def list_metrics(call: Call) -> dict[str, Any]:
    """All metrics that were told anything in fifteen days and have the dimensions asked for."""
    asked = call.request
    filters = [(d["Name"], d.get("Value")) for d in asked.get("Dimensions", ())]
    store = call.platform.metrics
    found = store.series(call.region, asked.get("Namespace"), asked.get("MetricName"), filters)
    if "RecentlyActive" in asked:
        now = call.verbs.clock()
        recent = now - ACTIVE_SECONDS
        found = [one for one in found if store.read(one, recent, now, ACTIVE_SECONDS)]
    found.sort(key=_key)
    shown, more = paging.page(found, _key, asked.get("NextToken"), METRICS_IN_PAGE)
    return {"Metrics": [_metric(one) for one in shown], **more}


def check_statistic(name: str, good: Callable[[str], bool], parameter: str) -> None:
    """Raises InvalidParameterValue."""
    if not good(name):
        raise Fault(
            "InvalidParameterValue",
            f"The value {name!r:.50} for parameter {parameter} is not supported. Use "
            f"{', '.join(STATISTICS)}, or a percentile such as p99.9.",
        )


def check_period(period: int) -> None:
    """Raises InvalidParameterValue."""
    if period not in _FINE_PERIODS and period % 60:
        raise Fault(
            "InvalidParameterValue",
            f"The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60; got {period}.",
        )


def _times(start: float, end: float, period: int) -> tuple[float, float, int]:
    if start >= end:
        raise Fault(
            "InvalidParameterValue",
            "The parameter StartTime must be less than the parameter EndTime.",
        )
    check_period(period)
    return start, end, period


def _told(
    call: Call, metric: Mapping[str, Any], unit: str | None, start: float, end: float, period: int
) -> tuple[Series, Told]:
    """The series that was asked for, and its periods; none when its unit is another."""
    dimensions = {d["Name"]: d["Value"] for d in metric.get("Dimensions", ())}
    wanted = Series.of(call.region, metric["Namespace"], metric["MetricName"], dimensions)
    if wanted.namespace == training_jobs.NAMESPACE:
        return wanted, training_jobs.periods(call, wanted, start, end, period)
    store = call.platform.metrics
    known = store.series(call.region, wanted.namespace, wanted.name, wanted.dimensions)
    series = next((one for one in known if one == wanted), wanted)
    if unit not in (None, series.unit):
        return series, []
    return series, store.read(series, start, end, period)


def _datapoint(
    at: float, told: Summary, unit: str, plain: Sequence[str], extended: Sequence[str]
) -> dict[str, Any]:
    point: dict[str, Any] = {"Timestamp": at, "Unit": unit}
    point |= {name: statistic(told, name) for name in plain}
    found = {name: statistic(told, name) for name in extended}
    known = {name: value for name, value in found.items() if value is not None}
    return {**point, "ExtendedStatistics": known} if known else point


def _check_queries(queries: Sequence[Mapping[str, Any]]) -> None:
    if len(queries) > MOST_QUERIES:
        raise Fault(
            "ValidationError",
            f"MetricDataQueries must hold at most {MOST_QUERIES} queries; got {len(queries)}.",
        )
    ids = [query["Id"] for query in queries]
    if len(set(ids)) < len(ids):
        raise Fault("ValidationError", f"Ids of MetricDataQueries must differ; got {ids!r:.200}.")
    for query in queries:
        if "Expression" in query:
            raise Fault(
                "UnsupportedOperation",
                f"Metric math is not supported by Tidemill; query {query['Id']!r} has an "
                "Expression. Ask for its metrics by MetricStat and compute.",
                status=501,
            )
        if "MetricStat" not in query:
            raise Fault("ValidationError", f"Query {query['Id']!r} must have a MetricStat.")


def _result(call: Call, query: Mapping[str, Any]) -> dict[str, Any]:
    asked, stat = call.request, query["MetricStat"]
    metric, name = stat["Metric"], stat["Stat"]
    for member in ("Namespace", "MetricName"):
        if member not in metric:
            raise Fault("ValidationError", f"Query {query['Id']!r} must have Metric.{member}.")
    start, end, period = _times(asked["StartTime"], asked["EndTime"], stat["Period"])
    check_statistic(name, lambda name: name in STATISTICS or is_percentile(name), "Stat")
    _, told = _told(call, metric, stat.get("Unit"), start, end, period)
    points = [(at, value) for at, s in told if (value := statistic(s, name)) is not None]
    if asked.get("ScanBy", "TimestampDescending") == "TimestampDescending":
        points.reverse()
    return {"Id": query["Id"], "Label": query.get("Label", metric["MetricName"]), "points": points}


def _page(results: Sequence[dict[str, Any]], start: int, limit: int) -> dict[str, Any]:
    """Of all datapoints in a row, those from ``start`` on."""
    shown, at, end = [], 0, start + limit
    for result in results:
        points = result["points"]
        chosen = points[max(0, start - at) : max(0, end - at)]
        is_over = at + len(points) <= end
        if chosen or (not points and start <= at <= end):
            shown.append(
                {
                    "Id": result["Id"],
                    "Label": result["Label"],
                    "Timestamps": [t for t, _ in chosen],
                    "Values": [value for _, value in chosen],
                    "StatusCode": "Complete" if is_over else "PartialData",
                }
            )
        at += len(points)
    more = {"NextToken": paging.issue(str(end))} if at > end else {}
    return {"MetricDataResults": shown, **more}


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    text = paging.read(token)
    if not text.isdecimal():
        raise Fault("InvalidNextToken", "The next token is invalid. Start again without it.")
    return int(text)


def _metric(series: Series) -> dict[str, Any]:
    return {
        "Namespace": series.namespace,
        "MetricName": series.name,
        "Dimensions": [{"Name": n, "Value": v} for n, v in series.dimensions],
    }


def _key(series: Series) -> str:
    return json.dumps([series.namespace, series.name, series.dimensions])
