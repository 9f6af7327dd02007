"""What an endpoint needs next: a decision, not an action."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tidemill.control.plan.step import Seen, Start, Step, Stop, why
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.event import Event
from tidemill.spec.route import Route, Variant

MOST_EARLY_DEATHS = 5
"""So many deaths before ever being ready fail a fleet that is being started."""
LONGEST_START = 240.0
"""Seconds in which a replica must be ready (AWS: healthy within four minutes)."""
DRAIN = 2.0
"""Seconds between the last new request to a replica and its SIGTERM."""
STOP_GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL, as AWS gives serving containers."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """One variant as resolved from its config and model: nothing is looked up later.

    weight, count: wanted · current_weight, current_count: in effect · problem: why it can never
    run, or empty
    """

    name: str
    model: str
    image: str
    model_uri: str | None
    environment: Mapping[str, str]
    weight: float
    count: int
    instance_type: str = "local"
    current_weight: float = 0.0
    current_count: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Fleet:
    """All variants of one config. generation: counts the configs that this endpoint has had."""

    config: str
    generation: int
    variants: tuple[Deployed, ...]


@dataclass(frozen=True, slots=True)
class Replica:
    """One serving process and what is known of it.

    handle: empty while none runs · address: where it last listened · read: bytes of its events
    taken in · deaths: in a row without being ready · retired: when it may be stopped, or None
    fatal: it named a cause that no restart mends
    """

    variant: str
    generation: int
    handle: str = ""
    address: str | None = None
    ready: bool = False
    read: int = 0
    attempts: int = 0
    deaths: int = 0
    started: float | None = None
    died: float | None = None
    reason: str = ""
    fatal: bool = False
    retired: float | None = None


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What has happened to an endpoint; ``Row.document["state"]``.

    config, generation, variants: of the fleet that takes the traffic (or first will)
    pending: the fleet that an update starts beside it · made: replicas made so far
    """

    home: str
    config: str
    generation: int
    variants: tuple[Deployed, ...]
    pending: Fleet | None = None
    replicas: Mapping[str, Replica] = field(default_factory=dict)
    made: int = 0
    failure: str | None = None

    @property
    def live(self) -> Fleet:
        """The fleet that takes the traffic, or that first will."""
        return Fleet(self.config, self.generation, self.variants)

    def to_document(self) -> dict[str, Any]:
        """JSON, without what has not happened yet."""
        return {k: v for k, v in asdict(self).items() if v is not None}


def from_document(document: Mapping[str, Any]) -> EndpointState:
    """Read what ``to_document`` wrote."""
    pending = document.get("pending")
    return EndpointState(
        **{
            **document,
            "variants": _variants(document["variants"]),
            "pending": pending and Fleet(**{**pending, "variants": _variants(pending["variants"])}),
            "replicas": {k: Replica(**v) for k, v in document.get("replicas", {}).items()},
        }
    )


def begin(home: str, config: str, variants: Sequence[Deployed]) -> EndpointState:
    """The state of an endpoint just asked for."""
    return EndpointState(home, config, 1, tuple(variants))


def observe(replica: Replica, events: Iterable[Event]) -> Replica:
    """Take in what a replica has told."""
    for event in events:
        if event.kind == "ready":
            replica = replace(replica, ready=True, address=event.message, deaths=0, reason="")
    return replica


def launched(state: EndpointState, id: str, handle: str, now: float) -> EndpointState:
    """The state once a replica's process runs."""
    old = state.replicas[id]
    new = replace(old, handle=handle, attempts=old.attempts + 1, started=now)
    return replace(state, replicas={**state.replicas, id: new})


def plan(
    status: EndpointStatus, state: EndpointState, *, seen: Mapping[str, Seen], now: float
) -> Step[EndpointState]:
    """Where the endpoint stands next, and what must be done to its replicas first.

    seen: of replicas that have ended since, or hang
    """
    state = _bury(state, seen, now)
    status, state = _ADVANCE[status](state, now)
    hung = [id for id, found in seen.items() if found.code is None]
    gone = status is EndpointStatus.DELETING and not state.replicas
    return Step(status.value, state, (*_stops(state, hung, now), *_starts(state, now)), gone)


def route(name: str, region: str, state: EndpointState) -> Route:
    """The entry of the routing table: ready replicas, or the last known while none is ready."""
    return Route(
        endpoint=name,
        region=region,
        variants=tuple(
            Variant(v.name, v.current_weight, _addresses(state, v.name)) for v in state.variants
        ),
        log_group=f"/aws/sagemaker/Endpoints/{name}",
    )


def _addresses(state: EndpointState, variant: str) -> dict[str, str]:
    mine = _members(state, state.generation, variant)
    known = {id: r for id, r in mine.items() if r.address is not None}
    ready = {id: r for id, r in known.items() if r.ready}
    return {id: r.address or "" for id, r in (ready or known).items()}


def _variants(documents: Iterable[Mapping[str, Any]]) -> tuple[Deployed, ...]:
    return tuple(Deployed(**d) for d in documents)


def _members(
    state: EndpointState, generation: int, variant: str | None = None
) -> dict[str, Replica]:
    """Replicas of a fleet, or of one of its variants, that are not on their way out."""
    return {
        id: r
        for id, r in state.replicas.items()
        if r.generation == generation and variant in (None, r.variant) and r.retired is None
    }


def _bury(state: EndpointState, seen: Mapping[str, Seen], now: float) -> EndpointState:
    """Forget processes that have ended, and retired replicas with them."""
    replicas = dict(state.replicas)
    for id, found in seen.items():
        if found.code is not None:
            old = replicas[id]
            deaths = 0 if old.ready else old.deaths + 1
            fatal = not old.ready and found.failure.startswith("ClientError")
            replicas[id] = replace(
                old, handle="", ready=False, deaths=deaths, died=now, reason=why(found), fatal=fatal
            )
    left = {id: r for id, r in replicas.items() if r.handle or r.retired is None}
    return replace(state, replicas=left)


def _create(state: EndpointState, now: float) -> tuple[EndpointStatus, EndpointState]:
    failure = _failure(state, state.live, now)
    if failure is not None:
        state = _retire(replace(state, failure=failure), state.replicas, now)
        return EndpointStatus.FAILED, state
    state = _staff(state, state.live, now)
    if not _all_ready(state, state.live):
        return EndpointStatus.CREATING, state
    return EndpointStatus.IN_SERVICE, _take_effect(state)


def _update(state: EndpointState, now: float) -> tuple[EndpointStatus, EndpointState]:
    return _scale(state, now) if state.pending is None else _replace(state, state.pending, now)


def _replace(
    state: EndpointState, pending: Fleet, now: float
) -> tuple[EndpointStatus, EndpointState]:
    """Start the new fleet beside the old; switch when it is ready, drop it when it fails."""
    state = _staff(state, state.live, now)
    failure = _failure(state, pending, now)
    if failure is not None:
        leaving = _members(state, pending.generation)
        state = _retire(replace(state, pending=None, failure=failure), leaving, now)
        return EndpointStatus.IN_SERVICE, state
    state = _staff(state, pending, now)
    if not _all_ready(state, pending):
        return EndpointStatus.UPDATING, state
    state = _retire(state, _members(state, state.generation), now + DRAIN)
    state = replace(
        state,
        config=pending.config,
        generation=pending.generation,
        variants=pending.variants,
        pending=None,
        failure=None,
    )
    return EndpointStatus.IN_SERVICE, _take_effect(state)


def _scale(state: EndpointState, now: float) -> tuple[EndpointStatus, EndpointState]:
    """Grow or shrink the live fleet to the wanted counts, then let the weights count."""
    failure = _failure(state, state.live, now)
    if failure is not None:
        back = tuple(
            replace(v, count=v.current_count, weight=v.current_weight) for v in state.variants
        )
        state = replace(state, variants=back, failure=failure)
        return EndpointStatus.IN_SERVICE, _staff(state, state.live, now)
    state = _staff(state, state.live, now)
    if not _all_ready(state, state.live):
        return EndpointStatus.UPDATING, state
    return EndpointStatus.IN_SERVICE, _take_effect(replace(state, failure=None))


def _serve(state: EndpointState, now: float) -> tuple[EndpointStatus, EndpointState]:
    return EndpointStatus.IN_SERVICE, _staff(state, state.live, now)


def _fail(state: EndpointState, now: float) -> tuple[EndpointStatus, EndpointState]:
    return EndpointStatus.FAILED, _retire(state, state.replicas, now)


def _delete(state: EndpointState, now: float) -> tuple[EndpointStatus, EndpointState]:
    return EndpointStatus.DELETING, _retire(state, state.replicas, now)


_ADVANCE = {
    EndpointStatus.CREATING: _create,
    EndpointStatus.IN_SERVICE: _serve,
    EndpointStatus.UPDATING: _update,
    EndpointStatus.FAILED: _fail,
    EndpointStatus.DELETING: _delete,
}


def _staff(state: EndpointState, fleet: Fleet, now: float) -> EndpointState:
    """Make the replicas that are too few, retire those too many."""
    for variant in fleet.variants:
        members = _members(state, fleet.generation, variant.name)
        # Those not ready go first, then the youngest.
        keep = sorted(members, key=lambda id: (not members[id].ready, int(id.removeprefix("r"))))
        surplus = {id: members[id] for id in keep[variant.count :]}
        state = _retire(state, surplus, now + DRAIN)
        for _ in range(variant.count - len(members)):
            made = state.made + 1
            new = {f"r{made}": Replica(variant.name, fleet.generation)}
            state = replace(state, made=made, replicas={**state.replicas, **new})
    return state


def _retire(state: EndpointState, leaving: Mapping[str, Replica], at: float) -> EndpointState:
    replicas = {
        id: replace(r, retired=at) if id in leaving and r.retired is None else r
        for id, r in state.replicas.items()
    }
    return replace(state, replicas=replicas)


def _all_ready(state: EndpointState, fleet: Fleet) -> bool:
    return all(r.ready for r in _members(state, fleet.generation).values())


def _take_effect(state: EndpointState) -> EndpointState:
    variants = tuple(
        replace(v, current_weight=v.weight, current_count=v.count) for v in state.variants
    )
    return replace(state, variants=variants)


def _failure(state: EndpointState, fleet: Fleet, now: float) -> str | None:
    """Why this fleet will never be ready, or None while it still may be."""
    for variant in fleet.variants:
        if variant.problem:
            return variant.problem[:1024]
    for id, replica in _members(state, fleet.generation).items():
        if replica.fatal or replica.deaths >= MOST_EARLY_DEATHS:
            return f"Variant {replica.variant!r} could not start: {replica.reason}"[:1024]
        if _is_late(replica, now):
            return (
                f"Variant {replica.variant!r} could not start: replica {id} was not ready within "
                f"{LONGEST_START:.0f} s. Read its log for what it waits for."
            )
    return None


def _is_late(replica: Replica, now: float) -> bool:
    return (
        bool(replica.handle)
        and not replica.ready
        and replica.started is not None
        and now - replica.started > LONGEST_START
    )


def _stops(state: EndpointState, hung: Iterable[str], now: float) -> list[Stop]:
    running = {id: r for id, r in state.replicas.items() if r.handle}
    late = [id for id, r in running.items() if r.retired is None and _is_late(r, now)]
    leaving = [id for id, r in running.items() if r.retired is not None and now >= r.retired]
    kills = [Stop(id, 0.0) for id in dict.fromkeys([*hung, *late]) if id in running]
    return kills + [Stop(id, STOP_GRACE) for id in leaving]


def _starts(state: EndpointState, now: float) -> list[Start]:
    return [
        Start(id)
        for id, r in state.replicas.items()
        if not r.handle and r.retired is None and now >= (r.died or 0.0) + _pause(r.deaths)
    ]


def _pause(deaths: int) -> float:
    """Seconds to wait before the next attempt: none after the first deaths, 30 at most.

    >>> [_pause(n) for n in (0, 1, 3, 4, 5, 20)]
    [0.0, 0.0, 0.0, 0.2, 0.4, 30.0]
    """
    return 0.0 if deaths < 4 else min(30.0, 0.2 * 2.0 ** min(deaths - 4, 10))
