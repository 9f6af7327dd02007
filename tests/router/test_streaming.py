"""Answers in parts, over a real router: as they are made, no further ahead than clients take."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EventStreamError

from tests.router import stand_in
from tests.router.stand_in import (
    KEY,
    REGION,
    SECRET,
    Client,
    Platform,
    Replica,
    raw,
    route,
    signed,
    wait_until,
)
from tidemill.router.streaming import MOST_HELD
from tidemill.spec.capture import Capture
from tidemill.spec.event_stream import CONTENT_TYPE, Decoder, Message
from tidemill.spec.frame import (
    COUNT,
    MORE,
    PART,
    PIECE,
    RESPONSE,
    STOP,
    STREAM,
    WINDOW,
    Frame,
    pack,
)
from tidemill.spec.route import Route, Variant
from tidemill.storage.bucket import Buckets

PATH = "/endpoints/{}/invocations-response-stream"
HEAD = b"text/csv\nattributes\n"


class Streamer(Replica):
    """Notes what it is asked for in parts, and says what the test tells it to."""

    def __init__(self, platform: Platform, name: str) -> None:
        self.streams: list[tuple[asyncio.StreamWriter, Frame]] = []
        self.asked: Counter[int] = Counter()
        self.stopped: list[int] = []
        super().__init__(platform.loop, platform.home.socket(name), tcp=platform.tcp)

    def _take(self, frame: Frame, writer: asyncio.StreamWriter) -> None:
        if frame.kind == STREAM:
            self.streams.append((writer, frame))
        elif frame.kind == MORE:
            self.asked[frame.id] += COUNT.unpack(frame.body)[0]
        elif frame.kind == STOP:
            self.stopped.append(frame.id)
        else:
            super()._take(frame, writer)

    def wait(self, number: int = 1) -> Frame:
        """The request of a stream, once so many have come."""
        wait_until(lambda: len(self.streams) >= number)
        return self.streams[-1][1]

    def say(self, *bodies: bytes, head: bytes = HEAD) -> None:
        self._send(*[(PART, 0, head, body) for body in bodies])

    def end(self, status: int = 200, body: bytes = b"", head: bytes = HEAD) -> None:
        self._send((RESPONSE, status, head, body))

    def die(self) -> None:
        """Killed, and started again at once."""

        async def end() -> None:
            self.cut()

        self._loop.do(end())

    def _send(self, *what: tuple[int, int, bytes, bytes]) -> None:
        writer, frame = self.streams[-1]

        async def send() -> None:
            for kind, status, head, body in what:
                writer.write(pack(kind, frame.id, status, head, body))

        self._loop.do(send())


@pytest.fixture(scope="module")
def replica(platform: Platform) -> Iterator[Streamer]:
    one, two = Streamer(platform, "r1"), Streamer(platform, "r2")
    variants = (Variant("one", 1.0, {"r1": one.address}), Variant("two", 0.0, {"r2": two.address}))
    platform.routes(
        route("mill", one),
        route("both", one, two),
        Route("split", REGION, variants),
        Route("hasty", REGION, (Variant("AllTraffic", 1.0, {"r1": one.address}, timeout=0.2),)),
    )
    yield one
    one.kill()
    two.kill()


@contextmanager
def asking(
    platform: Platform, endpoint: str = "mill", headers: Mapping[str, str] | None = None
) -> Iterator[HTTPConnection]:
    """A request that has been sent."""
    one = HTTPConnection("127.0.0.1", platform.port, timeout=20)
    path, body = PATH.format(endpoint), b"1,2\n"
    one.request("POST", path, body, signed(path, body, headers, port=platform.port))
    try:
        yield one
    finally:
        one.close()


class Events:
    """The events of an answer, as they come."""

    def __init__(self, answer: HTTPResponse) -> None:
        self.answer = answer
        self._decoder = Decoder()
        self._found: list[Message] = []

    def next(self) -> Message | None:
        while not self._found:
            data = self.answer.read1(1 << 16)
            if not data:
                assert not self._decoder.has_part
                return None
            self._found += self._decoder.feed(data)
        return self._found.pop(0)

    def payload(self) -> bytes | None:
        message = self.next()
        if message is None:
            return None
        assert message.headers[":event-type"] == "PayloadPart", message
        return message.payload

    def error(self) -> tuple[object, dict[str, str]]:
        message = self.next()
        assert message is not None
        assert message.headers[":message-type"] == "exception"
        assert self.next() is None
        return message.headers[":exception-type"], json.loads(message.payload)


def test_parts_arrive_as_they_are_made(platform: Platform, replica: Streamer) -> None:
    headers = {
        "Content-Type": "text/csv",
        "X-Amzn-SageMaker-Accept": "application/jsonlines",
        "X-Amzn-SageMaker-Custom-Attributes": "mine",
        "Accept": "image/png",
    }
    with asking(platform, headers=headers) as one:
        asked = replica.wait()
        assert (asked.kind, asked.body) == (STREAM, b"1,2\n")
        assert asked.head.split(b"\n")[:3] == [b"text/csv", b"application/jsonlines", b"mine"]
        replica.say(b"first")
        answer = one.getresponse()
        assert answer.status == 200
        assert answer.headers["Content-Type"] == CONTENT_TYPE
        assert answer.headers["X-Amzn-SageMaker-Content-Type"] == "text/csv"
        assert answer.headers["X-Amzn-SageMaker-Custom-Attributes"] == "attributes"
        assert answer.headers["x-Amzn-Invoked-Production-Variant"] == "AllTraffic"
        assert answer.headers["Server-Timing"].startswith("model;dur=")
        events = Events(answer)
        assert events.payload() == b"first"
        replica.say(b"second", b"third")
        assert [events.payload(), events.payload()] == [b"second", b"third"]
        replica.end()
        assert events.next() is None
        # The connection goes on.
        path, body = "/endpoints/mill/invocations", b"3\n"
        one.request("POST", path, body, signed(path, body, port=platform.port))
        assert one.getresponse().read() == b"3\n"


def test_a_whole_answer_is_cut_into_events(platform: Platform, replica: Streamer) -> None:
    before = len(replica.streams)
    with asking(platform) as one:
        replica.wait(before + 1)
        body = bytes(range(256)) * 600
        replica.end(body=body)
        events = Events(one.getresponse())
        parts = [events.payload() for _ in range(3)]
        assert [len(part or b"") for part in parts] == [PIECE, PIECE, len(body) - 2 * PIECE]
        assert b"".join(part or b"" for part in parts) == body
        assert events.next() is None


def test_boto3_reads_parts_and_errors(platform: Platform, replica: Streamer) -> None:
    runtime: Any = boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{platform.port}",
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(retries={"max_attempts": 0}),
    )
    seen: list[bytes] = []
    asked: dict[str, Any] = {"EndpointName": "split", "TargetVariant": "one", "Body": b"1"}
    before = len(replica.streams)
    work = asyncio.run_coroutine_threadsafe(_answer(replica, before), platform.loop.loop)
    answer = runtime.invoke_endpoint_with_response_stream(**asked, Accept="text/csv")
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/csv", "one")
    assert answer["CustomAttributes"] == "attributes"
    with pytest.raises(EventStreamError, match="ModelStreamError.*no number") as caught:
        seen.extend(event["PayloadPart"]["Bytes"] for event in answer["Body"])
    work.result(10)
    assert seen == [b"0.5\n"]
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"
    answer["Body"].close()
    runtime.close()


async def _answer(replica: Streamer, before: int) -> None:
    while len(replica.streams) <= before:
        await asyncio.sleep(0.001)
    writer, frame = replica.streams[-1]
    writer.write(pack(PART, frame.id, 0, HEAD, b"0.5\n"))
    writer.write(pack(RESPONSE, frame.id, 400, b"text/plain\n", b"row 7: no number"))


def test_an_error_before_the_first_part_is_http_s(platform: Platform, replica: Streamer) -> None:
    before = len(replica.streams)
    with asking(platform) as one:
        replica.wait(before + 1)
        replica.end(400, b"row 1: no number", b"text/plain\n")
        answer = one.getresponse()
        said = json.loads(answer.read())
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (424, "ModelError")
    assert (said["OriginalStatusCode"], said["OriginalMessage"]) == (400, "row 1: no number")


@pytest.mark.parametrize(
    ("endpoint", "headers", "status", "words"),
    [
        ("nowhere", {}, 400, "Endpoint nowhere of account"),
        ("split", {"X-Amzn-SageMaker-Target-Variant": "three"}, 400, "Variant three not found"),
        ("mill", {"X-Amzn-SageMaker-Session-Id": "NEW_SESSION"}, 400, "SessionId"),
        ("mill", {"X-Amzn-SageMaker-Custom-Attributes": "x" * 1025}, 400, "1024 characters"),
    ],
)
def test_what_cannot_be_asked_is_refused_as_ever(
    platform: Platform,
    replica: Streamer,
    endpoint: str,
    headers: dict[str, str],
    status: int,
    words: str,
) -> None:
    with asking(platform, endpoint, headers) as one:
        answer = one.getresponse()
        assert answer.status == status
        assert words in json.loads(answer.read())["message"]


def test_an_unsigned_request_gets_nothing(platform: Platform, replica: Streamer) -> None:
    one = Client(platform.port)
    status, _, _ = one.request("POST", PATH.format("mill"), b"1", secret="wrong")
    assert status == 403
    one.close()


def test_a_target_variant_answers(platform: Platform, replica: Streamer) -> None:
    before = len(replica.streams)
    with asking(platform, "split", {"X-Amzn-SageMaker-Target-Variant": "one"}) as one:
        replica.wait(before + 1)
        replica.say(b"x")
        replica.end()
        answer = one.getresponse()
        assert answer.headers["x-Amzn-Invoked-Production-Variant"] == "one"
        answer.read()


def test_death_before_the_first_part_is_not_seen(platform: Platform, replica: Streamer) -> None:
    before = len(replica.streams)
    with asking(platform) as one:
        replica.wait(before + 1)
        replica.die()
        replica.wait(before + 2)
        replica.say(b"after all")
        replica.end()
        events = Events(one.getresponse())
        assert events.payload() == b"after all"
        assert events.next() is None


def test_death_after_the_first_part_ends_the_stream(platform: Platform, replica: Streamer) -> None:
    before = len(replica.streams)
    with asking(platform) as one, asking(platform) as other:
        replica.wait(before + 2)
        replica.say(b"some")  # to the one of them that came last
        replica.die()
        replica.wait(before + 3)  # the other is sent again
        replica.say(b"all")
        replica.end()
        found = [Events(each.getresponse()) for each in (one, other)]
        first = [events.payload() for events in found]
        assert sorted(part or b"" for part in first) == [b"all", b"some"]
        for events, part in zip(found, first, strict=True):
            if part == b"all":
                assert events.next() is None
                continue
            kind, said = events.error()
            assert (kind, said["ErrorCode"]) == ("ModelStreamError", "StreamBroken")
            assert "endpoint mill" in said["Message"]


def test_a_late_first_part_is_a_model_error(platform: Platform, replica: Streamer) -> None:
    with asking(platform, "hasty") as one:
        answer = one.getresponse()
        assert answer.status == 424
        assert b"timed out" in answer.read()


def test_a_late_next_part_ends_the_stream(platform: Platform, replica: Streamer) -> None:
    before = len(replica.streams)
    with asking(platform, "hasty") as one:
        id = replica.wait(before + 1).id
        replica.say(b"some")
        events = Events(one.getresponse())
        assert events.payload() == b"some"
        kind, said = events.error()
        assert (kind, said["ErrorCode"]) == ("ModelStreamError", "ModelInvocationTimeExceeded")
        wait_until(lambda: id in replica.stopped)
        replica.say(b"more")  # goes nowhere
        wait_until(lambda: replica.stopped.count(id) == 2)


def slow_client(platform: Platform, endpoint: str = "mill") -> socket.socket:
    """One that reads nothing by itself, and whose kernel keeps little for it."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.settimeout(20)
    one.connect(("127.0.0.1", platform.port))
    path, body = PATH.format(endpoint), b"1"
    one.sendall(raw("POST", path, signed(path, body, port=platform.port), body))
    return one


def test_no_more_is_asked_for_than_a_client_takes(platform: Platform, replica: Streamer) -> None:
    before = len(replica.streams)
    with slow_client(platform) as one:
        id = replica.wait(before + 1).id
        sent = 0

        def fill() -> None:
            """Send what has been asked for."""
            nonlocal sent
            while sent < WINDOW + replica.asked[id]:
                replica.say(b"x" * 16384)
                sent += 16384

        def is_still() -> bool:
            asked = replica.asked[id]
            fill()
            client.invoke("mill", b"1")  # by now the router has seen all parts
            return replica.asked[id] == asked

        client = Client(platform.port)
        wait_until(is_still)
        assert sent < 8 << 20  # what the kernel keeps, and the window
        held = sent
        got = 0
        while got < held:  # the client catches up, and more is asked for
            got += len(one.recv(1 << 16))
        wait_until(lambda: sent < WINDOW + replica.asked[id])
        fill()
        replica.end()
        left = b""
        while not left.endswith(b"\r\n0\r\n\r\n"):
            left = (left + one.recv(1 << 16))[-100:]
        client.close()


def test_a_replica_that_sends_unasked_is_stopped(platform: Platform, replica: Streamer) -> None:
    before = len(replica.streams)
    with slow_client(platform) as one:
        id = replica.wait(before + 1).id
        for _ in range(100):  # the kernel keeps some for the client
            replica.say(*[b"x" * PIECE] * (1 + MOST_HELD // PIECE))
            if id in replica.stopped:
                break
        data = b""
        while not data.endswith(b"\r\n0\r\n\r\n"):
            data = (data + one.recv(1 << 16))[-1000:]
        assert b"InternalStreamFailure" in data


def test_a_client_that_goes_away_stops_the_replica(platform: Platform, replica: Streamer) -> None:
    before = len(replica.streams)
    with asking(platform) as one:
        id = replica.wait(before + 1).id
        replica.say(b"some")
        assert Events(one.getresponse()).payload() == b"some"
        sock = one.sock
        assert sock is not None
    while id not in replica.stopped:
        replica.say(b"more")
    with asking(platform) as one:  # gone before the first part
        id = replica.wait(before + 2).id
    while id not in replica.stopped:
        replica.say(b"more")


def test_pipelined_answers_keep_their_order(platform: Platform, replica: Streamer) -> None:
    before = len(replica.streams)
    path, plain = PATH.format("mill"), "/endpoints/mill/invocations"
    with socket.create_connection(("127.0.0.1", platform.port), timeout=20) as one:
        one.sendall(
            raw("POST", path, signed(path, b"1", port=platform.port), b"1")
            + raw("POST", plain, signed(plain, b"22", port=platform.port), b"22")
            + raw("POST", path, signed(path, b"3", port=platform.port), b"3")
        )
        replica.wait(before + 2)
        replica.say(b"of the third", b"x" * (WINDOW - 100))
        replica.end()
        last = replica.streams.pop()
        replica.say(b"of the first")
        replica.end()
        replica.streams.append(last)
        data = b""
        while data.count(b"\r\n0\r\n\r\n") < 2:
            data += one.recv(1 << 16)
    places = [data.index(text) for text in (b"of the first", b"\r\n\r\n22", b"of the third")]
    assert places == sorted(places)


def test_an_old_client_reads_to_the_end(platform: Platform, replica: Streamer) -> None:
    before = len(replica.streams)
    path, body = PATH.format("mill"), b"1"
    head = raw("POST", path, signed(path, body, port=platform.port), body)
    with socket.create_connection(("127.0.0.1", platform.port), timeout=20) as one:
        one.sendall(head.replace(b"HTTP/1.1", b"HTTP/1.0"))
        replica.wait(before + 1)
        replica.say(b"some")
        replica.end()
        data = b""
        while piece := one.recv(1 << 16):
            data += piece
    head, _, events = data.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert [message.payload for message in Decoder().feed(events)] == [b"some"]


def test_streams_are_counted_and_captured(tmp_path: Path) -> None:
    Buckets(tmp_path / "s3").create("mill")
    with stand_in.platform(tmp_path) as platform:
        replica = Streamer(platform, "r1")
        capture = Capture(100, "s3://mill/seen", csv=("text/csv",))
        platform.routes(route("mill", replica, capture=capture))
        for number, status in ((1, 200), (2, 400)):
            with asking(platform, headers={"Content-Type": "text/csv"}) as one:
                replica.wait(number)
                replica.say(b"0.5\n", b"0.7\n")
                replica.end(status)
                one.getresponse().read()
        replica.kill()
    [counted] = json.loads(platform.home.meters.read_text())["counted"]
    assert (counted["requests"], counted["errors_4xx"], counted["model_errors"]) == (2, 1, 1)
    buckets = Buckets(platform.home.buckets)
    [found] = buckets.list("mill")
    [line] = buckets.get_bytes("mill", found.key).splitlines()
    seen = json.loads(line)["captureData"]
    assert seen["endpointInput"]["data"] == "1,2\n"
    assert seen["endpointOutput"]["data"] == "0.5\n0.7\n"
