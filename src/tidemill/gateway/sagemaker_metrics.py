"""SageMaker Metrics: what runs tell of their metrics, point by point, and the series for charts."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tidemill.control.experiment import COMPONENT
from tidemill.errors import NotFound
from tidemill.gateway.call import Call, Handler
from tidemill.store.base import Row
from tidemill.store.run_metrics import LARGEST, Point, RunMetric

MOST_VALUES = 10_000
"""Of one series in an answer."""
_PERIODS = {"OneMinute": 60, "FiveMinute": 300, "OneHour": 3600}


def put(call: Call) -> dict[str, Any]:
    """What cannot be kept is told by its place in the request; the rest is kept."""
    name, sent = call.request["TrialComponentName"], call.request["MetricData"]
    if call.verbs.store.get(COMPONENT, call.region, name) is None:
        return _errors("VALIDATION_ERROR", range(len(sent)))
    points = [Point(m["MetricName"], m["Value"], m["Timestamp"], m.get("Step")) for m in sent]
    places = [place for place, point in enumerate(points) if abs(point.value) <= LARGEST]
    wrong = sorted(set(range(len(points))) - set(places))
    refused = call.platform.runs.put(call.arn(COMPONENT, name), [points[place] for place in places])
    full = _errors("METRIC_LIMIT_EXCEEDED", [places[place] for place in refused])
    return {"Errors": [*_errors("VALIDATION_ERROR", wrong)["Errors"], *full["Errors"]]}


def get(call: Call) -> dict[str, Any]:
    return {"MetricQueryResults": [_answer(call, query) for query in call.request["MetricQueries"]]}


def summaries(call: Call, row: Row) -> list[dict[str, Any]]:
    """The Metrics of a trial component: of each its extremes, its mean, its last value."""
    arn = call.arn(row.kind, row.name)
    source = row.document["state"].get("source", {}).get("SourceArn", arn)
    return [_summary(metric, source) for metric in call.platform.runs.summaries(arn)]


def _summary(metric: RunMetric, source: str) -> dict[str, Any]:
    return {
        "MetricName": metric.name,
        "SourceArn": source,
        "TimeStamp": metric.at,
        "Max": metric.high,
        "Min": metric.low,
        "Last": metric.last,
        "Count": metric.count,
        "Avg": metric.mean,
        "StdDev": metric.deviation,
    }


def _errors(code: str, places: Sequence[int]) -> dict[str, Any]:
    return {"Errors": [{"Code": code, "MetricIndex": place} for place in places]}


def _answer(call: Call, query: Mapping[str, Any]) -> dict[str, Any]:
    arn = query["ResourceArn"]
    try:
        call.verbs.find(arn)
    except NotFound:
        message = f"There is no resource '{arn}'."[:2048]
        return {**_series([]), "Status": "ValidationError", "Message": message}
    start, end = query.get("Start", -math.inf), query.get("End", math.inf)
    points = call.platform.runs.points(arn, query["MetricName"], start, end)
    found = list(_values(points, query["Period"], query["XAxisType"], query["MetricStat"]))
    status = "Complete" if len(found) <= MOST_VALUES else "Truncated"
    return {**_series(found[:MOST_VALUES]), "Status": status}


def _series(found: Sequence[tuple[int, float]]) -> dict[str, Any]:
    return {"XAxisValues": [x for x, _ in found], "MetricValues": [value for _, value in found]}


def _values(
    points: Sequence[Point], period: str, axis: str, stat: str
) -> Iterator[tuple[int, float]]:
    """(place on the axis, statistic) of every period that has points, in order.

    Times are epoch seconds; points without a step have no place where steps are asked for.
    """
    seconds = _PERIODS.get(period)
    by_step = seconds is None or axis == "IterationNumber"
    groups: dict[int, list[Point]] = defaultdict(list)
    for point in points:
        if not (by_step and point.step is None):
            groups[_period(point, seconds)].append(point)
    for key in sorted(groups):
        group = sorted(groups[key], key=lambda point: point.at)
        last = group[-1]
        x = (last.step or 0) if axis == "IterationNumber" else int(last.at) if by_step else key
        yield x, _STATISTICS[stat]([point.value for point in group])


def _period(point: Point, seconds: int | None) -> int:
    return (point.step or 0) if seconds is None else int(point.at // seconds * seconds)


_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Min": min,
    "Max": max,
    "Avg": statistics.fmean,
    "Count": len,
    "StdDev": statistics.pstdev,
    "Last": lambda values: values[-1],
}
OPERATIONS: dict[str, Handler] = {"BatchPutMetrics": put, "BatchGetMetrics": get}
