"""The plan of an endpoint as a machine: whatever happens, it ends where it should."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidemill.control.plan.endpoint import plan, route
from tidemill.control.plan.fleet import (
    Deployed,
    EndpointState,
    Fleet,
    Replica,
    begin,
    from_document,
    launched,
    observe,
)
from tidemill.control.plan.rollout import begin as begin_rollout
from tidemill.control.plan.step import Seen, Start, Stop
from tidemill.spec.deployment import (
    CANARY,
    CAPACITY_PERCENT,
    INSTANCE_COUNT,
    LINEAR,
    ROLLING,
    Capacity,
    Deployment,
)
from tidemill.spec.endpoint import MOVES, EndpointStatus
from tidemill.spec.event import Event
from tidemill.traffic.rollout import BACK

ENDS = [Seen(-9), Seen(0), Seen(1, failure="ClientError")]
READY = Event(1.0, "ready", message="unix:/s")
ALARM = "too many errors"
WATCHED = (ALARM,)
DEPLOYMENTS = [
    None,
    Deployment(),
    Deployment(wait=60.0, termination=100.0, alarms=WATCHED),
    Deployment(CANARY, Capacity(INSTANCE_COUNT, 1), wait=60.0, alarms=WATCHED),
    Deployment(LINEAR, Capacity(CAPACITY_PERCENT, 30), wait=2.0, timeout=600.0, alarms=WATCHED),
    Deployment(ROLLING, Capacity(CAPACITY_PERCENT, 50), wait=60.0, alarms=WATCHED),
    Deployment(ROLLING, Capacity(INSTANCE_COUNT, 1), Capacity(INSTANCE_COUNT, 1), wait=2.0),
    Deployment(
        ROLLING, Capacity(INSTANCE_COUNT, 1), Capacity(CAPACITY_PERCENT, 40), alarms=WATCHED
    ),
]


def variant(name: str = "main", count: int = 1, **fields: object) -> Deployed:
    given = {"weight": 1.0, **fields}
    return Deployed(name, "model", "kmeans", "s3://b/k", {}, count=count, **given)  # type: ignore[arg-type]


def in_service(**replicas: Replica) -> EndpointState:
    made = begin("/home", "config", [variant(count=len(replicas), current_weight=1.0)])
    return replace(made, replicas=replicas, made=len(replicas))


def alive(**fields: object) -> Replica:
    given = {"handle": "h", "ready": True, "address": "unix:/s", "started": 0.0, **fields}
    return Replica("main", 1, **given)  # type: ignore[arg-type]


def test_a_new_endpoint_starts_what_its_config_asks_for() -> None:
    state = begin("/home", "config", [variant("a", 2), variant("b", 1)])
    step = plan(EndpointStatus.CREATING, state, seen={}, now=1.0)
    assert step.effects == (Start("r1"), Start("r2"), Start("r3"))
    assert [r.variant for r in step.state.replicas.values()] == ["a", "a", "b"]


def test_a_replica_dead_before_ready_waits_longer_each_time() -> None:
    state, delays = in_service(r1=alive(ready=False)), []
    for _ in range(6):
        step = plan(EndpointStatus.IN_SERVICE, state, seen={"r1": Seen(-9)}, now=10.0)
        state = step.state
        delays.append(
            next(
                d
                for d in (0.0, 0.2, 0.4, 0.8)
                if plan(EndpointStatus.IN_SERVICE, state, seen={}, now=10.0 + d).effects
            )
        )
        state = launched(state, "r1", "again", 10.0)
    assert delays == [0.0, 0.0, 0.0, 0.2, 0.4, 0.8]


def test_a_replica_that_was_ready_is_started_again_at_once_every_time() -> None:
    state = in_service(r1=alive())
    for _ in range(20):
        step = plan(EndpointStatus.IN_SERVICE, state, seen={"r1": Seen(-9)}, now=10.0)
        assert step.effects == (Start("r1"),)
        state = launched(step.state, "r1", "again", 10.0)
        state = replace(state, replicas={"r1": observe(state.replicas["r1"], [READY])})


def test_a_hung_replica_is_killed() -> None:
    step = plan(EndpointStatus.IN_SERVICE, in_service(r1=alive()), seen={"r1": Seen(None)}, now=1.0)
    assert step.effects == (Stop("r1", 0.0),)


def test_a_replica_in_service_that_starts_forever_is_killed() -> None:
    state = in_service(r1=alive(ready=False))
    assert plan(EndpointStatus.IN_SERVICE, state, seen={}, now=240.0).effects == ()
    assert plan(EndpointStatus.IN_SERVICE, state, seen={}, now=240.1).effects == (Stop("r1", 0.0),)


def test_a_retired_replica_drains_before_it_is_stopped() -> None:
    state = in_service(r1=alive(), r2=alive())
    state = replace(state, variants=(variant(count=1),))
    step = plan(EndpointStatus.UPDATING, state, seen={}, now=10.0)
    assert (step.status, step.effects) == ("InService", ())
    assert list(route("e", "r", step.state).variants[0].replicas) == ["r1"]
    step = plan(EndpointStatus.IN_SERVICE, step.state, seen={}, now=12.0)
    assert step.effects == (Stop("r2", 30.0),)
    step = plan(EndpointStatus.IN_SERVICE, step.state, seen={"r2": Seen(0)}, now=12.1)
    assert (list(step.state.replicas), step.effects) == (["r1"], ())


def test_a_variant_scaled_out_in_vain_goes_back() -> None:
    state = in_service(r1=alive())
    wanted = variant(count=2, current_count=1, weight=9.0, current_weight=1.0)
    state = replace(state, variants=(wanted,))
    state = plan(EndpointStatus.UPDATING, state, seen={}, now=1.0).state
    state = launched(state, "r2", "h2", 1.0)
    broken = Seen(1, failure="ClientError: no memory")
    step = plan(EndpointStatus.UPDATING, state, seen={"r2": broken}, now=2.0)
    assert step.status == "InService"
    assert "no memory" in (step.state.failure or "")
    assert (step.state.variants[0].count, step.state.variants[0].weight) == (1, 1.0)
    assert plan(EndpointStatus.IN_SERVICE, step.state, seen={}, now=9.0).effects == ()


@pytest.mark.parametrize("pending", [None, Fleet("next", 2, (variant(count=0),))])
def test_a_state_is_the_same_read_back(pending: Fleet | None) -> None:
    state = replace(in_service(r1=alive()), pending=pending, failure="x")
    assert from_document(state.to_document()) == state


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("5", 5.0), ("3600", 3600.0), ("3601", 60.0), ("0", 60.0), ("soon", 60.0), ("-1", 60.0)],
)
def test_a_container_s_timeout_and_routing_reach_the_route(told: str, seconds: float) -> None:
    plain = Deployed("v", "model", "kmeans", None, {}, 1.0, 1)
    other = replace(plain, environment={"SAGEMAKER_MODEL_SERVER_TIMEOUT": told}, routing="RANDOM")
    first, second = route("e", "r", begin("/h", "c", [plain, other])).variants
    assert (first.timeout, first.routing) == (60.0, "LEAST_OUTSTANDING_REQUESTS")
    assert (second.timeout, second.routing) == (seconds, "RANDOM")


class AnyHistory(RuleBasedStateMachine):
    """Deaths, readiness, updates and time in any order keep the lifecycle's rules."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1.0
        self.state = begin("/home", "config-1", [variant(count=2)])
        self.status = EndpointStatus.CREATING
        self.alive: set[str] = set()
        self.gone = False
        self.alarming: set[str] = set()
        self.configs = {"config-1"}

    def advance(self, seen: dict[str, Seen] | None = None, seconds: float = 0.1) -> None:
        before = self.status
        self.now += seconds
        self.alive -= {id for id, found in (seen or {}).items() if found.code is not None}
        step = plan(self.status, self.state, seen=seen or {}, now=self.now, alarming=self.alarming)
        self.check_shift(step.state)
        self.state, self.status, self.gone = step.state, EndpointStatus(step.status), step.gone
        assert self.status is before or self.status in MOVES[before]
        for effect in step.effects:
            if isinstance(effect, Start):
                assert effect.worker not in self.alive, "a replica is never doubled"
                self.alive.add(effect.worker)
                self.state = launched(self.state, effect.worker, "h", self.now)
            else:
                assert effect.worker in self.alive

    def check_shift(self, after: EndpointState) -> None:
        """A fleet takes more traffic only once it has the replicas for it, but at an alarm."""
        before = self.state.rollout
        if after.rollout is None or after.pending is None or before is None:
            return
        if after.rollout.stage == BACK != before.stage:
            return
        shares = traffic(self.state)
        for fleet in (after.live, after.pending):
            share = traffic(after)[fleet.generation]
            if share > shares[fleet.generation]:
                assert ready(after, fleet.generation) >= needed(fleet, share)

    @rule(seconds=st.sampled_from([0.1, 3.0, 61.0, 250.0]))
    def look(self, seconds: float) -> None:
        if not self.gone:
            self.advance(seconds=seconds)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def get_ready(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.alive)))
        replicas = {**self.state.replicas, id: observe(self.state.replicas[id], [READY])}
        self.state = replace(self.state, replicas=replicas)
        self.advance()

    @precondition(lambda self: self.alive)
    @rule(
        data=st.data(), found=st.sampled_from([Seen(-9), Seen(0), Seen(1, failure="ClientError")])
    )
    def end(self, data: st.DataObject, found: Seen) -> None:
        self.advance({data.draw(st.sampled_from(sorted(self.alive))): found})

    @precondition(lambda self: self.status is EndpointStatus.IN_SERVICE)
    @rule(count=st.integers(1, 4), deployment=st.sampled_from(DEPLOYMENTS))
    def update(self, count: int, deployment: Deployment | None) -> None:
        generation = self.state.generation + 1
        fleet = Fleet(f"config-{generation}", generation, (variant(count=count),))
        begun = begin_rollout(deployment, self.state.live, fleet, self.now) if deployment else None
        self.state = replace(self.state, pending=fleet, rollout=begun, failure=None)
        self.status = EndpointStatus.UPDATING
        self.configs = {self.state.config, fleet.config}
        self.advance()

    @rule(on=st.booleans())
    def alarm(self, on: bool) -> None:
        self.alarming = {ALARM} if on else set()
        self.look(0.1)

    @precondition(lambda self: self.status is EndpointStatus.IN_SERVICE)
    @rule(count=st.integers(1, 3))
    def scale(self, count: int) -> None:
        variants = tuple(replace(v, count=count) for v in self.state.variants)
        self.state = replace(self.state, variants=variants)
        self.status = EndpointStatus.UPDATING
        self.advance()

    @precondition(lambda self: not self.gone)
    @rule()
    def delete(self) -> None:
        self.status = EndpointStatus.DELETING
        self.advance()

    @invariant()
    def handles_are_those_alive(self) -> None:
        assert {id for id, r in self.state.replicas.items() if r.handle} == self.alive
        assert not (self.gone and self.alive)

    @invariant()
    def what_serves_has_addresses(self) -> None:
        if self.status.takes_traffic:
            taking = route("e", "r", self.state).variants
            assert all(found.replicas for found in taking)
            assert all(found.weight > 0 for found in taking)
            assert sum(found.weight for found in taking) == pytest.approx(1.0)

    @invariant()
    def each_fleet_has_the_replicas_for_its_share(self) -> None:
        if self.status.takes_traffic:
            for fleet in (self.state.live, self.state.pending):
                share = traffic(self.state).get(fleet.generation, 0.0) if fleet else 0.0
                if fleet is not None:
                    assert staffed(self.state, fleet.generation) >= needed(fleet, share)

    @invariant()
    def it_can_be_written_down(self) -> None:
        assert from_document(self.state.to_document()) == self.state

    def teardown(self) -> None:
        """When everything works at last, every change ends, and nothing is left of what lost."""
        self.alarming = set()
        for _ in range(200):
            if self.gone or (self.settled() and self.status is not EndpointStatus.DELETING):
                break
            replicas = self.state.replicas
            told = {id: observe(replicas[id], [READY]) for id in self.alive}
            self.state = replace(self.state, replicas={**replicas, **told})
            leaving = {id: Seen(0) for id in self.alive if replicas[id].retired is not None}
            self.advance(leaving, seconds=61.0)
        else:
            raise AssertionError(f"it never ends: {self.status} {self.state}")
        assert self.gone or self.state.config in self.configs

    def settled(self) -> bool:
        rest = {r.generation for r in self.state.replicas.values()} - {self.state.generation}
        ends = (EndpointStatus.IN_SERVICE, EndpointStatus.FAILED)
        return self.status in ends and self.state.pending is None and not rest


def traffic(state: EndpointState) -> dict[int, float]:
    """The share of the traffic that each generation takes."""
    share = state.rollout.share if state.rollout is not None and state.pending is not None else 0.0
    return {state.generation: 1.0 - share, state.generation + 1: share}


def needed(fleet: Fleet, share: float) -> int:
    return sum(math.ceil(round(v.count * share, 6)) for v in fleet.variants)


def staffed(state: EndpointState, generation: int) -> int:
    members = [r for r in state.replicas.values() if r.generation == generation]
    return sum(r.retired is None for r in members)


def ready(state: EndpointState, generation: int) -> int:
    members = [r for r in state.replicas.values() if r.generation == generation]
    return sum(r.ready and r.retired is None for r in members)


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
