"""Which log groups and streams there are, and where their lines lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tidemill.gateway.call import Call
from tidemill.gateway.logs import lines
from tidemill.spec.home import WorkerHome
from tidemill.spec.training_job import JobStatus
from tidemill.store.base import Query, Row

JOBS = {
    "/aws/sagemaker/ProcessingJobs": "processing_job",
    "/aws/sagemaker/TrainingJobs": "training_job",
    "/aws/sagemaker/TransformJobs": "transform_job",
}
"""Log group → kind of job."""
ENDPOINTS = "/aws/sagemaker/Endpoints/"


@dataclass(frozen=True, slots=True)
class Stream:
    """One worker's log. began: epoch seconds · over: nothing more will be written"""

    group: str
    name: str
    path: Path
    began: float
    over: bool

    def lines(self) -> Iterator[lines.Line]:
        return lines.read(self.path, self.began, whole=self.over)


def groups(call: Call) -> list[str]:
    """All log groups, sorted; an endpoint's is there from its creation on."""
    endpoints = sorted(ENDPOINTS + row.name for row in _rows(call, "endpoint"))
    return [*endpoints, *JOBS]


def of_group(call: Call, group: str, prefix: str = "") -> list[Stream] | None:
    """The streams of a group whose names begin so, sorted; None when there is no such group."""
    if group in JOBS:
        streams = [s for row in _jobs(call, JOBS[group], prefix) for s in _of_job(group, row)]
    elif group.startswith(ENDPOINTS):
        row = call.verbs.store.get("endpoint", call.region, group.removeprefix(ENDPOINTS))
        if row is None:
            return None
        streams = _of_endpoint(row)
    else:
        return None
    return sorted((s for s in streams if s.name.startswith(prefix)), key=lambda s: s.name)


def _jobs(call: Call, kind: str, prefix: str) -> Iterator[Row]:
    """Names hold no slash, so a prefix with one names its job."""
    name, slash, _ = prefix.partition("/")
    if not slash:
        yield from _rows(call, kind)
        return
    row = call.verbs.store.get(kind, call.region, name)
    if row is not None:
        yield row


def _rows(call: Call, kind: str) -> Iterator[Row]:
    after: str | None = None
    while True:
        page = call.verbs.list(Query(kind, call.region, limit=1000, after=after))
        yield from page.rows
        after = page.next
        if after is None:
            return


def _of_job(group: str, row: Row) -> Iterator[Stream]:
    state = row.document["state"]
    home, over = Path(state["home"]), JobStatus(row.status).is_final
    for number in range(1, row.document["spec"]["instances"] + 1):
        log = WorkerHome(home / f"algo-{number}").log
        if log.exists():
            name = f"{row.name}/algo-{number}-{int(row.created)}"
            yield Stream(group, name, log, state.get("started") or row.created, over)


def _of_endpoint(row: Row) -> list[Stream]:
    state = row.document["state"]
    found = []
    for id, replica in state.get("replicas", {}).items():
        log = WorkerHome(Path(state["home"]) / id).log
        if log.exists():
            began = replica.get("started") or row.created
            name = f"{replica['variant']}/{id}"
            found.append(Stream(ENDPOINTS + row.name, name, log, began, over=False))
    return found
