"""Serverless endpoints as real processes: gone when idle, there again when asked."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tests.control.mill import REGION, Mill
from tests.control.reconcile.test_endpoint import answer, pids, ready
from tidemill.control import endpoint
from tidemill.control.endpoint import Change
from tidemill.errors import Invalid
from tidemill.spec import serverless
from tidemill.spec.endpoint import Endpoint
from tidemill.spec.endpoint_config import ProductionVariant
from tidemill.spec.serverless import Demand, Serverless

BOUNDS = Serverless(1024, 5)


def deploy(mill: Mill, mode: str = "serve", bounds: Serverless = BOUNDS) -> None:
    mill.config("mill", ProductionVariant("main", "mill-model", serverless=bounds), mode=mode)
    wanted = Endpoint("mill", mill.verbs.arn("endpoint", REGION, "mill"), REGION, "mill")
    endpoint.create(mill.verbs, mill.home, wanted, {"EndpointName": "mill"}, {})
    mill.until_endpoint("mill", "Failed" if mode == "fail" else "InService")


def idle(mill: Mill) -> None:
    """Let so much time pass that nothing is left."""
    mill.clock_ahead += 70.0
    mill.reconciler.tick()
    mill.clock_ahead += 5.0  # it has drained
    mill.until(lambda: not mill.endpoint("mill").document["state"]["replicas"])
    assert mill.routes()["mill"].variants[0].replicas == {}


def ask(mill: Mill, peak: int = 1) -> None:
    """As the router does."""
    demand = Demand(REGION, "mill", mill.now(), peak)
    fresh = mill.home.demand.with_suffix(".new")
    fresh.write_text(serverless.to_json([demand]))
    fresh.replace(mill.home.demand)
    mill.verbs.wake()


def test_it_comes_into_service_goes_when_idle_and_comes_back_when_asked(mill: Mill) -> None:
    deploy(mill)
    assert answer(mill, "mill") == "s3://mill-model"
    idle(mill)
    assert mill.endpoint("mill").status == "InService"
    ask(mill)
    mill.until(lambda: ready(mill, "mill"))
    assert answer(mill, "mill") == "s3://mill-model"
    idle(mill)


def test_the_first_request_wakes_a_loop_that_sleeps(mill: Mill) -> None:
    deploy(mill)
    idle(mill)
    over = threading.Event()
    mill.listen()
    assert mill.wakeup is not None
    loop = threading.Thread(target=mill.reconciler.run, args=(over, mill.wakeup.wait))
    loop.start()
    time.sleep(0.1)
    began = time.monotonic()
    ask(mill)
    mill.until(lambda: mill.routes()["mill"].variants[0].replicas, tick=False)
    took = time.monotonic() - began
    over.set()
    mill.verbs.wake()
    loop.join()
    assert took < 20.0  # generous: what matters is that it came without a round by hand


def test_a_control_plane_that_died_meanwhile_finds_what_is_asked(mill: Mill) -> None:
    deploy(mill)
    idle(mill)
    ask(mill)
    mill.restart()
    mill.until(lambda: ready(mill, "mill"))
    idle(mill)
    ask(mill)
    with mill.losing_what_it_writes():
        mill.reconciler.tick()
    mill.restart()
    mill.until(lambda: ready(mill, "mill"))
    assert len(pids(mill, "mill")) == 1


def test_a_request_that_comes_while_the_last_replica_leaves_gets_another(mill: Mill) -> None:
    deploy(mill)
    mill.clock_ahead += 70.0
    mill.reconciler.tick()
    assert mill.routes()["mill"].variants[0].replicas == {}
    [leaving] = pids(mill, "mill")  # it drains
    ask(mill)
    mill.until(lambda: mill.routes()["mill"].variants[0].replicas)
    assert answer(mill, "mill") == "s3://mill-model"
    mill.until(lambda: leaving not in pids(mill, "mill"))
    assert len(pids(mill, "mill")) == 1


def test_a_replica_that_is_killed_while_it_is_asked_comes_back(mill: Mill) -> None:
    deploy(mill)
    ask(mill)
    [victim] = pids(mill, "mill")
    os.kill(victim, signal.SIGKILL)
    mill.until(lambda: pids(mill, "mill") - {victim} and ready(mill, "mill") == 1)


def test_a_model_that_does_not_load_fails_the_endpoint(mill: Mill) -> None:
    deploy(mill, mode="fail")
    assert "no such object" in mill.endpoint("mill").document["state"]["failure"]


def test_other_bounds_and_warm_replicas_without_a_request(mill: Mill) -> None:
    deploy(mill)
    idle(mill)
    change = Change("main", concurrency=9, provisioned=2)
    endpoint.update_weights(mill.verbs, REGION, "mill", {"main": change})
    mill.until_endpoint("mill", "InService")
    [variant] = mill.routes()["mill"].variants
    assert (variant.max_concurrency, len(variant.replicas)) == (9, 1)
    mill.clock_ahead += 1000.0
    mill.reconciler.tick()
    assert ready(mill, "mill") == 1
    for wrong, why in (
        (Change("main", provisioned=10), "must be at most its MaxConcurrency, 9"),
        (Change("main", count=2), "has no DesiredInstanceCount"),
    ):
        with pytest.raises(Invalid, match=why):
            endpoint.update_weights(mill.verbs, REGION, "mill", {"main": wrong})


def test_serverless_becomes_instances_but_not_the_other_way(mill: Mill) -> None:
    deploy(mill)
    idle(mill)
    mill.config("fixed", ProductionVariant("main", "fixed-model", 2))
    endpoint.update(mill.verbs, REGION, "mill", "fixed", {}, keep_counts=True)
    mill.until_endpoint("mill", "InService")
    assert answer(mill, "mill") == "s3://fixed-model"
    mill.clock_ahead += 1000.0
    mill.until(lambda: ready(mill, "mill") == 2)
    with pytest.raises(Invalid, match="can not be updated to a serverless"):
        endpoint.update(mill.verbs, REGION, "mill", "mill", {})
    changes = {"main": Change("main", concurrency=3)}
    with pytest.raises(Invalid, match="must be serverless"):
        endpoint.update_weights(mill.verbs, REGION, "mill", changes)
