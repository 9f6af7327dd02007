"""What an inference experiment needs next: a decision, not an action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.endpoint_config import ProductionVariant
from tidemill.spec.inference_experiment import Experiment, ExperimentStatus

_STEADY = {True: ExperimentStatus.RUNNING, False: ExperimentStatus.CREATED}


@dataclass(frozen=True, slots=True)
class State:
    """config, variants: that the endpoint has, or is to have · runs: with copies being made
    asked: the endpoint has been told · goal: how it ends once it is stopped · reason: why it stands
    as it does · started, ended: epoch seconds
    """

    config: str
    variants: tuple[ProductionVariant, ...]
    runs: bool
    asked: bool = False
    goal: str = ExperimentStatus.COMPLETED.value
    reason: str = ""
    started: float | None = None
    ended: float | None = None

    def to_document(self) -> dict[str, Any]:
        return asdict(self)


def from_document(document: Mapping[str, Any]) -> State:
    """Read what ``to_document`` wrote."""
    variants = tuple(ProductionVariant(**v) for v in document["variants"])
    return State(**{**document, "variants": variants})


@dataclass(frozen=True, slots=True)
class Found:
    """An endpoint as it stands. config: of the fleet that takes its traffic · pending: of the one
    that an update brings, or empty · failure: why its last update failed, or empty
    """

    status: EndpointStatus
    config: str
    pending: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Next:
    """Where the experiment stands now, and whether the endpoint is to be told of its config."""

    status: ExperimentStatus
    state: State
    deploys: bool = False


def deployed(
    state: State, config: str, variants: Sequence[ProductionVariant], *, runs: bool
) -> State:
    """The state once the endpoint is to have another config."""
    return replace(state, config=config, variants=tuple(variants), runs=runs, asked=False)


def advance(
    status: ExperimentStatus,
    state: State,
    wanted: Experiment,
    found: Found | None,
    now: float,
    fresh: str,
) -> Next:
    """One step. found: None when the endpoint is gone · fresh: a name for another config"""
    if found is None or found.status in (EndpointStatus.DELETING, EndpointStatus.FAILED):
        return _cancelled(state, f"Endpoint {wanted.endpoint!r} is gone.", now)
    if status.is_steady:
        return _hold(status, state, wanted, found, now, fresh)
    if found.status is EndpointStatus.IN_SERVICE and found.config == state.config:
        return _arrived(status, state, now)
    if found.pending == state.config:
        return Next(status, replace(state, asked=True))
    if found.status is not EndpointStatus.IN_SERVICE:
        return Next(status, state)  # somebody else's update: wait for its end
    if state.asked:
        why = found.failure or "The endpoint was updated by other hands."
        return _cancelled(state, why, now)
    return Next(status, state, deploys=True)


def _hold(
    status: ExperimentStatus,
    state: State,
    wanted: Experiment,
    found: Found,
    now: float,
    fresh: str,
) -> Next:
    """While nothing is deployed: look at the clock, and whether the endpoint is still ours."""
    other = found.pending or (found.config if found.config != state.config else "")
    if other:
        why = f"The endpoint was updated to config {other!r} by other hands."
        return _cancelled(state, why, now)
    if status is ExperimentStatus.CREATED and now >= wanted.start:
        begun = deployed(state, fresh, wanted.variants(runs=True), runs=True)
        return Next(ExperimentStatus.STARTING, begun)
    if status is ExperimentStatus.RUNNING and now >= wanted.end:
        source = wanted.variants(runs=False)[:1]
        over = deployed(state, fresh, source, runs=False)
        return Next(ExperimentStatus.STOPPING, replace(over, reason="The schedule has ended."))
    return Next(status, state)


def _arrived(status: ExperimentStatus, state: State, now: float) -> Next:
    """The endpoint has the config that it was to have."""
    if status is ExperimentStatus.STOPPING:
        return Next(ExperimentStatus(state.goal), replace(state, ended=now))
    if state.runs and state.started is None:
        state = replace(state, started=now)
    return Next(_STEADY[state.runs], state)


def _cancelled(state: State, why: str, now: float) -> Next:
    return Next(ExperimentStatus.CANCELLED, replace(state, reason=why[:1024], ended=now))
