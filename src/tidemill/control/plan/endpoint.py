"""What an endpoint needs next: a decision, not an action."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from tidemill.control.plan import rollout, serverless, staff
from tidemill.control.plan.fleet import Deployed, EndpointState, Fleet
from tidemill.control.plan.step import Seen, Start, Step, Stop
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.route import MAX_BODY, Route, Variant
from tidemill.spec.serverless import MAX_BODY as SMALL_BODY
from tidemill.spec.serverless import Demand
from tidemill.traffic.serverless import Policy


def plan(
    status: EndpointStatus,
    state: EndpointState,
    *,
    seen: Mapping[str, Seen],
    now: float,
    alarming: Collection[str] = (),
    demand: Demand | None = None,
    policy: Policy = Policy(),  # noqa: B008 - frozen
) -> Step[EndpointState]:
    """Where the endpoint stands next, and what must be done to its replicas first.

    seen: of replicas that have ended since, or hang · alarming: names of alarms in state ALARM
    demand, policy: for serverless variants
    """
    state = staff.bury(state, seen, now)
    state = serverless.follow(status, state, demand, policy, now)
    if state.pending is not None and status in _ROLLING:
        status, state = rollout.advance(status, state, state.pending, now, alarming)
    else:
        status, state = _ADVANCE[status](state, now)
    hung = [id for id, found in seen.items() if found.code is None]
    gone = status is EndpointStatus.DELETING and not state.replicas
    effects: list[Start | Stop] = [*staff.stops(state, hung, now), *staff.starts(state, now)]
    return Step(status.value, state, tuple(effects), gone)


def route(name: str, region: str, state: EndpointState) -> Route:
    """The entry of the routing table: ready replicas, or the last known while none is ready.

    While an update moves the traffic, a variant is named once for each fleet.
    """
    variants = tuple(
        variant for fleet, share in _shares(state) for variant in _taking(state, fleet, share)
    )
    return Route(
        endpoint=name,
        region=region,
        variants=variants,
        max_body=SMALL_BODY if any(v.max_concurrency for v in variants) else MAX_BODY,
        log_group=f"/aws/sagemaker/Endpoints/{name}",
        capture=state.capture if state.capture and state.capture.enabled else None,
        asynchronous=state.asynchronous,
    )


def _shares(state: EndpointState) -> Iterator[tuple[Fleet, float]]:
    """The fleets that take traffic, each with its part of it."""
    share = state.rollout.share if state.rollout is not None else 0.0
    if share < 1.0 or state.pending is None:
        yield state.live, 1.0 - share
    if share > 0.0 and state.pending is not None:
        yield state.pending, share


def _taking(state: EndpointState, fleet: Fleet, share: float) -> Iterator[Variant]:
    """A fleet that shares the traffic divides its part among its variants by weight."""
    weights = _weights(fleet, share, is_live=fleet.generation == state.generation)
    moving = state.rollout is not None and state.rollout.share > 0.0
    config = fleet.config if moving else ""  # so that each fleet is measured by itself
    for variant, weight in zip(fleet.variants, weights, strict=True):
        addresses = _addresses(state, fleet, variant.name)
        yield Variant(
            variant.name,
            weight,
            addresses,
            variant.timeout,
            variant.routing,
            config,
            variant.targets,
            variant.multi_model,
            variant.shadow,
            variant.max_concurrency,
            variant.learns,
        )


def _weights(fleet: Fleet, share: float, *, is_live: bool) -> list[float]:
    """Of a fleet's variants in the routing table: shadows get a part of the requests instead."""
    weights = [v.current_weight if is_live else v.weight for v in fleet.variants]
    taking = [w for v, w in zip(fleet.variants, weights, strict=True) if not v.shadow]
    total = sum(taking)

    def shown(variant: Deployed, weight: float) -> float:
        if variant.shadow:
            return min(1.0, weight / total) if total else float(weight > 0)
        if share < 1.0:
            return share * (weight / total if total else 1.0 / len(taking))
        return weight

    return [shown(v, w) for v, w in zip(fleet.variants, weights, strict=True)]


def _addresses(state: EndpointState, fleet: Fleet, variant: str) -> dict[str, str]:
    mine = staff.members(state, fleet.generation, variant)
    known = {id: r for id, r in mine.items() if r.address is not None}
    ready = {id: r for id, r in known.items() if r.ready}
    return {id: r.address or "" for id, r in (ready or known).items()}


def _create(state: EndpointState, now: float) -> tuple[EndpointStatus, EndpointState]:
    failure = staff.failure(state, state.live, now)
    if failure is not None:
        state = staff.retire(replace(state, failure=failure), state.replicas, now)
        return EndpointStatus.FAILED, state
    state = staff.staff(state, state.live, now)
    if not staff.all_ready(state, state.live):
        return EndpointStatus.CREATING, state
    return EndpointStatus.IN_SERVICE, staff.take_effect(state)


def _scale(state: EndpointState, now: float) -> tuple[EndpointStatus, EndpointState]:
    """Grow or shrink the live fleet to the wanted counts, then let the weights count."""
    failure = staff.failure(state, state.live, now)
    if failure is not None:
        back = tuple(
            replace(
                v,
                count=v.current_count,
                weight=v.current_weight,
                serverless=v.current_serverless,
            )
            for v in state.variants
        )
        state = replace(state, variants=back, failure=failure)
        return EndpointStatus.IN_SERVICE, staff.staff(state, state.live, now)
    state = staff.staff(state, state.live, now)
    if not staff.all_ready(state, state.live):
        return EndpointStatus.UPDATING, state
    return EndpointStatus.IN_SERVICE, staff.take_effect(replace(state, failure=None))


def _serve(state: EndpointState, now: float) -> tuple[EndpointStatus, EndpointState]:
    return EndpointStatus.IN_SERVICE, staff.staff(state, state.live, now)


def _fail(state: EndpointState, now: float) -> tuple[EndpointStatus, EndpointState]:
    return EndpointStatus.FAILED, staff.retire(state, state.replicas, now)


def _delete(state: EndpointState, now: float) -> tuple[EndpointStatus, EndpointState]:
    return EndpointStatus.DELETING, staff.retire(state, state.replicas, now)


_ADVANCE = {
    EndpointStatus.CREATING: _create,
    EndpointStatus.IN_SERVICE: _serve,
    EndpointStatus.UPDATING: _scale,
    EndpointStatus.FAILED: _fail,
    EndpointStatus.DELETING: _delete,
}
_ROLLING = (
    EndpointStatus.UPDATING,
    EndpointStatus.ROLLING_BACK,
    EndpointStatus.UPDATE_ROLLBACK_FAILED,
)
