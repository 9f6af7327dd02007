"""One step of one job, of whatever kind: look at its workers, plan, act."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tidemill.control import processing_job, training_job, transform_job
from tidemill.control.job import Work, shared
from tidemill.control.plan import training_job as plan
from tidemill.control.plan.step import Seen, Start, Step
from tidemill.control.workers import Workers
from tidemill.spec.home import Home, WorkerHome
from tidemill.spec.training_job import JobStatus
from tidemill.store.base import Row

KINDS: Mapping[str, Callable[[Row], Work]] = {
    processing_job.KIND: processing_job.work,
    training_job.KIND: training_job.work,
    transform_job.KIND: transform_job.work,
}
"""What the workers of each kind of job do."""


def size(row: Row) -> int:
    """How many workers the job has."""
    return len(KINDS[row.kind](row).hosts)


def waits(row: Row) -> bool:
    """Whether no worker of the job was ever started."""
    return not plan.from_document(row.document["state"]).has_begun


def busy(row: Row, step: Step[plan.JobState] | None) -> int:
    """How many workers the job keeps after a step, or after one that went wrong."""
    if step is None:
        step = Step(row.status, plan.from_document(row.document["state"]))
    if JobStatus(step.status).is_final or not step.state.has_begun:
        return 0
    return size(row) - len(step.state.exits)


def advance(
    row: Row, workers: Workers, home: Home, now: float, *, has_room: bool
) -> Step[plan.JobState]:
    """Do what the job needs now, and return where it stands after that; may be repeated.

    has_room: whether a job that has not begun may do so
    """
    work = KINDS[row.kind](row)
    hosts = work.hosts
    # Ends before events: whatever a worker told before it ended is then taken in with its end.
    old = plan.from_document(row.document["state"])
    known = _adopt(old, hosts, workers, now)
    seen = _look(known, hosts, workers)
    state = _listen(known, hosts, seen, workers)
    step = plan.plan(
        JobStatus(row.status),
        state,
        hosts=hosts,
        max_seconds=work.max_seconds,
        seen=seen,
        problem=None if old.attempts else work.problem(),
        now=now,
        has_room=has_room,
        grace=work.grace,
    )
    state = step.state
    for effect in step.effects:
        if isinstance(effect, Start):
            task = work.task(state, effect.worker, home)
            Path(task["shared"]).mkdir(parents=True, exist_ok=True)
            handle = workers.start(_place(state, effect.worker), task)
            state = plan.launched(state, effect.worker, handle, now)
        else:
            workers.stop(known.handles[effect.worker], effect.grace)
    if JobStatus(step.status).is_final:
        _clear(state, hosts)
    changed = (row.status, old) != (step.status, state)
    return replace(step, state=state, changed=changed)


# Of users' programs: their source, packages and outputs, and what they wrote over their inputs.
_OF_PROGRAMS = ("code", "python", ".shields", "output/data", "output/intermediate")


def _clear(state: plan.JobState, hosts: Sequence[str]) -> None:
    """Remove what only a running job needs; its links would keep deleted objects on the disk."""
    homes = [WorkerHome(_place(state, host)) for host in hosts]
    used = [
        place
        for home in homes
        for place in (home.data, home.checkpoints, home.model, home.processing)
    ]
    used += [home.root / name for home in homes for name in _OF_PROGRAMS]
    for place in (*used, shared(state)):
        shutil.rmtree(place, ignore_errors=True)


def _place(state: plan.JobState, host: str) -> Path:
    return Path(state.home) / host


def _adopt(
    state: plan.JobState, hosts: Sequence[str], workers: Workers, now: float
) -> plan.JobState:
    """Take over workers that were started in the last moment of another control plane."""
    for host in hosts:
        if host not in state.handles and host not in state.exits:
            handle = workers.find(_place(state, host))
            if handle is not None:
                state = plan.launched(state, host, handle, now)
    return state


def _look(state: plan.JobState, hosts: Sequence[str], workers: Workers) -> dict[str, Seen]:
    found = {}
    for host in hosts:
        if host in state.handles:
            found[host] = workers.seen(_place(state, host), state.handles[host])
        elif host not in state.exits:
            found[host] = workers.finished(_place(state, host))
    return {host: seen for host, seen in found.items() if seen is not None}


def _listen(
    state: plan.JobState, hosts: Sequence[str], seen: Mapping[str, Seen], workers: Workers
) -> plan.JobState:
    for host in hosts:
        has_new = True
        while has_new:
            offset = state.read.get(host, 0)
            events, end = workers.events(_place(state, host), offset)
            if end > offset:
                state = replace(plan.observe(state, events), read={**state.read, host: end})
            # Of one that runs the rest comes next time. One that has ended may have told much while
            # nobody listened, its artifact last; after this round nobody listens any more.
            has_new = end > offset and host in seen
    return state
