"""Processing jobs: what is special to creating, stopping and deleting one, and to its workers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from tidemill.control import job as jobs
from tidemill.control.job import Work
from tidemill.control.plan.training_job import STOP_GRACE
from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict
from tidemill.spec.home import Home
from tidemill.spec.processing_job import ProcessingJob, from_document
from tidemill.spec.training_job import JobStatus
from tidemill.store.base import Row

KIND = "processing_job"
GRACE = STOP_GRACE + 3600.0
"""Seconds: a program that was stopped in time may have outputs to upload, however large."""


def create(
    verbs: Verbs,
    home: Home,
    job: ProcessingJob,
    request: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Row:
    """Write a job down as InProgress; raises Conflict when the name is taken."""
    return jobs.create(verbs, home, KIND, asdict(job), request, tags)


def stop(verbs: Verbs, region: str, name: str) -> Row:
    """Ask a job to end early; raises NotFound, Conflict when over."""
    return jobs.stop(verbs, KIND, region, name)


def delete(verbs: Verbs, region: str, name: str) -> None:
    """Forget a job that is over, and its directory; raises NotFound, Conflict while it runs."""

    def check(row: Row) -> None:
        if not JobStatus(row.status).is_final:
            raise Conflict("a processing job that is over", got=row.status, do="Stop it first.")

    row = verbs.delete(KIND, region, name, check)
    shutil.rmtree(row.document["state"]["home"], ignore_errors=True)


def work(row: Row) -> Work:
    """What its workers do; they themselves find out what cannot run here."""
    job = from_document(row.document["spec"])
    hosts = jobs.hosts(job.instances)
    task = partial(jobs.task, "process", asdict(job), hosts)
    return Work(hosts, job.max_seconds, lambda: None, task, GRACE)
