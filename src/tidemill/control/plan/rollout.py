"""What an update of an endpoint needs next: its two fleets, staffed for the traffic they take."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tidemill.control.plan import staff
from tidemill.control.plan.fleet import EndpointState, Fleet
from tidemill.spec.deployment import Deployment
from tidemill.spec.endpoint import EndpointStatus
from tidemill.traffic import rollout as moves
from tidemill.traffic.rollout import Facts, Rollout


def begin(deployment: Deployment, live: Fleet, pending: Fleet, now: float) -> Rollout:
    """The rollout of an update that has just been asked for."""
    return moves.begin(deployment, old=largest(live), new=largest(pending), now=now)


def largest(fleet: Fleet) -> int:
    """Instances of the largest variant, of which batch sizes are a part.

    One at the least: a variant of an asynchronous endpoint may have none at the moment.
    """
    return max((v.count for v in fleet.variants if not v.shadow and v.count), default=1)


def advance(
    status: EndpointStatus,
    state: EndpointState,
    pending: Fleet,
    now: float,
    alarming: Collection[str],
) -> tuple[EndpointStatus, EndpointState]:
    """Make every move that can be made now, then give each fleet the replicas it needs."""
    # An update that an older release began has no rollout written down.
    rollout = state.rollout or begin(Deployment(), state.live, pending, now)
    while (after := moves.advance(rollout, _facts(rollout, state, pending, now, alarming))) != (
        rollout
    ):
        rollout = after
    state = _staff(replace(state, rollout=rollout), rollout, pending, now)
    if rollout.stage == moves.DONE:
        return EndpointStatus.IN_SERVICE, staff.take_effect(_switch(state, pending))
    if rollout.stage == moves.UNDONE:
        state = replace(state, pending=None, rollout=None, failure=rollout.reason)
        return EndpointStatus.IN_SERVICE, state
    if rollout.stage == moves.BACK:
        return _back(status, state, rollout, now)
    return EndpointStatus.UPDATING, state


def _facts(
    rollout: Rollout,
    state: EndpointState,
    pending: Fleet,
    now: float,
    alarming: Collection[str],
) -> Facts:
    old, new = _wanted(rollout, state.live, pending)
    return Facts(
        now=now,
        ready=staff.all_ready(state, old if rollout.stage == moves.BACK else new),
        failure=staff.failure(state, pending, now) or "",
        alarming=alarming,
        emptied=all(r.generation != pending.generation for r in state.replicas.values()),
    )


def _wanted(rollout: Rollout, live: Fleet, pending: Fleet) -> tuple[Fleet, Fleet]:
    """Both fleets with the counts that they need now."""
    old = [moves.wanted(rollout, old=v.count, new=0)[0] for v in live.variants]
    new = [moves.wanted(rollout, old=0, new=v.count)[1] for v in pending.variants]
    return _with_counts(live, old), _with_counts(pending, new)


def _with_counts(fleet: Fleet, counts: list[int]) -> Fleet:
    pairs = zip(fleet.variants, counts, strict=True)
    return replace(fleet, variants=tuple(replace(v, count=count) for v, count in pairs))


def _staff(state: EndpointState, rollout: Rollout, pending: Fleet, now: float) -> EndpointState:
    old, new = _wanted(rollout, state.live, pending)
    state = staff.staff(state, old, now)
    # What has never taken traffic has nothing to finish.
    return staff.staff(state, new, now, drain=staff.DRAIN if rollout.shifts else 0.0)


def _switch(state: EndpointState, pending: Fleet) -> EndpointState:
    return replace(
        state,
        config=pending.config,
        generation=pending.generation,
        variants=pending.variants,
        capture=pending.capture,
        asynchronous=pending.asynchronous,
        pending=None,
        rollout=None,
        failure=None,
    )


def _back(
    status: EndpointStatus, state: EndpointState, rollout: Rollout, now: float
) -> tuple[EndpointStatus, EndpointState]:
    """Rolling back; when the old fleet cannot be had again both go on, and it is tried further."""
    stuck = staff.failure(state, state.live, now) if rollout.share else None
    if stuck is not None:
        reason = f"{rollout.reason} The rollback failed, too, and is tried again: {stuck}"
        return EndpointStatus.UPDATE_ROLLBACK_FAILED, replace(state, failure=reason[:1024])
    state = replace(state, failure=state.failure or rollout.reason)
    if status is EndpointStatus.UPDATE_ROLLBACK_FAILED:
        return status, state
    return EndpointStatus.ROLLING_BACK, state
