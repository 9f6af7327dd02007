"""Endpoints as real processes: started, kept alive, rolled over, taken down."""

from __future__ import annotations

import os
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.control.mill import REGION, Mill
from tidemill.control import endpoint
from tidemill.control.endpoint import Change
from tidemill.errors import Conflict, Invalid, NotFound
from tidemill.spec.endpoint_config import ProductionVariant
from tidemill.spec.frame import HEADER, REQUEST, pack, unpack
from tidemill.spec.home import WorkerHome


def answer(mill: Mill, name: str, variant: str = "main") -> str:
    """What a replica in the routing table says, and which one: its model's URI."""
    [addresses] = [v.replicas for v in mill.routes()[name].variants if v.name == variant]
    address = next(iter(addresses.values()))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as replica:
        replica.settimeout(10)
        replica.connect(address.removeprefix("unix:"))
        replica.sendall(pack(REQUEST, 1, 0, b"\n\n", b""))
        frames, _ = unpack(replica.recv(HEADER.size + 4096))
    return frames[0].body.decode()


def pids(mill: Mill, name: str) -> set[int]:
    return {int(h.split(":")[0]) for h in mill.handles(mill.endpoint(name))}


def test_an_endpoint_comes_into_service_and_answers(mill: Mill) -> None:
    row = mill.serve("mill", count=2)
    assert row.status == "Creating"
    state = mill.until_endpoint("mill", "InService").document["state"]
    [variant] = mill.routes()["mill"].variants
    assert (variant.name, variant.weight, len(variant.replicas)) == ("main", 1.0, 2)
    assert answer(mill, "mill") == "s3://mill-model"
    assert (state["variants"][0]["current_count"], state["generation"]) == (2, 1)


def test_routes_are_there_before_anyone_is_told(mill: Mill) -> None:
    mill.serve("mill")
    told = mill.store.update

    def update(row):  # type: ignore[no-untyped-def]
        if row.status == "InService":
            assert "mill" in mill.routes()
        return told(row)

    mill.store.update = update  # type: ignore[method-assign]
    mill.until_endpoint("mill", "InService")


def test_a_dead_replica_is_started_again(mill: Mill) -> None:
    mill.serve("mill", count=2)
    mill.until_endpoint("mill", "InService")
    [victim, other] = pids(mill, "mill")
    os.kill(victim, signal.SIGKILL)
    mill.until(lambda: pids(mill, "mill") - {victim, other} and ready(mill, "mill") == 2)
    assert other in pids(mill, "mill")
    assert mill.endpoint("mill").status == "InService"


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_a_replica_restarted_by_a_control_plane_that_died_then_comes_back(
    mill: Mill, rounds: int
) -> None:
    mill.serve("mill")
    mill.until_endpoint("mill", "InService")
    [handle] = mill.handles(mill.endpoint("mill"))
    os.kill(int(handle.split(":")[0]), signal.SIGKILL)
    mill.until(lambda: mill.engine.look(handle), tick=False)
    for _ in range(rounds):
        mill.reconciler.tick()
    with mill.losing_what_it_writes():
        mill.reconciler.tick()
    time.sleep(0.3)  # what it has started may tell that it is ready
    mill.restart()
    mill.until(lambda: ready(mill, "mill"))
    assert answer(mill, "mill") == "s3://mill-model"


def test_only_the_living_are_in_the_routes_while_there_are_any(mill: Mill) -> None:
    mill.serve("mill", count=2)
    mill.until_endpoint("mill", "InService")
    row = mill.endpoint("mill")
    state = row.document["state"]
    for id in state["replicas"]:
        handle = state["replicas"][id]["handle"]
        os.kill(int(handle.split(":")[0]), signal.SIGKILL)
        mill.until(lambda h=handle: mill.engine.look(h), tick=False)  # type: ignore[misc]
        break
    mill.reconciler.tick()
    [variant] = mill.routes()["mill"].variants
    assert list(variant.replicas) == ["r2"]


def test_the_last_address_stays_while_none_is_ready(mill: Mill) -> None:
    mill.serve("mill")
    mill.until_endpoint("mill", "InService")
    before = mill.routes()
    [victim] = pids(mill, "mill")
    os.kill(victim, signal.SIGKILL)
    mill.until(lambda: pids(mill, "mill") != {victim})
    assert mill.routes() == before
    mill.until(lambda: ready(mill, "mill"))
    assert answer(mill, "mill") == "s3://mill-model"


def test_a_hung_replica_is_killed_and_started_again(mill: Mill) -> None:
    mill.serve("mill")
    mill.until_endpoint("mill", "InService")
    mill.health.start()
    [victim] = pids(mill, "mill")
    os.kill(victim, signal.SIGSTOP)
    mill.until(lambda: pids(mill, "mill") not in (set(), {victim}) and ready(mill, "mill"))
    assert answer(mill, "mill") == "s3://mill-model"
    mill.health.close()


def test_a_model_that_cannot_load_fails_the_endpoint(mill: Mill) -> None:
    mill.serve("mill", mode="fail")
    state = mill.until_endpoint("mill", "Failed").document["state"]
    assert state["failure"] == (
        "Variant 'main' could not start: ClientError: model.tar.gz: no such object, exit code: 1"
    )
    mill.until(lambda: mill.endpoint("mill").document["state"]["replicas"] == {})
    assert mill.routes() == {}


def test_a_replica_that_always_dies_fails_the_endpoint(mill: Mill) -> None:
    mill.serve("mill", count=2, mode="die")

    def over() -> bool:
        mill.clock_ahead += 1.0  # the pauses between attempts pass in no time
        return mill.endpoint("mill").status == "Failed"

    mill.until(over)
    assert "killed by signal 9" in mill.endpoint("mill").document["state"]["failure"]
    mill.until(lambda: not mill.handles(mill.endpoint("mill")))


def test_a_replica_that_is_never_ready_fails_the_endpoint(mill: Mill) -> None:
    mill.serve("mill", mode="wait")
    mill.until(lambda: mill.handles(mill.endpoint("mill")))
    mill.clock_ahead = 241.0
    state = mill.until_endpoint("mill", "Failed").document["state"]
    assert "not ready within 240 s" in state["failure"]
    mill.until(lambda: not mill.handles(mill.endpoint("mill")))


def test_an_image_nobody_knows_fails_the_endpoint_at_once(mill: Mill) -> None:
    mill.config("mill", ProductionVariant("main", "m"))
    row = mill.store.get("model", REGION, "m")
    assert row is not None
    row.document["spec"]["containers"][0]["image"] = "1.dkr.ecr.us-east-1.amazonaws.com/mine:1"
    mill.store.update(row)
    wanted = endpoint.Endpoint("mill", mill.verbs.arn("endpoint", REGION, "mill"), REGION, "mill")
    endpoint.create(mill.verbs, mill.home, wanted, {}, {})
    mill.reconciler.tick()
    row = mill.endpoint("mill")
    assert row.status == "Failed"
    assert row.document["state"]["failure"].startswith("ClientError: model 'm': an algorithm image")
    assert list(mill.home.endpoints.glob("*/*/*")) == []


def test_a_failed_endpoint_can_be_deleted(mill: Mill) -> None:
    mill.serve("mill", mode="fail")
    mill.until_endpoint("mill", "Failed")
    endpoint.delete(mill.verbs, REGION, "mill")
    mill.until(lambda: mill.store.get("endpoint", REGION, "mill") is None)


def test_a_deleted_endpoint_leaves_nothing(mill: Mill) -> None:
    mill.serve("mill", count=2)
    row = mill.until_endpoint("mill", "InService")
    arn = mill.verbs.arn("endpoint", REGION, "mill")
    mill.verbs.add_tags(arn, {"k": "v"})
    running = mill.handles(row)
    assert endpoint.delete(mill.verbs, REGION, "mill").status == "Deleting"
    mill.reconciler.tick()
    assert mill.routes() == {}
    mill.until(lambda: mill.store.get("endpoint", REGION, "mill") is None)
    assert all(mill.engine.look(handle) for handle in running)
    assert not Path(row.document["state"]["home"]).exists()
    assert list(mill.home.run.glob("replica-*")) == []
    assert mill.store.tags(arn) == {}
    with pytest.raises(NotFound):
        endpoint.delete(mill.verbs, REGION, "mill")


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_a_replica_that_was_not_written_down_is_deleted_too(mill: Mill, rounds: int) -> None:
    """The control plane dies in some round before its note; then the endpoint is deleted."""
    mill.serve("mill")
    for _ in range(rounds):
        before = mill.endpoint("mill")
        mill.reconciler.tick()
    running = mill.handles(mill.endpoint("mill"))
    mill.store.update(replace(before, revision=mill.endpoint("mill").revision))
    endpoint.delete(mill.verbs, REGION, "mill")
    mill.restart()
    mill.until(lambda: mill.store.get("endpoint", REGION, "mill") is None)
    assert all(mill.engine.look(handle) for handle in running)
    assert bool(running) == (rounds > 1)


def test_an_update_serves_the_old_until_the_new_is_ready(mill: Mill) -> None:
    mill.serve("mill")
    mill.until_endpoint("mill", "InService")
    old = pids(mill, "mill")
    mill.config("newer", ProductionVariant("main", "newer-model", 2))
    row = endpoint.update(mill.verbs, REGION, "mill", "newer", {})
    assert row.status == "Updating"
    assert row.document["state"]["config"] == "mill"
    with pytest.raises(Conflict, match="InService; got 'Updating'"):
        endpoint.update(mill.verbs, REGION, "mill", "newer", {})
    said = set()

    def switched() -> bool:
        said.add(answer(mill, "mill"))
        return mill.endpoint("mill").status == "InService"

    mill.until(switched)
    assert answer(mill, "mill") == "s3://newer-model"
    assert said <= {"s3://mill-model", "s3://newer-model"}
    row = mill.endpoint("mill")
    assert (row.document["state"]["config"], row.document["state"]["generation"]) == ("newer", 2)
    assert old <= pids(mill, "mill")  # still there for requests under way ...
    mill.clock_ahead = 2.5
    mill.until(lambda: not old & pids(mill, "mill"))  # ... and gone after a while
    assert len(pids(mill, "mill")) == 2


def test_a_failed_update_leaves_the_old_in_service(mill: Mill) -> None:
    mill.serve("mill")
    mill.until_endpoint("mill", "InService")
    old = pids(mill, "mill")
    mill.config("broken", ProductionVariant("main", "broken-model"), mode="fail")
    endpoint.update(mill.verbs, REGION, "mill", "broken", {})
    state = mill.until_endpoint("mill", "InService").document["state"]
    assert "no such object" in state["failure"]
    assert (state["config"], state.get("pending")) == ("mill", None)
    assert answer(mill, "mill") == "s3://mill-model"
    mill.until(lambda: pids(mill, "mill") == old)


def test_an_update_may_keep_weights_and_counts(mill: Mill) -> None:
    mill.serve("mill", count=2)
    mill.until_endpoint("mill", "InService")
    mill.config("newer", ProductionVariant("main", "newer-model", 1, weight=7.0))
    row = endpoint.update(
        mill.verbs, REGION, "mill", "newer", {}, keep_weights=True, keep_counts=True
    )
    [variant] = row.document["state"]["pending"]["variants"]
    assert (variant["weight"], variant["count"]) == (1.0, 2)


def test_counts_and_weights_change_in_place(mill: Mill) -> None:
    mill.serve("mill")
    mill.until_endpoint("mill", "InService")
    old = pids(mill, "mill")
    row = endpoint.update_weights(
        mill.verbs, REGION, "mill", {"main": Change("main", weight=0.5, count=3)}
    )
    assert row.status == "Updating"
    mill.until_endpoint("mill", "InService")
    [variant] = mill.routes()["mill"].variants
    assert (variant.weight, len(variant.replicas)) == (0.5, 3)
    assert old < pids(mill, "mill")
    endpoint.update_weights(mill.verbs, REGION, "mill", {"main": Change("main", count=1)})
    mill.until_endpoint("mill", "InService")
    [variant] = mill.routes()["mill"].variants
    assert (variant.weight, list(variant.replicas)) == (0.5, ["r1"])
    home = Path(mill.endpoint("mill").document["state"]["home"])
    for id in ("r1", "r3"):
        WorkerHome(home / id).model.mkdir()
    mill.clock_ahead = 2.5
    mill.until(lambda: pids(mill, "mill") == old)
    mill.until(lambda: not WorkerHome(home / "r3").model.exists())
    assert WorkerHome(home / "r3").log.exists()
    assert WorkerHome(home / "r1").model.exists()


def test_a_refused_change_leaves_the_endpoint_untouched(mill: Mill) -> None:
    mill.serve("mill")
    before = mill.endpoint("mill")
    with pytest.raises(Invalid, match="endpoint config 'mill'; got"):
        endpoint.update_weights(mill.verbs, REGION, "mill", {"x": Change("x", count=2)})
    with pytest.raises(Conflict, match="InService; got 'Creating'"):
        endpoint.update_weights(mill.verbs, REGION, "mill", {"main": Change("main", count=2)})
    with pytest.raises(NotFound):
        endpoint.update(mill.verbs, REGION, "mill", "none", {})
    assert mill.endpoint("mill") == before


def test_a_new_control_plane_adopts_the_replicas(mill: Mill) -> None:
    mill.serve("mill", count=2)
    mill.until_endpoint("mill", "InService")
    before, routes = pids(mill, "mill"), mill.routes()
    mill.restart()
    for _ in range(3):
        mill.reconciler.tick()
    assert pids(mill, "mill") == before
    assert mill.routes() == routes


def test_an_idle_round_writes_nothing(mill: Mill) -> None:
    mill.serve("mill")
    mill.until_endpoint("mill", "InService")
    mill.reconciler.tick()
    before, written = mill.endpoint("mill"), mill.home.routes.stat()
    for _ in range(3):
        mill.reconciler.tick()
    assert mill.endpoint("mill") == before
    assert mill.home.routes.stat() == written


def ready(mill: Mill, name: str) -> int:
    """How many replicas are ready, as the row says."""
    replicas = mill.endpoint(name).document["state"]["replicas"].values()
    return sum(replica["ready"] for replica in replicas)
