"""How an update moves an endpoint's traffic from its old fleet to the new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ALL_AT_ONCE, CANARY, LINEAR, ROLLING = "ALL_AT_ONCE", "CANARY", "LINEAR", "ROLLING"
INSTANCE_COUNT, CAPACITY_PERCENT = "INSTANCE_COUNT", "CAPACITY_PERCENT"


@dataclass(frozen=True, slots=True)
class Capacity:
    """A part of a fleet. unit: INSTANCE_COUNT or CAPACITY_PERCENT"""

    unit: str
    value: int

    def share(self, instances: int) -> float:
        """The fraction that this is of a fleet whose largest variant has so many instances.

        >>> Capacity(CAPACITY_PERCENT, 30).share(5), Capacity(INSTANCE_COUNT, 2).share(5)
        (0.3, 0.4)
        >>> Capacity(INSTANCE_COUNT, 9).share(5)
        1.0
        """
        return min(1.0, self.value / (100 if self.unit == CAPACITY_PERCENT else max(1, instances)))


@dataclass(frozen=True, slots=True)
class Deployment:
    """A DeploymentConfig; the default is what an update without one does.

    kind: ALL_AT_ONCE, CANARY, LINEAR (blue/green: the new fleet stands whole before any traffic
    moves) or ROLLING (instances are replaced batch by batch)
    step: what the first shift of a canary, or each shift of the others, moves
    back: what each step of a rolling rollback moves; None: everything
    wait: seconds of baking after each shift · termination: seconds after the last baking for which
    the old fleet is kept · timeout: seconds that all of it may take, or None
    alarms: names of CloudWatch alarms that roll it back
    """

    kind: str = ALL_AT_ONCE
    step: Capacity | None = None
    back: Capacity | None = None
    wait: float = 0.0
    termination: float = 0.0
    timeout: float | None = None
    alarms: tuple[str, ...] = ()


def from_document(document: Mapping[str, Any]) -> Deployment:
    """Read what ``dataclasses.asdict`` made of one."""
    parts = {name: document.get(name) for name in ("step", "back")}
    capacities = {name: part and Capacity(**part) for name, part in parts.items()}
    return Deployment(**{**document, **capacities, "alarms": tuple(document.get("alarms", ()))})
