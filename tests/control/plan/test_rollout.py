"""What the routing table says while two fleets share the traffic."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.control.plan.test_endpoint import alive, variant
from tidemill.control.plan.endpoint import route
from tidemill.control.plan.fleet import EndpointState, Fleet, Replica, begin
from tidemill.control.plan.rollout import begin as begin_rollout
from tidemill.spec.deployment import CANARY, CAPACITY_PERCENT, Capacity, Deployment

CANARY_OF_A_FIFTH = Deployment(CANARY, Capacity(CAPACITY_PERCENT, 20), wait=60.0)


def of(name: str, generation: int, ready: bool = True) -> Replica:
    address = f"unix:/{generation}{name}"
    return replace(
        alive(ready=ready), variant=name, generation=generation, address=address if ready else None
    )


def shifting(share: float, *weights: float) -> EndpointState:
    """From the variants a and b to a and c; weights: of these four."""
    a, b, newer, c = weights
    old = [variant("a", current_weight=a), variant("b", current_weight=b)]
    fleet = Fleet("next", 2, (variant("a", weight=newer), variant("c", weight=c)))
    made = begin("/home", "config", old)
    rollout = replace(
        begin_rollout(CANARY_OF_A_FIFTH, made.live, fleet, 0.0), share=share, shifts=1
    )
    replicas = {"r1": of("a", 1), "r2": of("b", 1), "r3": of("a", 2), "r4": of("c", 2, False)}
    return replace(made, pending=fleet, rollout=rollout, replicas=replicas, made=4)


def shares(state: EndpointState) -> dict[tuple[str, str], float]:
    return {(v.name, v.config): v.weight for v in route("e", "r", state).variants}


def test_each_fleet_divides_its_part_by_its_own_weights() -> None:
    assert shares(shifting(0.2, 1.0, 3.0, 5.0, 5.0)) == pytest.approx(
        {("a", "config"): 0.2, ("b", "config"): 0.6, ("a", "next"): 0.1, ("c", "next"): 0.1}
    )


def test_variants_without_any_weight_share_evenly() -> None:
    found = shares(shifting(0.2, 0.0, 0.0, 0.0, 7.0))
    assert found[("a", "config")] == found[("b", "config")] == pytest.approx(0.4)
    assert (found[("a", "next")], found[("c", "next")]) == pytest.approx((0.0, 0.2))


def test_a_fleet_that_takes_nothing_is_not_named() -> None:
    assert shares(shifting(0.0, 1.0, 3.0, 5.0, 5.0)) == {("a", ""): 1.0, ("b", ""): 3.0}
    assert shares(shifting(1.0, 1.0, 3.0, 5.0, 5.0)) == {("a", "next"): 5.0, ("c", "next"): 5.0}


def test_each_name_leads_to_the_replicas_of_its_fleet() -> None:
    found = route("e", "r", shifting(0.2, 1.0, 1.0, 1.0, 1.0)).variants
    assert [dict(v.replicas) for v in found] == [
        {"r1": "unix:/1a"},
        {"r2": "unix:/1b"},
        {"r3": "unix:/2a"},
        {},
    ]
