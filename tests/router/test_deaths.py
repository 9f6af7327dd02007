"""What becomes of requests whose replica dies, over a real router."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping

from tests.router.stand_in import Client, Platform, Replica, echo, route, wait_until


def ask(
    platform: Platform,
    endpoint: str,
    bodies: list[bytes],
    into: list[tuple[int, bytes]],
    headers: Mapping[str, str] | None = None,
) -> list[threading.Thread]:
    def one(body: bytes) -> None:
        client = Client(platform.port)
        status, _, got = client.invoke(endpoint, body, headers)
        into.append((status, body if status == 200 and got == body else got))
        client.close()

    threads = [threading.Thread(target=one, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    return threads


def frail(platform: Platform, name: str) -> Replica:
    """Dies of ``poison``, with everything that it has; keeps ``mate`` waiting the first time."""
    seen: list[bytes] = []

    def answer(head: bytes, body: bytes) -> tuple[int, bytes, bytes] | None:
        seen.append(body)
        if body == b"poison":
            platform.loop.loop.call_soon(one.cut)
            return None
        if body.startswith(b"mate") and seen.count(body) == 1:
            return None
        return echo(head, body)

    one = platform.replica(name, answer)
    return one


def test_a_request_that_ends_replicas_is_refused_and_its_mates_are_answered(
    platform: Platform,
) -> None:
    one = frail(platform, "frail")
    platform.routes(route("frail", one))
    answers: list[tuple[int, bytes]] = []
    mates = [b"mate%d" % i for i in range(12)]
    threads = ask(platform, "frail", mates, answers)
    wait_until(lambda: len(one.requests) == 12)
    threads += ask(platform, "frail", [b"poison"], answers)
    for thread in threads:
        thread.join(20)
    assert sorted(body for status, body in answers if status == 200) == sorted(mates)
    [(status, refused)] = [answer for answer in answers if answer[0] != 200]
    document = json.loads(refused)
    assert (status, document["__type"]) == (424, "ModelError")
    assert document["OriginalStatusCode"] == 500
    assert "sent to no other" in document["message"]
    assert [body for _, body in one.requests].count(b"poison") == 2
    one.kill()


def test_an_endpoint_outlives_a_client_that_sends_poison_again_and_again(
    platform: Platform,
) -> None:
    pair = [frail(platform, "f1"), frail(platform, "f2")]
    platform.routes(route("stubborn", *pair))
    client = Client(platform.port)
    for i in range(20):
        assert client.invoke("stubborn", b"poison")[0] == 424
        body = b"row %d" % i
        assert client.invoke("stubborn", body)[::2] == (200, body)
    seen = [body for one in pair for _, body in one.requests]
    assert seen.count(b"poison") == 2, "what is known to end replicas goes to none"
    client.close()
    for one in pair:
        one.kill()


def test_a_lone_request_is_tried_once_more(platform: Platform) -> None:
    one = frail(platform, "lone")
    platform.routes(route("lone", one))
    answers: list[tuple[int, bytes]] = []
    threads = ask(platform, "lone", [b"mate"], answers)
    wait_until(lambda: len(one.requests) == 1)
    platform.loop.loop.call_soon_threadsafe(one.cut)
    for thread in threads:
        thread.join(20)
    assert answers == [(200, b"mate")]
    one.kill()
