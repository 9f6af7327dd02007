"""The metrics that training jobs have reported, read from what their workers have told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tidemill.gateway.call import Call
from tidemill.spec.event import Event, read
from tidemill.spec.home import WorkerHome
from tidemill.stats.summary import Summary
from tidemill.store.metrics import Series

NAMESPACE = "/aws/sagemaker/TrainingJobs"


def periods(
    call: Call, series: Series, start: float, end: float, period: int
) -> list[tuple[float, Summary]]:
    """(time of its beginning, summary) of every period that has values, in order."""
    values: dict[float, list[float]] = defaultdict(list)
    for event in _events(call, dict(series.dimensions)):
        inside = start <= event.time < end
        if inside and event.name == series.name and event.value is not None:
            values[event.time // period * period].append(event.value)
    return [(at, Summary.of(values[at])) for at in sorted(values)]


def _events(call: Call, dimensions: dict[str, str]) -> Iterator[Event]:
    """The metric events of the job that the dimensions name."""
    row = call.verbs.store.get("training_job", call.region, dimensions.get("TrainingJobName", ""))
    if row is None or set(dimensions) != {"TrainingJobName"}:
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
