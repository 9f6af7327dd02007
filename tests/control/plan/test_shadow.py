"""A shadow is staffed and rolled out with its endpoint, and takes none of its traffic."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.control.plan.test_endpoint import alive, variant
from tidemill.control.plan.endpoint import plan, route
from tidemill.control.plan.fleet import EndpointState, Fleet, begin, from_document
from tidemill.control.plan.rollout import begin as begin_rollout
from tidemill.control.plan.rollout import largest
from tidemill.control.plan.step import Start
from tidemill.spec.deployment import CANARY, CAPACITY_PERCENT, Capacity, Deployment
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.route import RoutingTable, Variant, from_json


def pair(main: float = 1.0, dark: float = 1.0, **fields: object) -> EndpointState:
    """In service, of production and shadow variants of these weights."""
    variants = [
        variant("main", weight=main, current_weight=main),
        variant("dark", weight=dark, current_weight=dark, shadow=True),
    ]
    replicas = {"r1": alive(), "r2": replace(alive(**fields), variant="dark", address="unix:/d")}
    return replace(begin("/home", "config", variants), replicas=replicas, made=2)


def routed(state: EndpointState) -> dict[tuple[str, str], Variant]:
    return {(v.name, v.config): v for v in route("mill", "r", state).variants}


@pytest.mark.parametrize(
    ("main", "dark", "share"),
    [(1.0, 1.0, 1.0), (4.0, 1.0, 0.25), (1.0, 3.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 1.0)],
)
def test_a_shadow_s_share_is_its_weight_relative_to_production(
    main: float, dark: float, share: float
) -> None:
    found = routed(pair(main, dark))
    assert (found["main", ""].weight, found["main", ""].shadow) == (main, False)
    assert (found["dark", ""].weight, found["dark", ""].shadow) == (share, True)
    table = RoutingTable("1" * 12, {("r", "mill"): route("mill", "r", pair(main, dark))})
    assert from_json(table.to_json()) == table


def test_an_endpoint_is_in_service_once_its_shadow_is_ready_too() -> None:
    state = replace(pair(), replicas={})
    step = plan(EndpointStatus.CREATING, state, seen={}, now=1.0)
    assert step.effects == (Start("r3"), Start("r4"))
    half = pair(ready=False, address=None)
    assert plan(EndpointStatus.CREATING, half, seen={}, now=1.0).status == "Creating"
    assert plan(EndpointStatus.CREATING, pair(), seen={}, now=1.0).status == "InService"
    assert from_document(pair().to_document()) == pair()


def test_a_dead_shadow_is_replaced_and_the_endpoint_stays_in_service() -> None:
    state = pair(handle="", ready=False)
    step = plan(EndpointStatus.IN_SERVICE, state, seen={}, now=1.0)
    assert (step.status, step.effects) == ("InService", (Start("r2"),))


def test_each_fleet_of_an_update_has_its_own_shadow() -> None:
    state = pair(4.0, 1.0)
    coming = (variant("main"), variant("dark", weight=0.5, shadow=True, count=9))
    pending = Fleet("next", 2, coming)
    assert largest(pending) == 1  # of production, which bears the traffic
    canary = Deployment(CANARY, Capacity(CAPACITY_PERCENT, 10))
    begun = begin_rollout(canary, state.live, pending, 0.0)
    moving = replace(state, pending=pending, rollout=replace(begun, shifts=1, share=0.1))
    assert {name: round(v.weight, 9) for name, v in routed(moving).items()} == {
        ("main", "config"): 0.9,
        ("dark", "config"): 0.25,
        ("main", "next"): 0.1,
        ("dark", "next"): 0.5,
    }
