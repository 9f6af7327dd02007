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
from tidemill.control.plan.training_job import STOP_GRACE
from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, NotFound
from tidemill.spec import framework
from tidemill.spec.home import Home
from tidemill.spec.training_job import JobStatus, TrainingJob, from_document
from tidemill.store.base import Row

KIND = "training_job"
SCRIPT_GRACE = STOP_GRACE + 3600.0
"""Seconds: the worker of a script that is stopped still has its model to upload, however large."""


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
    return from_document(row.document["spec"])


def work(row: Row) -> Work:
    """What its workers do."""
    job = spec(row)
    hosts = jobs.hosts(job.instances)
    if job.is_script:
        task = partial(jobs.task, "script", asdict(job), hosts)
        return Work(hosts, job.max_seconds, lambda: None, task, SCRIPT_GRACE)
    task = partial(jobs.task, "train", asdict(job), hosts)
    return Work(hosts, job.max_seconds, partial(problem, job), task)


def problem(job: TrainingJob) -> str | None:
    """Why a job can never run here (a FailureReason), or None."""
    found = framework.of_training(job.image)
    if found is not None and not found.has_built_in:
        return (
            f"ClientError: a job with an image of {found.name} must name its program; got no "
            f"hyperparameter {framework.PROGRAM}. Give the estimator an entry_point."
        )
    try:
        registry.name_of(job.image)
    except NotFound as error:
        return f"ClientError: {error}"
    return None
