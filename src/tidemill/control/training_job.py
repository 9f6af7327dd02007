"""Training jobs: what is special to creating, stopping and deleting one, and its workers' tasks."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from tidemill import registry
from tidemill.control import job as jobs
from tidemill.control.job import Work
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
    return jobs.create(verbs, home, KIND, asdict(job), request, tags)


def stop(verbs: Verbs, region: str, name: str) -> Row:
    """Ask a job to end early, keeping what it has learned; raises NotFound, Conflict when over."""
    return jobs.stop(verbs, KIND, region, name)


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


def work(row: Row) -> Work:
    """What its workers do."""
    job = spec(row)
    hosts = jobs.hosts(job.instances)
    task = partial(jobs.task, "train", asdict(job), hosts)
    return Work(hosts, job.max_seconds, partial(problem, job), task)


def problem(job: TrainingJob) -> str | None:
    """Why a job can never run here (a FailureReason), or None."""
    try:
        registry.name_of(job.image)
    except NotFound as error:
        return f"ClientError: {error}"
    return None
