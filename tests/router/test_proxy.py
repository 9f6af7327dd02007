"""Everything that is no prediction passes through to the gateway, unchanged, in both directions."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.router import stand_in
from tests.router.stand_in import Gateway, Platform, raw
from tidemill.router.http import Request
from tidemill.router.proxy import is_safe

MB = 2**20


@pytest.fixture(scope="module")
def gateway(platform: Platform) -> Iterator[Gateway]:
    one = Gateway(platform.loop, platform.home.socket("gateway"))
    yield one
    one.stop()


@pytest.fixture
def web(platform: Platform, gateway: Gateway) -> Iterator[http.client.HTTPConnection]:
    one = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=20)
    yield one
    one.close()


def ask(
    web: http.client.HTTPConnection, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, bytes]:
    web.request(method, path, body, headers)  # type: ignore[arg-type]
    response = web.getresponse()
    return response.status, response.read()


def test_a_request_s_head_arrives_as_it_was_sent(
    platform: Platform, web: http.client.HTTPConnection
) -> None:
    target = "/head"
    web.putrequest("PUT", target, skip_host=True, skip_accept_encoding=True)
    for name, value in (("Host", "b.s3.local"), ("X-Empty", ""), ("X-Odd", "\xe9 a  b")):
        web.putheader(name, value.encode("latin-1"))
    web.putheader("Connection", "keep-alive")
    web.putheader("Content-Length", "0")
    web.endheaders()
    first, headers = json.loads(web.getresponse().read())
    assert first == "PUT /head HTTP/1.1"
    assert headers == {
        "host": "b.s3.local",
        "x-empty": "",
        "x-odd": "\xe9 a  b",
        "content-length": "0",
    }


def test_bodies_of_fifty_megabytes_stream_both_ways(web: http.client.HTTPConnection) -> None:
    body = bytes(range(256)) * (50 * MB // 256)
    assert ask(web, "PUT", "/sum", body)[1].decode() == hashlib.sha256(body).hexdigest()
    assert ask(web, "PUT", "/echo", body)[1] == body
    assert len(ask(web, "GET", f"/big/{50 * MB}")[1]) == 50 * MB


def test_a_chunked_upload_and_expect_are_passed_on(
    platform: Platform, web: http.client.HTTPConnection
) -> None:
    pieces = [b"a" * 1000, b"b" * 70_000]
    assert ask(web, "PUT", "/echo", iter(pieces))[1] == b"".join(pieces)
    with socket.create_connection(("127.0.0.1", platform.port), timeout=10) as one:
        one.sendall(raw("PUT", "/echo", {"Host": "h", "Expect": "100-continue"}, b"abc")[:-3])
        assert one.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(b"abc")
        got = b""
        while not got.endswith(b"abc"):
            got += one.recv(1000)
        assert stand_in.statuses(got) == [200]


def test_head_answers_have_no_body_and_leave_the_connection_usable(
    web: http.client.HTTPConnection,
) -> None:
    for _ in range(3):
        web.request("HEAD", "/echo", b"12345")
        response = web.getresponse()
        assert response.getheader("Content-Length") == "5"
        assert response.read() == b""
        assert ask(web, "GET", "/echo") == (200, b"")


def test_pipelined_requests_of_both_kinds_are_answered_in_order(
    platform: Platform, gateway: Gateway
) -> None:
    requests = [raw("PUT", "/echo", {"Host": "h"}, b"<%d>" % i) for i in range(20)]
    requests.insert(10, b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
    got = stand_in.talk(platform.port, b"".join(requests))
    assert stand_in.statuses(got) == [200] * 21
    places = [got.index(b"<%d>" % i) for i in range(20)]
    assert places == sorted(places)
    assert places[9] < got.index(b'"ok"') < places[10]


def test_an_answer_before_the_body_ends_the_connection(
    platform: Platform, gateway: Gateway
) -> None:
    head = b"PUT /early HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
    got = stand_in.talk(platform.port, head + b"x" * 1000)
    assert got == b"" or stand_in.statuses(got) == [403]
    with socket.create_connection(("127.0.0.1", platform.port), timeout=10) as one:
        one.sendall(head + b"x" * 1000)
        got = b""
        while data := one.recv(1000):
            got += data
        assert stand_in.statuses(got) == [403]
        assert b"Connection: close" in got


def test_an_older_client_is_not_sent_chunks(platform: Platform, gateway: Gateway) -> None:
    got = stand_in.talk(platform.port, b"GET /big/5 HTTP/1.0\r\n\r\n")
    assert got.endswith(b"\r\n\r\nxxxxx")
    assert b"chunked" not in got
    got = stand_in.talk(platform.port, b"GET /eof HTTP/1.1\r\nHost: h\r\n\r\n")
    assert got.endswith(b"until the end")


def test_a_slow_reader_holds_the_gateway_back(platform: Platform, gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", platform.port), timeout=10) as one:
        one.sendall(b"GET /big/%d HTTP/1.1\r\nHost: h\r\n\r\n" % (200 * MB))
        time.sleep(0.5)
        assert platform.router is not None
        status = Path(f"/proc/{platform.router.pid}/status").read_text()
        memory = int(status.partition("VmRSS:")[2].split()[0])
        assert memory < 150 * 1024
        got = 0
        while got < 20 * MB:
            got += len(one.recv(2**20))


def test_requests_wait_for_a_gateway_that_is_away(
    platform: Platform, gateway: Gateway, web: http.client.HTTPConnection
) -> None:
    assert ask(web, "PUT", "/echo", b"1") == (200, b"1")
    gateway.stop()
    back = threading.Timer(0.5, gateway.start)
    back.start()
    assert ask(web, "PUT", "/echo", b"2" * 600_000) == (200, b"2" * 600_000)
    back.join()


def test_what_a_dead_gateway_had_is_asked_again_only_if_harmless(
    gateway: Gateway, web: http.client.HTTPConnection
) -> None:
    gateway.deaths_left = 1
    assert ask(web, "GET", "/echo") == (200, b"")
    gateway.deaths_left = 1
    target = "SageMaker.ListModels"
    assert ask(web, "POST", "/echo", b"{}", **{"X-Amz-Target": target}) == (200, b"{}")
    gateway.deaths_left = 1
    gateway.seen.clear()
    status, body = ask(web, "POST", "/echo", b"{}", **{"X-Amz-Target": "SageMaker.CreateModel"})
    assert status == 503
    assert json.loads(body)["__type"] == "ServiceUnavailable"
    assert gateway.seen == ["POST /echo"]
    gateway.deaths_left = 2
    assert ask(web, "GET", "/echo")[0] == 503


@pytest.mark.parametrize(
    ("method", "target", "safe"),
    [
        (b"GET", b"", True),
        (b"HEAD", b"", True),
        (b"PUT", b"", False),
        (b"POST", b"SageMaker.DescribeTrainingJob", True),
        (b"POST", b"Logs_20140328.GetLogEvents", True),
        (b"POST", b"SageMaker.UpdateEndpoint", False),
        (b"POST", b"", False),
        (b"DELETE", b"SageMaker.List", False),
    ],
)
def test_only_reads_are_safe_to_repeat(method: bytes, target: bytes, safe: bool) -> None:
    assert is_safe(Request(method, b"/", [(b"x-amz-target", target)])) is safe
