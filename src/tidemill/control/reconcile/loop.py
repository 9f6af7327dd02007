"""Makes what is wanted come true: looks, asks the plan, acts, writes down; again and again.

Every action may be repeated and every moment may be the last. A worker that was started but not
written down is found by its home's lock; events are taken in together with the offset up to
which they were read; a row that somebody changed meanwhile is looked at anew.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

from tidemill.control import alarm, endpoint
from tidemill.control.demand import Demands
from tidemill.control.health import Health
from tidemill.control.plan import endpoint as endpoint_plan
from tidemill.control.plan import fleet
from tidemill.control.plan import training_job as job_plan
from tidemill.control.plan.queue import Room
from tidemill.control.plan.step import Step
from tidemill.control.reconcile import endpoint as endpoint_step
from tidemill.control.reconcile import job as job_step
from tidemill.control.reconcile.duty import Duties, Duty
from tidemill.control.routes import Routes
from tidemill.control.verbs import Verbs
from tidemill.control.workers import Workers
from tidemill.errors import Conflict, NotReady
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.home import Home
from tidemill.spec.training_job import JobStatus
from tidemill.store.base import Document, Row
from tidemill.traffic.serverless import Policy

BUSY_POLL, QUIET_POLL = 0.25, 1.0
"""Seconds between two looks when nothing wakes the loop: while things change, and when none do."""

_LOG = logging.getLogger(__name__)
_UNFINISHED_JOBS = [s.value for s in JobStatus if not s.is_final]
_ENDPOINTS = [s.value for s in EndpointStatus]


class _State(Protocol):
    def to_document(self) -> Document: ...


State = TypeVar("State", bound=_State)
JobStep = Step[job_plan.JobState]
EndpointStep = Step[fleet.EndpointState]


class Reconciler:
    """One round is ``tick``; ``run`` goes round until it is told to stop.

    most_workers: of jobs that may run at once; other jobs wait for their turn
    duties: what else is done from time to time, between rounds · serverless: when the replicas of
    serverless variants come and go
    """

    def __init__(
        self,
        verbs: Verbs,
        home: Home,
        workers: Workers,
        health: Health,
        *,
        most_workers: int,
        duties: Sequence[Duty] = (),
        serverless: Policy = Policy(),  # noqa: B008 - frozen
    ) -> None:
        self._verbs = verbs
        self._home = home
        self._workers = workers
        self._health = health
        self._most_workers = most_workers
        self._routes = Routes(home.routes, verbs.account)
        self._duties = Duties(duties)
        self._demands = Demands(home.demand)
        self._serverless = serverless

    def run(self, over: threading.Event, wait: Callable[[float], None]) -> None:
        """Go round until ``over``; ``wait`` sleeps for so many seconds, or until woken."""
        while not over.is_set():
            began, settled = time.perf_counter(), False
            try:
                settled = self.tick()
            except Exception:  # a full disk, say: the next round may find it mended
                _LOG.exception("a round of reconciliation failed")
            self._duties.tick(self._verbs.clock(), began)
            # With very many endpoints a round takes long: leave half the time to the gateway.
            over.wait(time.perf_counter() - began)
            wait(QUIET_POLL if settled else BUSY_POLL)

    def tick(self) -> bool:
        """Bring every job and endpoint one step further; whether all are where they should be."""
        store = self._verbs.store
        self._demands.read()
        jobs = [r for kind in job_step.KINDS for r in store.unfinished(kind, _UNFINISHED_JOBS)]
        self._jobs(jobs)
        steps = [
            (row, self._step(row, self._endpoint))
            for row in store.unfinished(endpoint.KIND, _ENDPOINTS)
        ]
        # Routes before rows: who is told that an endpoint is in service finds it so.
        self._publish(steps)
        for row, step in steps:
            self._write(row, step)
        if any(step is not None and _has_idle(row, step) for row, step in steps):
            self._verbs.wake()  # written down, and now to be started
        return not jobs and all(step is not None and _settled(step) for _, step in steps)

    def _jobs(self, rows: Sequence[Row]) -> None:
        """Those that run first: where one of them has just ended another may begin."""
        room = Room(self._most_workers)
        for row in sorted(rows, key=lambda r: (job_step.waits(r), r.serial)):  # the older first
            has_room = not job_step.waits(row) or room.fits(job_step.size(row))
            step = self._step(row, partial(self._job, has_room=has_room))
            self._write(row, step)
            room.take(job_step.busy(row, step))

    def _job(self, row: Row, has_room: bool) -> JobStep:
        now = self._verbs.clock()
        return job_step.advance(row, self._workers, self._home, now, has_room=has_room)

    def _endpoint(self, row: Row) -> EndpointStep:
        hangs, now = self._health.hangs, self._verbs.clock()
        state = partial(alarm.state, self._verbs, row.region)
        demand, policy = self._demands.of(row.region, row.name), self._serverless
        return endpoint_step.advance(
            row, self._workers, self._home, hangs, state, now, demand, policy
        )

    def _step(self, row: Row, advance: Callable[[Row], Step[State]]) -> Step[State] | None:
        """What to write down, or None when this row's turn went wrong; others go on."""
        try:
            return advance(row)
        except NotReady as error:
            _LOG.info("%s %s in %s waits: %s", row.kind, row.name, row.region, error)
            return None
        except Exception:
            _LOG.exception("%s %s in %s: this turn failed", row.kind, row.name, row.region)
            return None

    def _publish(self, steps: list[tuple[Row, EndpointStep | None]]) -> None:
        standing = [
            (row, step or Step(row.status, fleet.from_document(row.document["state"])))
            for row, step in steps
        ]
        self._routes.publish(
            endpoint_plan.route(row.name, row.region, step.state)
            for row, step in standing
            if EndpointStatus(step.status).takes_traffic
        )
        self._health.watch(
            {
                replica.handle: replica.address
                for _, step in standing
                for replica in step.state.replicas.values()
                if replica.handle and replica.ready and replica.address
            }
        )

    def _write(self, row: Row, step: Step[State] | None) -> None:
        if step is None:
            return
        try:
            if step.gone:
                self._remove(row, step)
            elif step.changed:
                document = {**row.document, "state": step.state.to_document()}
                now = self._verbs.clock()
                row = replace(row, status=step.status, document=document, modified=now)
                self._verbs.store.update(row)
        except Conflict:  # somebody was faster: look at what they wrote at once
            self._verbs.wake()

    def _remove(self, row: Row, step: Step[Any]) -> None:
        endpoint_step.clear(row, step.state, self._home)
        arn = self._verbs.arn(row.kind, row.region, row.name)
        self._verbs.store.delete(row, arn=arn)


def _has_idle(row: Row, step: EndpointStep) -> bool:
    """Whether a replica has just been made, or has just ended."""
    before = row.document["state"]["replicas"]
    return any(
        not replica.handle and (id not in before or before[id]["handle"])
        for id, replica in step.state.replicas.items()
    )


def _settled(step: EndpointStep) -> bool:
    replicas = step.state.replicas.values()
    steady = not step.changed and step.state.rollout is None
    return steady and all(r.ready and r.retired is None for r in replicas)
