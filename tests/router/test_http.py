"""Bytes that are no request, or one that never ends, disturb nobody."""

from __future__ import annotations

import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.router import stand_in
from tests.router.stand_in import Client, Platform, Wire, raw, signed
from tidemill.router import answers
from tidemill.router.clock import Clock
from tidemill.router.http import (
    BODY_SECONDS,
    HEAD_SECONDS,
    IDLE_SECONDS,
    LINGER_SECONDS,
    LONGEST_HEAD,
    Connection,
    Exchange,
    Request,
)

PING = b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n"
TOKENS = st.sampled_from(
    [
        b"POST /endpoints/e/invocations HTTP/1.1\r\n",
        b"GET /ping HTTP/1.1\r\n",
        b"Host: h\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: h2c\r\n",
        b"Expect: 100-continue\r\n",
        b"Authorization: AWS4-HMAC-SHA256 Credential=a/b/c\r\n",
        b"Authorization: AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/sagemaker/aws4_request, "
        b"SignedHeaders=host;x-amz-date, Signature=" + b"0" * 64 + b"\r\n",
        b"X-Amz-Date: 20261399T999999Z\r\n",
        b"POST /endpoints/e/invocations?X-Amz-Signature=1&X-Amz-Date=%ff HTTP/1.1\r\n",
        b"POST /endpoints/e/invocations?AWSAccessKeyId=1&Expires=9&Signature=1 HTTP/1.1\r\n",
        b"\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"hello",
        b"\x00\xff",
        b" ",
        b"\n",
    ]
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(TOKENS | st.binary(max_size=40), max_size=12), st.integers(1, 5))
def test_any_bytes_are_answered_or_refused_and_the_router_goes_on(
    platform: Platform, pieces: list[bytes], cut: int
) -> None:
    data = b"".join(pieces)
    step = max(1, len(data) // cut)
    got = stand_in.talk(
        platform.port, *[data[i : i + step] for i in range(0, len(data), step)], seconds=20
    )
    assert got == b"" or got.startswith(b"HTTP/1.1 ")
    assert stand_in.talk(platform.port, PING).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, 431),
        (b"GET /" + b"x" * 70_000, 431),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_ends(
    platform: Platform, data: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", platform.port), timeout=10) as one:
        one.sendall(data)
        got = b""
        while more := one.recv(4096):
            got += more
    assert stand_in.statuses(got) == [status]
    assert b"Connection: close" in got


def test_requests_before_a_malformed_one_are_answered_first(platform: Platform) -> None:
    one = platform.replica("before")
    platform.routes(stand_in.route("before", one))
    path = "/endpoints/before/invocations"
    good = raw("POST", path, signed(path, b"1", port=platform.port), b"1")
    with socket.create_connection(("127.0.0.1", platform.port), timeout=10) as client:
        client.sendall(good + PING + b"nonsense\r\n\r\n")
        got = b""
        while more := client.recv(4096):
            got += more
    assert stand_in.statuses(got) == [200, 200, 400]
    one.kill()


def test_a_connection_is_kept_for_many_requests(platform: Platform) -> None:
    with socket.create_connection(("127.0.0.1", platform.port), timeout=10) as client:
        for _ in range(10):
            client.sendall(PING)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
        client.sendall(b"GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert b"Connection: close" in client.recv(4096)
        assert client.recv(10) == b""


def test_ping_needs_no_signature_and_predictions_do(platform: Platform) -> None:
    client = Client(platform.port)
    assert client.request("GET", "/ping", secret="wrong")[0] == 200
    assert client.request("GET", "/health", secret="wrong")[0] == 200
    assert client.request("HEAD", "/ping")[::2] == (200, b"")
    assert client.request("GET", "/ping")[0] == 200
    assert client.invoke("e", b"", secret="wrong")[0] == 403
    client.close()


def connection() -> tuple[Connection, Wire, Clock]:
    clock, wire = Clock(), Wire()
    one = Connection(Exchange, clock, set())
    one.connection_made(wire)  # type: ignore[arg-type]
    return one, wire, clock


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        (b"GET / HT", HEAD_SECONDS),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", BODY_SECONDS),
    ],
)
def test_a_request_that_stops_half_way_is_ended(sent: bytes, seconds: float) -> None:
    one, wire, clock = connection()
    one.data_received(sent)
    one.look(clock.now + seconds - 1)
    assert wire.written == b""
    one.look(clock.now + seconds + 1)
    assert stand_in.statuses(wire.written) == [408]
    assert wire.state == "half"
    one.look(clock.now + LINGER_SECONDS + 1)
    assert wire.state == "aborted"


def test_a_head_that_trickles_is_ended_though_it_never_stops() -> None:
    one, wire, clock = connection()
    start = clock.now
    for second in range(int(HEAD_SECONDS)):
        one.data_received(b"GET / HTTP/1.1\r\nX: "[second : second + 1])
        clock.now = start + second
        one.look(clock.now)
    assert wire.written == b""
    one.look(start + HEAD_SECONDS + 1)
    assert stand_in.statuses(wire.written) == [408]


def test_a_silent_connection_is_closed_and_one_that_waits_for_its_answer_is_not() -> None:
    one, wire, clock = connection()
    one.data_received(b"GET / HTTP/1.1\r\n\r\n")
    one.look(clock.now + 10 * IDLE_SECONDS)
    assert wire.state == "open"
    idle, wire, clock = connection()
    idle.look(clock.now + IDLE_SECONDS + 1)
    assert wire.state == "closed"


def test_a_client_that_takes_nothing_is_let_go_and_a_slow_one_is_not() -> None:
    one, wire, clock = connection()
    one.data_received(b"GET / HTTP/1.1\r\n\r\n")
    one.pause_writing()
    start = clock.now
    for minute in range(1, 10):
        wire.unsent = 100_000 - minute
        one.look(start + 60 * minute)
    assert wire.state == "open"
    one.look(start + 540 + IDLE_SECONDS + 1)
    assert wire.state == "aborted"


def test_a_last_answer_that_is_still_being_read_is_not_cut_off() -> None:
    one, wire, clock = connection()
    one.data_received(b"nonsense\r\n\r\n")
    assert wire.state == "half"
    wire.unsent = 1000
    one.look(clock.now + 1)
    one.look(clock.now + 10 * LINGER_SECONDS)
    assert wire.state == "half"
    wire.unsent = 0
    one.look(clock.now + 10 * LINGER_SECONDS + 1)
    assert wire.state == "half"
    one.look(clock.now + 11 * LINGER_SECONDS + 2)
    assert wire.state == "aborted"


def test_a_head_that_comes_with_the_body_before_it_is_not_too_long() -> None:
    one, wire, _ = connection()
    body = b"x" * 2 * LONGEST_HEAD
    one.data_received(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body + b"G")
    assert wire.written == b""
    one.data_received(b"ET / HTTP/1.1\r\nX: " + b"x" * LONGEST_HEAD)
    one._line[0].request.keep_alive = True
    one.write(one._line[0], b"first", last=True)
    assert wire.written.startswith(b"firstHTTP/1.1 431 ")


def test_request_ids_are_unique_and_headers_are_found_by_any_case() -> None:
    assert len({answers.request_id() for _ in range(100)}) == 100
    request = Request(b"GET", b"/", [(b"X-A", b"1"), (b"x-a", b"2")])
    assert request.header(b"x-a") == b"1"
    assert request.header(b"x-b") is None
