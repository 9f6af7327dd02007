"""An endpoint: where it may stand, and which moves are allowed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class EndpointStatus(Enum):
    """The words AWS uses, because clients compare them."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    ROLLING_BACK = "RollingBack"
    UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"
    FAILED = "Failed"
    DELETING = "Deleting"

    @property
    def takes_traffic(self) -> bool:
        """Whether invocations are answered in this state."""
        return self in (
            EndpointStatus.IN_SERVICE,
            EndpointStatus.UPDATING,
            EndpointStatus.ROLLING_BACK,
            EndpointStatus.UPDATE_ROLLBACK_FAILED,
        )


MOVES: dict[EndpointStatus, frozenset[EndpointStatus]] = {
    EndpointStatus.CREATING: frozenset(
        {EndpointStatus.IN_SERVICE, EndpointStatus.FAILED, EndpointStatus.DELETING}
    ),
    EndpointStatus.IN_SERVICE: frozenset({EndpointStatus.UPDATING, EndpointStatus.DELETING}),
    EndpointStatus.UPDATING: frozenset(
        {
            EndpointStatus.IN_SERVICE,
            EndpointStatus.ROLLING_BACK,
            EndpointStatus.UPDATE_ROLLBACK_FAILED,
            EndpointStatus.DELETING,
        }
    ),
    EndpointStatus.ROLLING_BACK: frozenset(
        {
            EndpointStatus.IN_SERVICE,
            EndpointStatus.UPDATE_ROLLBACK_FAILED,
            EndpointStatus.DELETING,
        }
    ),
    # The rollback is tried on; what has been mended meanwhile makes it succeed.
    EndpointStatus.UPDATE_ROLLBACK_FAILED: frozenset(
        {EndpointStatus.IN_SERVICE, EndpointStatus.DELETING}
    ),
    EndpointStatus.FAILED: frozenset({EndpointStatus.DELETING}),
    EndpointStatus.DELETING: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """As CreateEndpoint asks for it. config: the name of its endpoint config."""

    name: str
    arn: str
    region: str
    config: str
