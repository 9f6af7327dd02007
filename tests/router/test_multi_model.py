"""Requests for one model of many: where they go, and what becomes of them."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import replace

import pytest

from tests.router.stand_in import Client, Platform, Replica, echo, route, wait_until
from tests.router.test_deaths import ask
from tidemill.spec.route import Route

HEADER = "X-Amzn-SageMaker-Target-Model"


def many(endpoint: str, *replicas: Replica) -> Route:
    one = route(endpoint, *replicas)
    return replace(one, variants=tuple(replace(v, multi_model=True) for v in one.variants))


def take(platform: Platform, endpoint: str, *replicas: Replica) -> None:
    """Let them take requests, and wait until all can."""
    platform.routes(many(endpoint, *replicas))
    client = Client(platform.port)

    def all_are_up() -> bool:
        for _ in range(10):
            client.invoke(endpoint, b"up?", {HEADER: str(random.random())})
        return all(one.requests for one in replicas)

    wait_until(all_are_up)
    client.close()
    for one in replicas:
        one.requests.clear()


def model_of(head: bytes) -> str:
    return head.split(b"\n")[3].decode()


def test_all_requests_for_a_model_go_to_one_replica(platform: Platform, client: Client) -> None:
    replicas = [platform.replica(f"home{i}") for i in range(3)]
    take(platform, "home", *replicas)
    for model in [f"m{i}" for i in range(20)] * 3:
        assert client.invoke("home", b"1", {HEADER: model})[0] == 200
    homes = defaultdict(set)
    for number, one in enumerate(replicas):
        for head, _ in one.requests:
            homes[model_of(head)].add(number)
    assert len(homes) == 20
    assert all(len(numbers) == 1 for numbers in homes.values())
    assert len(set.union(*homes.values())) == 3
    for one in replicas:
        one.kill()


def test_a_model_goes_on_elsewhere_when_its_replica_is_gone(
    platform: Platform, client: Client
) -> None:
    replicas = [platform.replica(f"gone{i}") for i in range(3)]
    take(platform, "gone", *replicas)
    client.invoke("gone", b"1", {HEADER: "m"})
    [home] = [one for one in replicas if one.requests]
    home.kill()
    for _ in range(3):
        assert client.invoke("gone", b"1", {HEADER: "m"})[0] == 200
    asked = sorted(len(one.requests) for one in replicas if one is not home)
    assert asked in ([0, 3], [1, 2])  # the first may have been on its way to the one that died
    for one in replicas:
        one.kill()


def test_a_hot_model_spreads_and_a_cool_one_stays(platform: Platform) -> None:
    replicas = [platform.replica(f"hot{i}") for i in range(2)]
    take(platform, "hot", *replicas)
    for one in replicas:
        one.answer = lambda *_: None
    answers: list[tuple[int, bytes]] = []
    threads = []
    for _ in range(40):  # none is answered
        before = sum(len(one.requests) for one in replicas)
        threads += ask(platform, "hot", [b"1"], answers, {HEADER: "m"})
        wait_until(lambda before=before: sum(len(one.requests) for one in replicas) > before)  # type: ignore[misc]
    busiest, other = sorted(replicas, key=lambda one: -len(one.requests))
    assert [len(busiest.requests), len(other.requests)] == [32, 8]
    for one in replicas:
        one.answer = echo
        one.pay()
    for thread in threads:
        thread.join(20)
    assert answers == [(200, b"1")] * 40
    for one in replicas:
        one.kill()


@pytest.mark.parametrize(
    ("status", "code"), [(400, "ValidationError"), (429, "ModelNotReadyException")]
)
def test_what_the_platform_refuses_is_no_error_of_a_model(
    platform: Platform, client: Client, status: int, code: str
) -> None:
    head = f"text/plain\n\n\n{code}".encode()
    one = platform.replica(f"refuses{status}", lambda *_: (status, head, b"not now"))
    platform.routes(many(f"refuses{status}", one))
    got, headers, body = client.invoke(f"refuses{status}", b"1", {HEADER: "m"})
    assert (got, headers["x-amzn-errortype"]) == (status, code)
    assert json.loads(body)["message"] == "not now"
    one.kill()


def test_a_model_must_be_named_and_only_where_there_are_many(
    platform: Platform, client: Client
) -> None:
    one = platform.replica("named")
    platform.routes(many("many", one), route("single", one))
    for endpoint, headers, said in (
        ("many", {}, "TargetModel"),
        ("single", {HEADER: "m"}, "multi-model"),
    ):
        status, _, body = client.invoke(endpoint, b"1", headers)
        assert (status, json.loads(body)["__type"]) == (400, "ValidationError")
        assert said in json.loads(body)["message"]
    assert one.requests == []
    one.kill()


def test_a_model_that_ends_its_replica_takes_no_other_models_requests_with_it(
    platform: Platform,
) -> None:
    def answer(head: bytes, body: bytes) -> tuple[int, bytes, bytes] | None:
        models.append(model_of(head))
        if models[-1] == "deadly":
            platform.loop.loop.call_soon(one.cut)
            return None
        return None if models.count("slow") == 1 and models[-1] == "slow" else echo(head, body)

    models: list[str] = []
    one = platform.replica("deadly", answer)
    platform.routes(many("deadly", one))
    answers: list[tuple[int, bytes]] = []
    threads = ask(platform, "deadly", [b"1"], answers, {HEADER: "slow"})  # its model loads
    wait_until(lambda: models == ["slow"])
    threads += ask(platform, "deadly", [b"2"], answers, {HEADER: "deadly"})
    threads += ask(platform, "deadly", [b"3"], answers, {HEADER: "other"})
    for thread in threads:
        thread.join(20)
    good = sorted(body for status, body in answers if status == 200)
    assert good == [b"1", b"3"]
    [(status, refused)] = [answer for answer in answers if answer[0] != 200]
    assert (status, json.loads(refused)["__type"]) == (424, "ModelError")
    assert models.count("deadly") == 2
    one.kill()
