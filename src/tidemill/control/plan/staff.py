"""Which replicas a fleet has, lacks or has too many of, and what to start and stop for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tidemill.control.plan.fleet import EndpointState, Fleet, Replica
from tidemill.control.plan.step import Seen, Start, Stop, why

MOST_EARLY_DEATHS = 5
"""So many deaths before ever being ready fail a fleet that is being started."""
LONGEST_START = 240.0
"""Seconds in which a replica must be ready (AWS: healthy within four minutes)."""
DRAIN = 2.0
"""Seconds between the last new request to a replica and its SIGTERM."""
STOP_GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL, as AWS gives serving containers."""


def members(
    state: EndpointState, generation: int, variant: str | None = None
) -> dict[str, Replica]:
    """Replicas of a fleet, or of one of its variants, that are not on their way out."""
    return {
        id: r
        for id, r in state.replicas.items()
        if r.generation == generation and variant in (None, r.variant) and r.retired is None
    }


def bury(state: EndpointState, seen: Mapping[str, Seen], now: float) -> EndpointState:
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


def staff(state: EndpointState, fleet: Fleet, now: float, *, drain: float = DRAIN) -> EndpointState:
    """Make the replicas that are too few, retire those too many; these drain for so long."""
    for variant in fleet.variants:
        mine = members(state, fleet.generation, variant.name)
        state = retire(state, _surplus(mine, variant.count), now + drain)
        for _ in range(variant.count - len(mine)):
            made = state.made + 1
            new = {f"r{made}": Replica(variant.name, fleet.generation)}
            state = replace(state, made=made, replicas={**state.replicas, **new})
    return state


def _surplus(replicas: Mapping[str, Replica], count: int) -> dict[str, Replica]:
    """Those not ready go first (before others those that never were), then the youngest."""

    def worth(id: str) -> tuple[bool, bool, int]:
        replica = replicas[id]
        return not replica.ready, replica.address is None, int(id.removeprefix("r"))

    return {id: replicas[id] for id in sorted(replicas, key=worth)[count:]}


def retire(state: EndpointState, leaving: Mapping[str, Replica], at: float) -> EndpointState:
    """Let these take nothing new, and be stopped at that time."""
    replicas = {
        id: replace(r, retired=at) if id in leaving and r.retired is None else r
        for id, r in state.replicas.items()
    }
    return replace(state, replicas=replicas)


def all_ready(state: EndpointState, fleet: Fleet) -> bool:
    """Whether every replica that the fleet wants is there and ready."""
    return all(
        sum(r.ready for r in members(state, fleet.generation, v.name).values()) >= v.count
        for v in fleet.variants
    )


def take_effect(state: EndpointState) -> EndpointState:
    """The weights, counts and bounds that were wanted are those in effect."""
    variants = tuple(
        replace(v, current_weight=v.weight, current_count=v.count, current_serverless=v.serverless)
        for v in state.variants
    )
    return replace(state, variants=variants)


def failure(state: EndpointState, fleet: Fleet, now: float) -> str | None:
    """Why this fleet will never be ready, or None while it still may be."""
    for variant in fleet.variants:
        if variant.problem:
            return variant.problem[:1024]
    for id, replica in members(state, fleet.generation).items():
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


def stops(state: EndpointState, hung: Iterable[str], now: float) -> list[Stop]:
    """Those that hang or start for too long at once, those that leave when they have drained."""
    running = {id: r for id, r in state.replicas.items() if r.handle}
    late = [id for id, r in running.items() if r.retired is None and _is_late(r, now)]
    leaving = [id for id, r in running.items() if r.retired is not None and now >= r.retired]
    kills = [Stop(id, 0.0) for id in dict.fromkeys([*hung, *late]) if id in running]
    return kills + [Stop(id, STOP_GRACE) for id in leaving]


def starts(state: EndpointState, now: float) -> list[Start]:
    """Those that do not run and have waited long enough after their last death."""
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
