"""Updates that move the traffic bit by bit, with real processes: shifted, baked, rolled back."""

from __future__ import annotations

from dataclasses import replace

from tests.control.mill import REGION, Mill
from tidemill.control import alarm, endpoint
from tidemill.spec.deployment import (
    CANARY,
    CAPACITY_PERCENT,
    INSTANCE_COUNT,
    LINEAR,
    ROLLING,
    Capacity,
    Deployment,
)
from tidemill.spec.endpoint_config import ProductionVariant
from tidemill.store.base import Row

TENTH = Capacity(CAPACITY_PERCENT, 10)
HALF = Capacity(CAPACITY_PERCENT, 50)
ONE = Capacity(INSTANCE_COUNT, 1)
CANARY_OF_A_TENTH = Deployment(CANARY, TENTH, wait=100.0, termination=50.0, alarms=("errors",))


def deploy(mill: Mill, deployment: Deployment, count: int = 1, mode: str = "serve") -> None:
    """An endpoint of so many replicas, and an update of it to as many of another model."""
    mill.serve("mill", count=count)
    mill.until_endpoint("mill", "InService")
    mill.verbs.create(alarm.KIND, REGION, "errors", {}, "OK")
    mill.config("newer", ProductionVariant("main", "newer-model", count), mode=mode)
    endpoint.update(mill.verbs, REGION, "mill", "newer", {}, deployment=deployment)


def ring(mill: Mill, state: str = "ALARM") -> None:
    mill.verbs.change(alarm.KIND, REGION, "errors", lambda row: replace(row, status=state))


def stage(mill: Mill) -> str:
    rollout = mill.endpoint("mill").document["state"].get("rollout")
    return rollout["stage"] if rollout else ""


def until_stage(mill: Mill, wanted: str) -> None:
    mill.until(lambda: stage(mill) == wanted)


def weights(mill: Mill) -> list[tuple[float, int]]:
    return [(round(v.weight, 6), len(v.replicas)) for v in mill.routes()["mill"].variants]


def generations(mill: Mill) -> set[int]:
    """Of the replicas that there are."""
    return {r["generation"] for r in mill.endpoint("mill").document["state"]["replicas"].values()}


def test_a_canary_is_watched_before_the_rest_follows(mill: Mill) -> None:
    deploy(mill, CANARY_OF_A_TENTH)
    until_stage(mill, "Baking")
    assert weights(mill) == [(0.9, 1), (0.1, 1)]
    assert [(v.name, v.config) for v in mill.routes()["mill"].variants] == [
        ("main", "mill"),
        ("main", "newer"),
    ]
    assert mill.endpoint("mill").status == "Updating"
    mill.clock_ahead += 101.0
    mill.until(lambda: weights(mill) == [(1.0, 1)])
    until_stage(mill, "Baking")
    mill.clock_ahead += 101.0
    until_stage(mill, "Deleting")
    assert generations(mill) == {1, 2}
    mill.clock_ahead += 51.0
    row = mill.until_endpoint("mill", "InService")
    assert row.document["state"]["config"] == "newer"
    assert [v.config for v in mill.routes()["mill"].variants] == [""]
    mill.clock_ahead += 3.0
    mill.until(lambda: generations(mill) == {2})


def test_an_alarm_brings_everything_back(mill: Mill) -> None:
    deploy(mill, CANARY_OF_A_TENTH)
    until_stage(mill, "Baking")
    ring(mill)
    mill.until_endpoint("mill", "RollingBack")
    assert weights(mill) == [(1.0, 1)]
    mill.clock_ahead += 3.0
    state = mill.until_endpoint("mill", "InService").document["state"]
    assert state["config"] == "mill"
    assert state["failure"].startswith("The deployment was rolled back because of alarms in state")
    assert generations(mill) == {1}


def test_an_alarm_that_rings_from_the_start_lets_nothing_begin(mill: Mill) -> None:
    mill.verbs.create(alarm.KIND, REGION, "rung", {}, "ALARM")
    deploy(mill, replace(CANARY_OF_A_TENTH, alarms=("errors", "rung")))
    state = mill.until_endpoint("mill", "InService").document["state"]
    assert state["config"] == "mill"
    assert "rung" in state["failure"]


def test_a_rolling_update_replaces_replica_by_replica(mill: Mill) -> None:
    deploy(mill, Deployment(ROLLING, HALF, wait=100.0), count=2)
    until_stage(mill, "Baking")
    assert weights(mill) == [(0.5, 2), (0.5, 1)]
    mill.clock_ahead += 101.0
    mill.until(lambda: weights(mill) == [(1.0, 2)])
    until_stage(mill, "Baking")
    mill.clock_ahead += 101.0
    row = mill.until_endpoint("mill", "InService")
    assert row.document["state"]["config"] == "newer"
    assert row.document["state"]["made"] == 4


def test_a_rolling_update_rolls_back_by_starting_the_old_again(mill: Mill) -> None:
    deploy(mill, Deployment(ROLLING, ONE, wait=100.0, alarms=("errors",)), count=2)
    until_stage(mill, "Baking")
    mill.clock_ahead += 101.0
    mill.until(lambda: weights(mill) == [(1.0, 2)])
    ring(mill)
    mill.until_endpoint("mill", "RollingBack")
    mill.until(lambda: weights(mill) == [(1.0, 2)])
    mill.clock_ahead += 3.0
    row = mill.until_endpoint("mill", "InService")
    assert row.document["state"]["config"] == "mill"
    assert generations(mill) == {1}


def test_a_rollback_that_cannot_be_is_told_and_tried_further(mill: Mill) -> None:
    deploy(mill, Deployment(ROLLING, HALF, wait=100.0, alarms=("errors",)), count=2)
    until_stage(mill, "Baking")
    mill.clock_ahead += 101.0
    mill.until(lambda: weights(mill) == [(1.0, 2)])
    spoil(mill, "fail")
    ring(mill)
    row = mill.until_endpoint("mill", "UpdateRollbackFailed")
    assert "The rollback failed, too" in row.document["state"]["failure"]
    assert [weight for weight, _ in weights(mill)] == [0.5, 0.5]
    spoil(mill, "serve")

    def back() -> bool:
        mill.clock_ahead += 1.0  # pauses between attempts, and draining
        return mill.endpoint("mill").status == "InService"

    mill.until(back)
    assert generations(mill) == {1}


def spoil(mill: Mill, mode: str) -> None:
    """Old replicas that start from now on behave so."""

    def changed(row: Row) -> Row:
        [variant] = row.document["state"]["variants"]
        variants = [{**variant, "environment": {"mode": mode}}]
        state = {**row.document["state"], "variants": variants}
        return replace(row, document={**row.document, "state": state})

    mill.verbs.change("endpoint", REGION, "mill", changed)


def test_a_new_fleet_that_cannot_start_changes_nothing(mill: Mill) -> None:
    deploy(mill, Deployment(ROLLING, HALF, wait=100.0), count=2, mode="fail")
    state = mill.until_endpoint("mill", "InService").document["state"]
    assert state["config"] == "mill"
    assert "no such object" in state["failure"]
    assert weights(mill) == [(1.0, 2)]


def test_a_rollout_goes_on_where_a_killed_control_plane_left_it(mill: Mill) -> None:
    """Every second round is lost before it is written down, and somebody new takes over."""
    deploy(mill, Deployment(LINEAR, HALF, wait=100.0, termination=100.0))
    seen = []

    def done() -> bool:
        with mill.losing_what_it_writes():
            mill.reconciler.tick()
        mill.restart()
        seen.append([weight for weight, _ in weights(mill)])
        if stage(mill) in ("Baking", "Deleting"):
            mill.clock_ahead += 101.0
        return mill.endpoint("mill").status == "InService"

    mill.until(done)
    assert mill.endpoint("mill").document["state"]["config"] == "newer"
    assert [shares for i, shares in enumerate(seen) if shares not in seen[:i]] == [
        [1.0],
        [0.5, 0.5],
    ]
    mill.clock_ahead += 3.0
    mill.until(lambda: generations(mill) == {2})


def test_an_update_that_an_older_release_began_is_finished(mill: Mill) -> None:
    deploy(mill, CANARY_OF_A_TENTH)

    def older(row: Row) -> Row:
        state = {k: v for k, v in row.document["state"].items() if k != "rollout"}
        return replace(row, document={**row.document, "state": state})

    mill.verbs.change("endpoint", REGION, "mill", older)
    row = mill.until_endpoint("mill", "InService")
    assert row.document["state"]["config"] == "newer"


def test_an_endpoint_is_deleted_in_the_middle_of_a_rollout(mill: Mill) -> None:
    deploy(mill, CANARY_OF_A_TENTH)
    until_stage(mill, "Baking")
    endpoint.delete(mill.verbs, REGION, "mill")
    mill.until(lambda: mill.store.get("endpoint", REGION, "mill") is None)
    assert mill.routes() == {}
