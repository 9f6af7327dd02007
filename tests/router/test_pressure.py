"""More requests than replicas can take: the rest is refused at once, and memory stays bounded."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import boto3
import psutil
from botocore.config import Config

from tests.router.stand_in import (
    KEY,
    REGION,
    SECRET,
    Client,
    Platform,
    Replica,
    echo,
    raw,
    route,
    signed,
    statuses,
    wait_until,
)
from tidemill.spec.route import Route, Variant


@contextmanager
def sent(
    platform: Platform, endpoint: str, count: int, body: bytes
) -> Iterator[list[socket.socket]]:
    """So many requests, each on a connection of its own."""
    path = f"/endpoints/{endpoint}/invocations"
    request = raw("POST", path, signed(path, body, port=platform.port), body)
    with ExitStack() as stack:
        made = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", platform.port), 20))
            one.sendall(request)
            made.append(one)
        yield made


def answer_of(one: socket.socket) -> bytes:
    got = one.recv(2**16)
    while b"\r\n\r\n" not in got:
        got += one.recv(2**16)
    return got


def answered(made: list[socket.socket], count: int) -> dict[socket.socket, bytes]:
    """The first so many answers, and on which connections they have come."""
    found: dict[socket.socket, bytes] = {}
    while len(found) < count:
        waiting = [one for one in made if one not in found]
        ready, _, _ = select.select(waiting, [], [], 20)
        assert ready, f"{len(found)} answers instead of {count}"
        found |= {one: answer_of(one) for one in ready}
    return found


def test_a_flood_is_refused_at_once_and_what_was_let_in_is_answered(platform: Platform) -> None:
    slow = platform.replica("flood", lambda head, body: None)
    platform.routes(route("flood", slow, most_outstanding=4, most_waiting=6))
    assert_is_up(platform, "flood", slow)
    before = len(slow.requests)
    with sent(platform, "flood", 60, b"x") as made:
        wait_until(lambda: len(slow.requests) == before + 4)
        refused = answered(made, 50)
        for answer in refused.values():
            head, _, body = answer.partition(b"\r\n\r\n")
            assert statuses(head) == [503]
            assert b"Retry-After: 1" in head
            document = json.loads(body)
            assert document["__type"] == "ServiceUnavailable"
            assert "6 requests wait" in document["message"]
        rest = [one for one in made if one not in refused]
        slow.answer = lambda head, body: (200, b"text/csv\n", body)
        slow.pay()
        assert [statuses(answer_of(one)) for one in rest] == [[200]] * 10
    slow.kill()


def assert_is_up(platform: Platform, endpoint: str, slow: Replica) -> None:
    """A first request, answered: the router follows the table by now."""
    client = Client(platform.port)
    silent, slow.answer = slow.answer, echo
    wait_until(lambda: client.invoke(endpoint, b"first")[0] == 200)
    slow.answer = silent
    client.close()


def test_boto3_tries_again_what_was_refused(platform: Platform) -> None:
    slow = platform.replica("again", lambda head, body: None)
    platform.routes(route("again", slow, most_outstanding=1, most_waiting=0))
    runtime = boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{platform.port}",
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(retries={"max_attempts": 8, "mode": "standard"}),
    )
    assert_is_up(platform, "again", slow)
    with sent(platform, "again", 1, b"x") as made:
        wait_until(lambda: len(slow.requests) >= 2)

        def free() -> None:
            slow.answer = lambda head, body: (200, b"text/csv\n", body)
            slow.pay()

        threading.Timer(0.2, free).start()
        answer = runtime.invoke_endpoint(EndpointName="again", Body=b"again")
        assert answer["Body"].read() == b"again"
        assert answer["ResponseMetadata"]["RetryAttempts"] > 0
        assert statuses(answer_of(made[0])) == [200]
    runtime.close()
    slow.kill()


def test_memory_stays_bounded_in_a_flood_of_large_requests(platform: Platform) -> None:
    slow = platform.replica("large", lambda head, body: None)
    body = b"x" * 1_000_000
    platform.routes(
        route("large", slow, most_outstanding=4, most_waiting=1000, most_waiting_bytes=8 * 2**20)
    )
    assert_is_up(platform, "large", slow)
    assert platform.router is not None
    process = psutil.Process(platform.router.pid)
    before = process.memory_info().rss
    with sent(platform, "large", 200, body) as made:
        refused = answered(made, 200 - 4 - 8)
        assert process.memory_info().rss - before < 80 * 2**20  # 200 MB were sent
        slow.answer = lambda head, body: (200, b"text/csv\n", b"ok")
        slow.pay()
        rest = [one for one in made if one not in refused]
        assert [statuses(answer_of(one)) for one in rest] == [[200]] * 12
    slow.kill()


def test_an_answer_that_takes_too_long_is_given_up_and_may_come_late(platform: Platform) -> None:
    slow = platform.replica("late", lambda head, body: None)
    variant = Variant("v", 1.0, {"r": slow.address}, timeout=0.3)
    platform.routes(Route("late", REGION, (variant,)))
    client = Client(platform.port)
    status, _, body = client.invoke("late", b"x")
    assert status == 424
    assert "timed out" in json.loads(body)["message"]
    assert "0.3 s" in json.loads(body)["message"]
    slow.answer = lambda head, body: (200, b"text/csv\n", body)
    slow.pay()  # to nobody
    assert client.invoke("late", b"y")[::2] == (200, b"y")
    client.close()
    slow.kill()
