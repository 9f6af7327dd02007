"""Batch transform jobs: what is special to creating and stopping one, and to its workers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from tidemill.control import job as jobs
from tidemill.control import servable
from tidemill.control.job import Work
from tidemill.control.verbs import Verbs
from tidemill.spec.home import Home
from tidemill.spec.transform_job import TransformJob, from_document
from tidemill.store.base import Row

KIND = "transform_job"


def create(
    verbs: Verbs,
    home: Home,
    job: TransformJob,
    request: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Row:
    """Write a job down as InProgress; raises Conflict when the name is taken."""
    return jobs.create(verbs, home, KIND, asdict(job), request, tags)


def stop(verbs: Verbs, region: str, name: str) -> Row:
    """Ask a job to end; finished outputs stay. Raises NotFound, Conflict when over."""
    return jobs.stop(verbs, KIND, region, name)


def work(row: Row) -> Work:
    """What its workers do."""
    job = from_document(row.document["spec"])
    hosts = jobs.hosts(job.instances)
    task = partial(jobs.task, "transform", asdict(job), hosts)
    return Work(hosts, math.inf, partial(problem, job), task)


def problem(job: TransformJob) -> str | None:
    """Why a job can never run here (a FailureReason), or None."""
    for container in job.steps:
        if why := servable.unknown(container):
            return f"ClientError: model {job.model!r}: {why}"
    return None
