"""One step of one endpoint: look at its replicas, plan, act."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tidemill.control import endpoint, learning
from tidemill.control.plan import endpoint as plan
from tidemill.control.plan import fleet
from tidemill.control.plan.step import Seen, Step, Stop
from tidemill.control.workers import Workers
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.home import Home, WorkerHome
from tidemill.spec.serverless import Demand
from tidemill.store.base import Row
from tidemill.traffic.serverless import Policy


def advance(
    row: Row,
    workers: Workers,
    home: Home,
    hangs: Callable[[str], bool],
    alarm: Callable[[str], str | None],
    now: float,
    demand: Demand | None = None,
    policy: Policy = Policy(),  # noqa: B008 - frozen
) -> Step[fleet.EndpointState]:
    """Do what the endpoint needs now, and return where it stands after that; may be repeated.

    hangs: whether the process of a handle has stopped to answer · alarm: the state of one by name
    demand, policy: for serverless variants
    """
    old = fleet.from_document(row.document["state"])
    known = _adopt(old, workers, now)
    # Ends before events: whatever a replica told before it ended is then taken in with its end.
    seen = {
        id: found
        for id, replica in known.replicas.items()
        if replica.handle and (found := _look(known, id, workers, hangs)) is not None
    }
    state = _listen(known, workers)
    watched = state.rollout.deployment.alarms if state.rollout is not None else ()
    alarming = [name for name in watched if alarm(name) == "ALARM"]
    step = plan.plan(
        EndpointStatus(row.status),
        state,
        seen=seen,
        now=now,
        alarming=alarming,
        demand=demand,
        policy=policy,
    )
    state = step.state
    for effect in step.effects:
        if isinstance(effect, Stop):
            workers.stop(known.replicas[effect.worker].handle, effect.grace)
        elif effect.worker in old.replicas and not old.replicas[effect.worker].handle:
            # Others are written down first, as new or as ended, and started in the next round: were
            # we to die between a start and its note, nobody would know whose process that is, and
            # what it has told would be taken for the last words of the one before it.
            task = endpoint.task(row, state, effect.worker, home)
            handle = workers.start(_place(state, effect.worker), task)
            state = fleet.launched(state, effect.worker, handle, now)
    for id in old.replicas.keys() - state.replicas.keys():
        # Its log stays for whoever asks why it went.
        shutil.rmtree(WorkerHome(_place(state, id)).model, ignore_errors=True)
    for place in learning.done_with(old, state):
        shutil.rmtree(place, ignore_errors=True)
    changed = (row.status, old) != (step.status, state)
    return replace(step, state=state, changed=changed)


def clear(row: Row, state: fleet.EndpointState, home: Home) -> None:
    """Remove what an endpoint that is gone has left on disk."""
    shutil.rmtree(state.home, ignore_errors=True)
    for number in range(1, state.made + 1):
        endpoint.socket_of(row, f"r{number}", home).unlink(missing_ok=True)


def _place(state: fleet.EndpointState, id: str) -> Path:
    return Path(state.home) / id


def _adopt(state: fleet.EndpointState, workers: Workers, now: float) -> fleet.EndpointState:
    """Take over replicas that were started in the last moment of another control plane."""
    for id, replica in state.replicas.items():
        handle = None if replica.handle else workers.find(_place(state, id))
        if handle is not None:
            state = fleet.launched(state, id, handle, now)
    return state


def _look(
    state: fleet.EndpointState, id: str, workers: Workers, hangs: Callable[[str], bool]
) -> Seen | None:
    handle = state.replicas[id].handle
    found = workers.seen(_place(state, id), handle)
    return Seen(None) if found is None and hangs(handle) else found


def _listen(state: fleet.EndpointState, workers: Workers) -> fleet.EndpointState:
    """Take in what replicas tell; one that ended before it was written down says nothing more."""
    replicas = dict(state.replicas)
    for id, replica in replicas.items():
        events, end = workers.events(_place(state, id), replica.read)
        if end > replica.read:
            told = fleet.observe(replica, events) if replica.handle else replica
            replicas[id] = replace(told, read=end)
    return replace(state, replicas=replicas)
