"""Serverless variants: their counts follow the requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tidemill.control.plan.fleet import Deployed, EndpointState, Replica
from tidemill.control.plan.staff import members
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.serverless import Demand
from tidemill.traffic import serverless as traffic
from tidemill.traffic.serverless import Policy


def follow(
    status: EndpointStatus,
    state: EndpointState,
    demand: Demand | None,
    policy: Policy,
    now: float,
) -> EndpointState:
    """The state with the counts that serverless variants need now.

    Those that have yet to prove that their model loads begin with a replica, wanted or not.
    """

    fleets = [state.live, *([state.pending] if state.pending else [])]
    if not any(variant.serverless for fleet in fleets for variant in fleet.variants):
        return state

    def counted(variant: Deployed, generation: int, least: int) -> Deployed:
        if variant.serverless is None:
            return variant
        mine = members(state, generation, variant.name)
        peak = demand.peak if demand is not None else 0
        used = _used(mine, demand, now)
        asked = traffic.wanted(variant.serverless, policy, peak=peak, used=used, now=now)
        count = max(least, asked)
        # What is in effect follows, too: a change that fails goes back to what is needed then.
        in_effect = variant.current_count if least else count
        return replace(variant, count=count, current_count=in_effect)

    least = 1 if status is EndpointStatus.CREATING else 0
    live = tuple(counted(v, state.generation, least) for v in state.variants)
    state = replace(state, variants=live)
    if (pending := state.pending) is not None:
        coming = tuple(counted(v, pending.generation, 1) for v in pending.variants)
        state = replace(state, pending=replace(pending, variants=coming))
    return state


def _used(replicas: Mapping[str, Replica], demand: Demand | None, now: float) -> float | None:
    """When there was last something to do; replicas that come up are given the time to."""
    times = [demand.at] if demand is not None else []
    for replica in replicas.values():
        if replica.ready and replica.started is not None:
            times.append(replica.started)
        elif not replica.ready and not replica.deaths:
            times.append(now)
    return max(times, default=None)
