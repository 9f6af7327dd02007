"""Jobs of any kind, as control sees them: workers that start, are watched, and come to an end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tidemill.control import job_component
from tidemill.control.experiment import RELATIONS
from tidemill.control.plan import training_job as plan
from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict
from tidemill.spec.home import Home
from tidemill.spec.training_job import JobStatus
from tidemill.store.base import Row


@dataclass(frozen=True, slots=True)
class Work:
    """What is special to one job. hosts: names of its workers, sorted

    problem: why it can never run here (a FailureReason), or None
    task: the task.json of one of its workers, by its name and attempts so far
    grace: seconds that a worker has to end in when the job is stopped
    """

    hosts: Sequence[str]
    max_seconds: float
    problem: Callable[[], str | None]
    task: Callable[[plan.JobState, str, Home], dict[str, Any]]
    grace: float = plan.STOP_GRACE


def create(
    verbs: Verbs,
    home: Home,
    kind: str,
    spec: Mapping[str, Any],
    request: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Row:
    """Write a job down as InProgress, with its trial component where the request asks for one.

    Raises Conflict when the name is taken, and what ``job_component.beside`` does.
    """
    region, name = spec["region"], spec["name"]
    place = home.jobs / region / f"{name}-{secrets.token_hex(4)}"
    state = plan.begin(str(place), verbs.clock())
    document = {"request": dict(request), "spec": dict(spec), "state": state.to_document()}
    with RELATIONS:
        below = job_component.beside(verbs, kind, region, name, request)
        status = JobStatus.IN_PROGRESS.value
        return verbs.create(kind, region, name, document, status, tags, below=below)


def stop(verbs: Verbs, kind: str, region: str, name: str) -> Row:
    """Ask a job to end early; raises NotFound, Conflict when over."""

    def stopping(row: Row) -> Row:
        status = JobStatus(row.status)
        if status is JobStatus.STOPPING:
            return row
        if status.is_final:
            wanted = f"a {kind.replace('_', ' ')} that runs"
            raise Conflict(wanted, got=row.status, do="It is over already.")
        state = plan.stop(plan.from_document(row.document["state"]), "Stopped", verbs.clock())
        document = {**row.document, "state": state.to_document()}
        return replace(row, status=JobStatus.STOPPING.value, document=document)

    return verbs.change(kind, region, name, stopping)


def hosts(instances: int) -> list[str]:
    """Names of a job's workers, sorted as resourceconfig.json wants them."""
    return sorted(f"algo-{i}" for i in range(1, instances + 1))


def shared(state: plan.JobState) -> Path:
    """The directory where the hosts of a job meet."""
    return Path(state.home) / "shared"


def task(
    kind: str,
    spec: Mapping[str, Any],
    names: Sequence[str],
    state: plan.JobState,
    host: str,
    home: Home,
) -> dict[str, Any]:
    """The task.json of one worker of a job."""
    return {
        "kind": kind,
        "job": dict(spec),
        "host": host,
        "hosts": list(names),
        "shared": str(shared(state)),
        "buckets": str(home.buckets),
        "wake": str(home.socket("control")),
        "attempt": state.attempts.get(host, 0) + 1,
    }
