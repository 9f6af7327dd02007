"""Bytes that two servers might read in two ways, slow clients, wrong lengths."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import pytest

from tests.attack.conftest import Town
from tests.attack.wire import Asking, Line, once
from tests.router.stand_in import statuses

LIST = Asking(headers={"x-amz-target": "SageMaker.ListModels"}, body=b"{}")
INSIDE = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
PING = b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n"


def talk(port: int, *pieces: bytes, seconds: float = 5) -> bytes:
    """All that comes back until the server closes, or nothing more comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as one:
        found = b""
        with suppress(ConnectionError):
            for piece in pieces:
                one.sendall(piece)
            one.shutdown(socket.SHUT_WR)
            while data := one.recv(1 << 16):
                found += data
        return found


@pytest.mark.parametrize("path", ["/", "/endpoints/e/invocations", "/bucket/key"])
@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 0\r\nContent-Length: 44\r\n",
        b"Content-Length: 0, 44\r\n",
        b"Content-Length: +44\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x2c\r\n",
        b"Content-Length: 4 4\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Content-Length:\r\n",
        b"Content-Length : 44\r\n",
        b"X: a\r\n Content-Length: 44\r\n",
        b"X: a\r\n\tTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"X: a\nContent-Length: 44\n",
        b"X: a\rContent-Length: 44\r\n",
        b"X\x00: a\r\n",
        b"X: a\x00b\r\n",
        b": a\r\n",
        b"no colon\r\n",
        b"\xff\xfe: a\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(path: str, lines: bytes, town: Town) -> None:
    head = b"POST %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (path.encode(), lines)
    for body in (b"0\r\n\r\n" + INSIDE, INSIDE):
        got = talk(town.port, head + body)
        found = statuses(got)
        # One refusal and the end; or, where the length is plain after all, a refusal for each.
        assert found, lines
        assert all(400 <= status < 500 for status in found), (lines, got)
        assert len(found) == 1, got
    town.lives()


@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"-1\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhelloworld\r\n0\r\n\r\n",
        b"5;" + b"x" * 100_000 + b"\r\nhello\r\n0\r\n\r\n",
        b"g\r\n\r\n",
        b"\r\n\r\n",
    ],
)
@pytest.mark.parametrize("path", ["/", "/endpoints/e/invocations"])
def test_chunks_that_are_none_end_the_connection(path: str, body: bytes, town: Town) -> None:
    head = b"POST %b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" % path.encode()
    found = statuses(talk(town.port, head + body + INSIDE))
    assert found
    assert all(400 <= status < 500 for status in found)
    town.lives()


def test_a_request_may_come_in_any_two_pieces(town: Town) -> None:
    data = LIST.signed()
    line = Line(town.port)
    for cut in range(1, len(data), 7):
        line.send(data[:cut])
        time.sleep(0.0002)
        line.send(data[cut:])
        assert line.answer().status == 200, cut
    line.close()


@pytest.mark.parametrize(
    "asked",
    [LIST, Asking(path="/endpoints/e/invocations", body=b"1"), Asking("GET", service="s3")],
)
def test_a_request_may_come_byte_by_byte(asked: Asking, town: Town) -> None:
    line = Line(town.port)
    data = asked.signed()
    for at in range(len(data)):
        line.send(data[at : at + 1])
    assert line.answer().status == 200
    line.close()


@pytest.mark.parametrize("asked", [LIST, Asking(path="/endpoints/e/invocations", body=b"1")])
def test_a_length_that_is_wrong_is_no_other_request(asked: Asking, town: Town) -> None:
    good = asked.signed()
    size = b"content-length: %d" % len(asked.body)
    longer = good.replace(size, b"content-length: %d" % (len(asked.body) + 10))
    assert all(400 <= status < 500 for status in statuses(talk(town.port, longer)))
    shorter = good.replace(size, b"content-length: 0") + INSIDE
    got = statuses(talk(town.port, shorter))
    assert got
    assert all(400 <= status < 500 for status in got)
    town.lives()


def test_huge_heads_are_refused(town: Town) -> None:
    before = town.memory()
    for data in (
        b"GET / HTTP/1.1\r\nX: " + b"x" * 50_000_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1_000_000,
        b"GET /" + b"x" * 10_000_000,
        b"G" * 10_000_000,
    ):
        found = statuses(talk(town.port, data))
        assert found in ([400], [431]), data[:20]
    assert town.memory() - before < 64 << 20
    for header in ("x-amz-meta-a", "authorization", "x-amz-security-token", "x-amzn-trace-id"):
        wide = Asking("GET", "/attacked", headers={header: "y" * 60_000}, service="s3").unsigned()
        assert 400 <= once(town.port, wide).status < 500
    many = {f"x-{number}": "y" for number in range(5_000)}
    assert once(town.port, Asking("GET", "/a", headers=many).unsigned()).status in (400, 403, 431)
    town.lives()


def test_slow_clients_keep_nobody_waiting(town: Town) -> None:
    slow = []
    for number in range(200):
        one = socket.create_connection(("127.0.0.1", town.port), timeout=5)
        data = LIST.signed()
        one.sendall(data[: 1 + number % (len(data) - 1)])
        slow.append(one)
    deaf = []  # ask for much and read nothing
    for _ in range(20):
        one = socket.create_connection(("127.0.0.1", town.port), timeout=5)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with suppress(OSError):
            one.setblocking(False)
            one.send(LIST.signed() * 200)
        deaf.append(one)
    started = time.monotonic()
    for _ in range(20):
        town.lives()
    assert time.monotonic() - started < 15
    for one in [*slow, *deaf]:
        one.close()
    town.lives()


def test_clients_that_go_at_any_moment_leave_nothing_behind(town: Town) -> None:
    put = Asking("PUT", "/attacked/gone", body=b"x" * 50_000, service="s3").signed()
    for data in (LIST.signed(), put, Asking(path="/endpoints/e/invocations", body=b"1").signed()):
        for cut in range(1, len(data), max(1, len(data) // 20)):
            with socket.create_connection(("127.0.0.1", town.port), timeout=5) as one:
                one.sendall(data[:cut])
    town.lives()


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://169.254.169.254/latest/meta-data HTTP/1.1",
        b"CONNECT example.com:443 HTTP/1.1",
        b"GET //example.com/ HTTP/1.1",
        b"GET * HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"GET / HTTP/0.9",
        b"GET / HTTP/3.0",
        b"GET /",
        b"get / HTTP/1.1",
        b"GET \x00/ HTTP/1.1",
        b"GET /\xff\xfe HTTP/1.1",
        b"GET /\r\nX: / HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_request_lines_that_ask_for_something_else(line: bytes, town: Town) -> None:
    found = statuses(talk(town.port, line + b"\r\nHost: h\r\n\r\n"))
    assert all(400 <= status < 500 for status in found)
    assert statuses(talk(town.port, PING)) == [200]
