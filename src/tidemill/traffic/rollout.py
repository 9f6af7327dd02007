"""How far an update has come, and its next move: a decision, not an action."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidemill.errors import Invalid
from tidemill.spec import deployment as deployments
from tidemill.spec.deployment import CANARY, LINEAR, ROLLING, Deployment

CREATING, ACTIVATING, BAKING, TERMINATING, DONE, BACK, UNDONE = (
    "Creating",
    "ActivatingTraffic",
    "Baking",
    "Deleting",
    "Done",
    "RollingBack",
    "Undone",
)
"""Stages. Replicas are being started · a shift has just been made · and is being watched · all is
shifted and the old fleet is kept for a while · over · the traffic goes back · is back."""

ACTIVATION = 0.2
"""Seconds in which a shift reaches the router; only then does its baking begin."""

SMALLEST = {CANARY: 0.0, LINEAR: 0.1, ROLLING: 0.05}
LARGEST = 0.5
"""What part of a variant's instances one step may be."""
SIZES = {CANARY: "CanarySize", LINEAR: "LinearStepSize", ROLLING: "MaximumBatchSize"}


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where a deployment stands.

    started, since: when it began, and when this stage did · instances: of the largest new variant
    before: of the largest old one · shifts: made so far · share: of the traffic that the new fleet
    takes · reason: why it is rolled back
    """

    deployment: Deployment
    started: float
    since: float
    instances: int
    before: int
    stage: str = CREATING
    shifts: int = 0
    share: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is so now.

    ready: all replicas wanted of the fleet that is to take more traffic are · failure: why the new
    fleet will never be ready · alarming: names of alarms that are in ALARM
    emptied: no replica of the new fleet is left
    """

    now: float
    ready: bool = False
    failure: str = ""
    alarming: Collection[str] = ()
    emptied: bool = False


def begin(deployment: Deployment, *, old: int, new: int, now: float) -> Rollout:
    """A rollout just asked for; old, new: instances of each fleet's largest variant."""
    return Rollout(deployment, now, now, instances=new, before=old)


def from_document(document: Mapping[str, Any] | None) -> Rollout | None:
    """Read what ``dataclasses.asdict`` made of one; nothing of nothing."""
    if document is None:
        return None
    deployment = deployments.from_document(document["deployment"])
    return Rollout(**{**document, "deployment": deployment})


def share_after(deployment: Deployment, instances: int, shifts: int) -> float:
    """The share of the traffic that the new fleet takes after so many shifts.

    >>> from tidemill.spec.deployment import LINEAR, Capacity
    >>> canary = Deployment(CANARY, Capacity("CAPACITY_PERCENT", 10))
    >>> [share_after(canary, 4, n) for n in range(4)]
    [0.0, 0.1, 1.0, 1.0]
    >>> linear = Deployment(LINEAR, Capacity("INSTANCE_COUNT", 1))
    >>> [share_after(linear, 3, n) for n in range(4)]
    [0.0, 0.333333333, 0.666666667, 1.0]
    """
    if shifts == 0:
        return 0.0
    if deployment.step is None or (deployment.kind == CANARY and shifts > 1):
        return 1.0
    return min(1.0, round(shifts * deployment.step.share(instances), 9))


def shifts_in_all(deployment: Deployment, instances: int) -> int:
    """How many shifts move all the traffic.

    >>> from tidemill.spec.deployment import Capacity
    >>> shifts_in_all(Deployment(ROLLING, Capacity("CAPACITY_PERCENT", 30)), 10)
    4
    """
    if deployment.step is None:
        return 1
    if deployment.kind == CANARY:
        return 2
    return math.ceil(round(1.0 / deployment.step.share(instances), 9))


def waits_in_all(deployment: Deployment, instances: int) -> float:
    """Seconds of baking and termination wait: less than any deployment takes."""
    return shifts_in_all(deployment, instances) * deployment.wait + deployment.termination


def check(deployment: Deployment, instances: int) -> None:
    """Raise Invalid for a deployment that does not fit a fleet.

    instances: of its largest variant
    """
    step, timeout = deployment.step, deployment.timeout
    if step is not None:
        least = SMALLEST[deployment.kind]
        if not least <= round(step.share(instances), 9) <= LARGEST:
            raise Invalid(
                f"{SIZES[deployment.kind]} must be from {least:.0%} to {LARGEST:.0%} of the "
                f"variant's total instance count ({instances})",
                got=f"{step.value} {step.unit}",
                do="Give another size, or more instances.",
            )
    least_time = waits_in_all(deployment, instances)
    if timeout is not None and timeout <= least_time:
        raise Invalid(
            "MaximumExecutionTimeoutInSeconds must be larger than the total waiting time of "
            f"WaitIntervalInSeconds and TerminationWaitInSeconds ({least_time:g})",
            got=f"{timeout:g}",
            do="Raise it, or wait less.",
        )


def wanted(rollout: Rollout, *, old: int, new: int) -> tuple[int, int]:
    """How many replicas a variant needs in the old fleet and in the new one, now.

    old, new: instances that the variant has in each config (0: it is not there)

    >>> from tidemill.spec.deployment import Capacity
    >>> half = Deployment(ROLLING, Capacity("CAPACITY_PERCENT", 50))
    >>> wanted(begin(half, old=4, new=4, now=0.0), old=4, new=4)
    (4, 2)
    """
    if rollout.stage in (DONE, UNDONE):
        return (0, new) if rollout.stage == DONE else (old, 0)
    if rollout.deployment.kind != ROLLING:
        return (old, 0 if _is_back(rollout) else new)
    serving, coming = _shares(rollout)
    return _of(old, serving), _of(new, coming)


def advance(rollout: Rollout, facts: Facts) -> Rollout:
    """The next move, or the same rollout when there is none to make yet."""
    if rollout.stage in (DONE, UNDONE):
        return rollout
    if rollout.stage == BACK:
        return _go_back(rollout, facts)
    reason = _trouble(rollout, facts)
    if reason:
        return _turn(rollout, reason, facts.now)
    return _MOVES[rollout.stage](rollout, facts)


def _shares(rollout: Rollout) -> tuple[float, float]:
    """What the old and the new fleet of a rolling update must be able to bear.

    Old replicas stay until the shift that makes them superfluous has been watched.
    """
    if rollout.stage == BACK:
        return min(1.0, 1.0 - rollout.share + _back_step(rollout)), rollout.share
    if rollout.stage == CREATING:
        return 1.0 - rollout.share, _share(rollout, rollout.shifts + 1)
    if rollout.stage == TERMINATING:
        return 0.0, 1.0
    return 1.0 - _share(rollout, rollout.shifts - 1), rollout.share


def _of(instances: int, share: float) -> int:
    return math.ceil(round(instances * share, 6))


def _share(rollout: Rollout, shifts: int) -> float:
    return share_after(rollout.deployment, rollout.instances, shifts)


def _back_step(rollout: Rollout) -> float:
    deployment = rollout.deployment
    if deployment.kind != ROLLING or deployment.back is None:
        return 1.0
    return deployment.back.share(rollout.before)


def _is_back(rollout: Rollout) -> bool:
    return rollout.stage == BACK and rollout.share == 0.0


def _trouble(rollout: Rollout, facts: Facts) -> str:
    """Why the rollout must be given up, or nothing."""
    if facts.failure:
        return facts.failure
    mine = [name for name in rollout.deployment.alarms if name in facts.alarming]
    if mine:
        return (
            f"The deployment was rolled back because of alarms in state ALARM: {', '.join(mine)}. "
            "Mend what they watch, or the alarms, and update again."
        )
    timeout = rollout.deployment.timeout
    late = timeout is not None and facts.now - rollout.started > timeout
    if late and rollout.stage != TERMINATING:
        return (
            f"The deployment was rolled back because it took longer than "
            f"MaximumExecutionTimeoutInSeconds ({timeout:g})."
        )
    return ""


def _turn(rollout: Rollout, reason: str, now: float) -> Rollout:
    """Give back at once what the old fleet can bear as it stands."""
    if rollout.deployment.kind != ROLLING:
        share = 0.0
    elif rollout.stage in (ACTIVATING, BAKING):
        share = _share(rollout, rollout.shifts - 1)
    else:
        share = rollout.share
    return replace(rollout, stage=BACK, since=now, share=share, reason=reason[:1024])


def _go_back(rollout: Rollout, facts: Facts) -> Rollout:
    if rollout.share > 0.0:
        share = max(0.0, round(rollout.share - _back_step(rollout), 9))
        return replace(rollout, share=share) if facts.ready else rollout
    # What has never taken traffic need not be waited for.
    if facts.emptied or rollout.shifts == 0:
        return replace(rollout, stage=UNDONE, since=facts.now)
    return rollout


def _create(rollout: Rollout, facts: Facts) -> Rollout:
    if not facts.ready:
        return rollout
    shifts = rollout.shifts + 1
    share = _share(rollout, shifts)
    return replace(rollout, stage=ACTIVATING, since=facts.now, shifts=shifts, share=share)


def _activate(rollout: Rollout, facts: Facts) -> Rollout:
    over = not rollout.deployment.wait or facts.now - rollout.since >= ACTIVATION
    return replace(rollout, stage=BAKING, since=facts.now) if over else rollout


def _bake(rollout: Rollout, facts: Facts) -> Rollout:
    if facts.now - rollout.since < rollout.deployment.wait:
        return rollout
    stage = CREATING if rollout.share < 1.0 else TERMINATING
    return replace(rollout, stage=stage, since=facts.now)


def _terminate(rollout: Rollout, facts: Facts) -> Rollout:
    if facts.now - rollout.since < rollout.deployment.termination:
        return rollout
    return replace(rollout, stage=DONE, since=facts.now)


_MOVES = {CREATING: _create, ACTIVATING: _activate, BAKING: _bake, TERMINATING: _terminate}
