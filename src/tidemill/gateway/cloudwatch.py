"""CloudWatch: the metrics that training jobs have reported, for ``TrainingJobAnalytics``."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tidemill.gateway.call import Call, Handler
from tidemill.gateway.wire.errors import Fault
from tidemill.spec.event import Event, read
from tidemill.spec.home import WorkerHome

NAMESPACE = "/aws/sagemaker/TrainingJobs"
_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Average": lambda values: math.fsum(values) / len(values),
    "Sum": math.fsum,
    "Minimum": min,
    "Maximum": max,
    "SampleCount": len,
}


def get_metric_statistics(call: Call) -> dict[str, Any]:
    """One datapoint a period that has values, in order of time."""
    asked = call.request
    name, period = asked["MetricName"], asked["Period"]
    if asked["StartTime"] >= asked["EndTime"]:
        raise Fault(
            "InvalidParameterValue",
            "The parameter StartTime must be less than the parameter EndTime.",
        )
    periods: dict[int, list[float]] = defaultdict(list)
    for event in _events(call):
        inside = asked["StartTime"] <= event.time < asked["EndTime"]
        if inside and event.name == name and event.value is not None:
            periods[int(event.time // period) * period].append(event.value)
    wanted = asked.get("Statistics", ["Average"])
    return {
        "Label": name,
        "Datapoints": [_datapoint(at, periods[at], wanted) for at in sorted(periods)],
    }


def _datapoint(at: int, values: Sequence[float], wanted: Sequence[str]) -> dict[str, Any]:
    found = {name: _STATISTICS[name](values) for name in wanted if name in _STATISTICS}
    return {"Timestamp": at, "Unit": "None", **found}


def _events(call: Call) -> Iterator[Event]:
    """The metric events of the job that the dimensions name."""
    if call.request["Namespace"] != NAMESPACE:
        return
    named = {d["Name"]: d["Value"] for d in call.request.get("Dimensions", ())}
    row = call.verbs.store.get("training_job", call.region, named.get("TrainingJobName", ""))
    if row is None or set(named) != {"TrainingJobName"}:
        return
    for host in range(1, row.document["spec"]["instances"] + 1):
        home = WorkerHome(Path(row.document["state"]["home"]) / f"algo-{host}")
        yield from _metrics(home.events)


def _metrics(path: Path) -> Iterator[Event]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        yield from (e for e in read(file) if e.kind == "metric")


OPERATIONS: dict[str, Handler] = {"GetMetricStatistics": get_metric_statistics}
