"""Training jobs: what is special to creating, stopping and deleting one, and its workers' tasks."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tidemill import registry
from tidemill.control.plan import training_job as plan
from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, NotFound
from tidemill.spec.channel import Channel
from tidemill.spec.home import Home
from tidemill.spec.training_job import JobStatus, MetricDefinition, TrainingJob
from tidemill.store.base import Row

KIND = "training_job"


def create(
    verbs: Verbs,
    home: Home,
    job: TrainingJob,
    request: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Row:
    """Write a job down as InProgress/Starting; raises Conflict when the name is taken."""
    place = home.jobs / job.region / f"{job.name}-{secrets.token_hex(4)}"
    state = plan.begin(str(place), verbs.clock())
    document = {"request": dict(request), "spec": asdict(job), "state": state.to_document()}
    return verbs.create(KIND, job.region, job.name, document, JobStatus.IN_PROGRESS.value, tags)


def stop(verbs: Verbs, region: str, name: str) -> Row:
    """Ask a job to end early, keeping what it has learned; raises NotFound, Conflict when over."""

    def stopping(row: Row) -> Row:
        status = JobStatus(row.status)
        if status is JobStatus.STOPPING:
            return row
        if status.is_final:
            raise Conflict("a training job that runs", got=row.status, do="It is over already.")
        state = plan.stop(plan.from_document(row.document["state"]), "Stopped", verbs.clock())
        document = {**row.document, "state": state.to_document()}
        return replace(row, status=JobStatus.STOPPING.value, document=document)

    return verbs.change(KIND, region, name, stopping)


def delete(verbs: Verbs, region: str, name: str) -> None:
    """Forget a job that is over, and its directory; raises NotFound, Conflict while it runs."""

    def check(row: Row) -> None:
        if not JobStatus(row.status).is_final:
            raise Conflict("a training job that is over", got=row.status, do="Stop it first.")

    row = verbs.delete(KIND, region, name, check)
    shutil.rmtree(row.document["state"]["home"], ignore_errors=True)


def spec(row: Row) -> TrainingJob:
    """The job that a row holds."""
    fields = dict(row.document["spec"])
    fields["channels"] = tuple(Channel(**c) for c in fields["channels"])
    fields["metric_definitions"] = tuple(
        MetricDefinition(**m) for m in fields["metric_definitions"]
    )
    return TrainingJob(**fields)


def hosts(job: TrainingJob) -> list[str]:
    """Names of its workers, sorted as resourceconfig.json wants them."""
    return sorted(f"algo-{i}" for i in range(1, job.instances + 1))


def shared(state: plan.JobState) -> Path:
    """The directory where the hosts of a job meet."""
    return Path(state.home) / "shared"


def problem(job: TrainingJob) -> str | None:
    """Why a job can never run here (a FailureReason), or None."""
    try:
        registry.name_of(job.image)
    except NotFound as error:
        return f"ClientError: {error}"
    return None


def task(job: TrainingJob, state: plan.JobState, host: str, home: Home) -> dict[str, Any]:
    """The task.json of one worker of a job."""
    return {
        "kind": "train",
        "job": asdict(job),
        "host": host,
        "hosts": hosts(job),
        "shared": str(shared(state)),
        "buckets": str(home.buckets),
        "wake": str(home.socket("control")),
        "attempt": state.attempts.get(host, 0) + 1,
    }
