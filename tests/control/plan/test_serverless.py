"""The plan of a serverless endpoint: replicas follow requests, and prove the model first."""

from __future__ import annotations

from dataclasses import asdict, replace

from hypothesis import given
from hypothesis import strategies as st

from tests.control.plan.test_endpoint import READY, alive, variant
from tidemill.control.plan.endpoint import plan, route
from tidemill.control.plan.fleet import (
    EndpointState,
    Fleet,
    begin,
    from_document,
    launched,
    observe,
)
from tidemill.control.plan.rollout import begin as begin_rollout
from tidemill.control.plan.step import Seen, Start, Step
from tidemill.spec.deployment import CANARY, INSTANCE_COUNT, ROLLING, Capacity, Deployment
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.serverless import Demand, Serverless
from tidemill.traffic.serverless import Policy

BOUNDS = Serverless(1024, 50)
POLICY = Policy(idle=60.0, most=2)
IN_SERVICE, UPDATING = EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING


def asked(at: float, peak: int = 1) -> Demand:
    return Demand("r", "e", at, peak)


def new(**bounds: int) -> EndpointState:
    wanted = replace(BOUNDS, **bounds)
    return begin("/home", "config", [variant(serverless=wanted)])


def ready(started: float = 0.0, **bounds: int) -> EndpointState:
    wanted = replace(BOUNDS, **bounds)
    one = variant(serverless=wanted, current_serverless=wanted, current_weight=1.0)
    made = begin("/home", "config", [one])
    return replace(made, replicas={"r1": alive(started=started)}, made=1)


def at(
    now: float,
    state: EndpointState,
    demand: Demand | None = None,
    status: EndpointStatus = IN_SERVICE,
    seen: dict[str, Seen] | None = None,
) -> Step[EndpointState]:
    return plan(status, state, seen=seen or {}, now=now, demand=demand, policy=POLICY)


def serving(state: EndpointState) -> list[str]:
    [*replicas] = (i for v in route("e", "r", state).variants for i in v.replicas)
    return replicas


def test_a_new_endpoint_proves_that_its_model_loads_and_then_idles_out() -> None:
    step = at(1000.0, new(), status=EndpointStatus.CREATING)
    assert (step.status, step.effects) == ("Creating", (Start("r1"),))
    state = launched(step.state, "r1", "h", 1000.0)
    assert at(1070.0, state, status=EndpointStatus.CREATING).status == "Creating"
    state = replace(state, replicas={"r1": observe(state.replicas["r1"], [READY])})
    step = at(1071.0, state, status=EndpointStatus.CREATING)
    assert step.status == "InService"
    assert step.state.variants[0].current_serverless == BOUNDS
    step = at(1059.0, step.state)
    assert serving(step.state) == ["r1"]
    step = at(1061.0, step.state)
    assert serving(step.state) == []
    [shown] = route("e", "r", step.state).variants
    assert shown.max_concurrency == 50
    assert route("e", "r", step.state).max_body == 4 * 2**20


def test_a_model_that_does_not_load_fails_the_endpoint() -> None:
    state = launched(at(1.0, new(), status=EndpointStatus.CREATING).state, "r1", "h", 1.0)
    ended = {"r1": Seen(1, failure="ClientError: no such object")}
    step = at(2.0, state, status=EndpointStatus.CREATING, seen=ended)
    assert step.status == "Failed"
    assert "no such object" in (step.state.failure or "")


def test_a_request_wakes_it_and_keeps_it() -> None:
    state = at(100.0, ready()).state
    assert serving(state) == []
    step = at(500.0, state, asked(500.0))
    assert Start("r2") in step.effects
    state = launched(step.state, "r2", "h", 500.0)
    state = replace(state, replicas={"r2": observe(state.replicas["r2"], [READY])})
    for now in (500.0, 559.0, 600.0, 659.0):
        step = at(now, state, asked(now - 59.0))
        assert serving(step.state) == ["r2"]
    assert serving(at(660.0, state, asked(600.0)).state) == []


def test_many_at_once_get_more_replicas_up_to_the_cores() -> None:
    state = at(10.0, ready(), asked(10.0, peak=17)).state
    assert list(state.replicas) == ["r1", "r2"]
    assert list(at(10.0, state, asked(10.0, peak=1000)).state.replicas) == ["r1", "r2"]
    calm = at(50.0, state, asked(50.0, peak=16)).state
    assert [r.retired is None for r in calm.replicas.values()] == [True, False]


def test_provisioned_concurrency_stays() -> None:
    assert serving(at(10_000.0, ready(provisioned=1)).state) == ["r1"]
    assert list(at(10_000.0, ready(provisioned=20)).state.replicas) == ["r1", "r2"]


def test_a_replica_that_does_not_come_up_is_not_tried_for_ever_when_nobody_asks() -> None:
    state = at(100.0, ready()).state
    state = launched(at(500.0, state, asked(500.0)).state, "r2", "h", 500.0)
    state = at(501.0, state, asked(500.0), seen={"r1": Seen(0), "r2": Seen(-9)}).state
    assert state.replicas["r2"].deaths == 1
    assert at(600.0, state, asked(500.0)).effects == ()
    assert at(600.0, at(600.0, state, asked(500.0)).state, asked(500.0)).state.replicas == {}


def test_other_bounds_hold_once_they_are_in_effect() -> None:
    state = at(100.0, ready()).state
    [one] = state.variants
    changed = replace(one, serverless=replace(BOUNDS, max_concurrency=9, provisioned=1))
    step = at(101.0, replace(state, variants=(changed,)), status=UPDATING)
    assert step.status == "Updating"
    assert route("e", "r", step.state).variants[0].max_concurrency == 50
    state = launched(step.state, "r2", "h", 101.0)
    replicas = {**state.replicas, "r2": observe(state.replicas["r2"], [READY])}
    step = at(102.0, replace(state, replicas=replicas), status=UPDATING)
    assert step.status == "InService"
    assert route("e", "r", step.state).variants[0].max_concurrency == 9
    failing = replace(replicas["r2"], ready=False, fatal=True, reason="ClientError")
    bad = replace(state, replicas={**state.replicas, "r2": failing})
    step = at(102.0, bad, status=UPDATING)
    assert step.state.variants[0].serverless == BOUNDS


def test_an_idle_endpoint_moves_to_instances() -> None:
    for deployment in (
        Deployment(),
        Deployment(CANARY, Capacity(INSTANCE_COUNT, 1), wait=1.0),
        Deployment(ROLLING, Capacity(INSTANCE_COUNT, 1), wait=1.0),
    ):
        state = at(100.0, ready()).state
        state = replace(state, replicas={})
        coming = Fleet("next", 2, (variant(count=2),))
        rollout = begin_rollout(deployment, state.live, coming, 100.0)
        state, status, now = replace(state, pending=coming, rollout=rollout), UPDATING, 100.0
        while status is UPDATING:
            step = at(now, state, status=status)
            state, status, now = step.state, EndpointStatus(step.status), now + 1.0
            for effect in step.effects:
                if isinstance(effect, Start):
                    state = launched(state, effect.worker, "h", now)
                    replica = observe(state.replicas[effect.worker], [READY])
                    state = replace(state, replicas={**state.replicas, effect.worker: replica})
            assert now < 200.0
        assert (state.config, serving(state)) == ("next", ["r2", "r3"])
        assert [v.max_concurrency for v in route("e", "r", state).variants] == [0]


def test_another_serverless_config_proves_itself_before_it_takes_the_traffic() -> None:
    state = at(100.0, ready()).state
    coming = Fleet("next", 2, (variant(serverless=replace(BOUNDS, max_concurrency=7)),))
    rollout = begin_rollout(Deployment(), state.live, coming, 100.0)
    state = replace(state, pending=coming, rollout=rollout)
    step = at(100.0, state, status=UPDATING)
    assert Start("r2") in step.effects
    assert route("e", "r", step.state).variants[0].max_concurrency == 50
    state = launched(step.state, "r2", "h", 101.0)
    replicas = {**state.replicas, "r2": observe(state.replicas["r2"], [READY])}
    step = at(102.0, replace(state, replicas=replicas), status=UPDATING)
    assert (step.status, step.state.config) == ("InService", "next")
    assert route("e", "r", step.state).variants[0].max_concurrency == 7
    assert serving(step.state) == ["r2"]
    assert serving(at(200.0, step.state).state) == []


def test_rows_are_read_as_they_were_written() -> None:
    state = at(100.0, ready(provisioned=3)).state
    assert from_document(state.to_document()) == state
    before = asdict(variant())
    del before["serverless"], before["current_serverless"]
    old = {**state.to_document(), "variants": [before]}
    assert from_document(old).variants[0].serverless is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "wait", "die", "up"]), st.floats(0.0, 90.0)),
        max_size=40,
    )
)
def test_whatever_happens_a_request_finds_a_replica_or_one_on_its_way(
    story: list[tuple[str, float]],
) -> None:
    state, now, demand = ready(), 0.0, None
    for event, seconds in story:
        now += seconds
        if event == "ask":
            demand = asked(now)
        seen = {}
        if event == "die":
            seen = {i: Seen(-9) for i, r in state.replicas.items() if r.handle}
        elif event == "up":
            up = {i: observe(r, [READY]) if r.handle else r for i, r in state.replicas.items()}
            state = replace(state, replicas=up)
        before = state
        step = at(now, state, demand, seen=seen)
        state = step.state
        for effect in step.effects:
            if isinstance(effect, Start):
                state = launched(state, effect.worker, "h", now)
            elif before.replicas[effect.worker].retired is not None:
                gone = {effect.worker: Seen(0)}
                state = at(now, state, demand, seen=gone).state
        staying = [r for r in state.replicas.values() if r.retired is None]
        if demand is not None and now - demand.at < POLICY.idle:
            assert len(staying) == 1
        assert len(staying) <= 1
