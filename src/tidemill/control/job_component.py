"""Trial components of jobs: written down with the job, and kept up with what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tidemill.control import experiment as experiments
from tidemill.control import lineage
from tidemill.control.plan import job_component as plan
from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, Invalid, NotFound
from tidemill.spec.event import read
from tidemill.spec.home import WorkerHome
from tidemill.spec.training_job import JobStatus
from tidemill.store.base import Document, Row
from tidemill.store.run_metrics import LARGEST, Point, RunMetrics

UNFINISHED = [status.value for status in JobStatus if not status.is_final]


def beside(
    verbs: Verbs, kind: str, region: str, name: str, request: Mapping[str, Any]
) -> Callable[[Row], Row] | None:
    """Makes the component that is written with a job; None where its request asks for none.

    The trial is made where it is not there. Raises NotFound for an unknown experiment, or for a
    trial that no experiment is named for; Invalid for a trial of another experiment.
    """
    config = request.get("ExperimentConfig", {})
    if not {"ExperimentName", "TrialName"} & config.keys():
        return None
    parent = _parent(verbs, region, name, config)

    def make(job: Row) -> Row:
        document = _document(verbs, job, parent)
        component = name + plan.KINDS[kind].suffix
        old = verbs.store.get(experiments.COMPONENT, region, component)
        if old is not None:  # of an earlier job of that name
            return replace(old, document=document, status=job.status, modified=job.created)
        return replace(job, kind=experiments.COMPONENT, name=component, document=document)

    return make


def settle(verbs: Verbs, runs: RunMetrics, component: Row) -> None:
    """Bring a component up with its job; one that is settled, or of no job, is left alone."""
    of = component.document["state"].get("job")
    if component.status not in UNFINISHED or of is None:
        return
    job = verbs.store.get(of["kind"], component.region, of["name"])
    status = JobStatus.STOPPED.value if job is None else job.status
    if status == component.status:
        return
    if job is not None and JobStatus(status).is_final:
        arn = verbs.arn(component.kind, component.region, component.name)
        runs.replace(arn, list(_points(job)))
        _draw(verbs, component, job)

    def settled(row: Row) -> Row:
        told = {"Status": {"PrimaryStatus": status}} if job is None else _standing(job)
        request = {**row.document["request"], **told}
        return replace(row, status=status, document={**row.document, "request": request})

    with suppress(NotFound):
        verbs.change(component.kind, component.region, component.name, settled)


def settle_job(verbs: Verbs, runs: RunMetrics, kind: str, region: str, name: str) -> None:
    """Bring the component of a job up with it, where it has one: the job is about to go."""
    component = name + plan.KINDS[kind].suffix
    row = verbs.store.get(experiments.COMPONENT, region, component)
    if row is not None:
        settle(verbs, runs, row)


class JobComponents:
    """Keeps the components of jobs up with them; told of their jobs' ends within a second."""

    seconds = 1.0

    def __init__(self, verbs: Verbs, runs: RunMetrics) -> None:
        self._verbs = verbs
        self._runs = runs

    def tick(self, now: float) -> None:
        """One turn. now: epoch seconds"""
        for row in self._verbs.store.unfinished(experiments.COMPONENT, UNFINISHED):
            settle(self._verbs, self._runs, row)


def _parent(verbs: Verbs, region: str, job: str, config: Mapping[str, str]) -> dict[str, str]:
    """The trial that the component joins, made where it is not there."""
    experiment, trial = config.get("ExperimentName"), config.get("TrialName", f"{job}-aws-trial")
    if experiment is not None:
        request = {"TrialName": trial, "ExperimentName": experiment}
        with suppress(Conflict):
            experiments.create_trial(verbs, region, trial, request, {})
    found = verbs.describe(experiments.TRIAL, region, trial).document["request"]["ExperimentName"]
    if experiment not in (None, found):
        raise Invalid(
            f"a trial of experiment {experiment!r}",
            got=f"{trial}, of experiment {found!r}",
            do="Name the trial's own experiment, or another trial.",
        )
    return {"TrialName": trial, "ExperimentName": found}


def _document(verbs: Verbs, job: Row, parent: Mapping[str, str]) -> Document:
    request, kind = job.document["request"], plan.KINDS[job.kind]
    config = request["ExperimentConfig"]
    source = {"SourceArn": verbs.arn(job.kind, job.region, job.name), "SourceType": kind.source}
    shown = config.get("TrialComponentDisplayName")
    told = {
        **({"DisplayName": shown} if shown else {}),
        "Parameters": plan.parameters(job.kind, request),
        "InputArtifacts": plan.inputs(job.kind, request),
        "Status": {"PrimaryStatus": job.status},
        "StartTime": job.created,
    }
    state = {
        "parents": [dict(parent)],
        "source": source,
        "job": {"kind": job.kind, "name": job.name},
        "run": config.get("RunName"),
    }
    document: Document = {"request": told, "state": state}
    return {**document, "labels": experiments.labels(document)}


def _standing(job: Row) -> dict[str, Any]:
    """How the job goes, as a component tells it."""
    state = job.document["state"]
    failure = state.get("failure")
    message = {"Message": failure[:1024]} if failure else {}
    told: dict[str, Any] = {"Status": {"PrimaryStatus": job.status, **message}}
    if state.get("started"):
        told["StartTime"] = state["started"]
    if state.get("ended"):
        told["EndTime"] = state["ended"]
    if job.status == JobStatus.COMPLETED.value:
        told["OutputArtifacts"] = plan.outputs(job.kind, job.document["request"], state)
    return told


def _draw(verbs: Verbs, component: Row, job: Row) -> None:
    """The lineage of a job that is over."""
    request, state = job.document["request"], job.document["state"]
    done = job.status == JobStatus.COMPLETED.value
    made = plan.made(job.kind, request, state) if done else []
    lineage.record_job(verbs, component, plan.used(job.kind, request), made)


def _points(job: Row) -> Iterator[Point]:
    """Every value that the job's workers have told."""
    for path in sorted(Path(job.document["state"]["home"]).glob("algo-*")):
        with suppress(FileNotFoundError), WorkerHome(path).events.open("rb") as file:
            for event in read(file):
                told = event.kind == "metric" and event.value is not None
                if told and abs(event.value or 0.0) <= LARGEST:
                    yield Point(event.name, event.value or 0.0, event.time)
