"""Asynchronous requests: written down before they are acknowledged, answered into S3, once each."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.router.stand_in import ACCOUNT, REGION, Client, Platform, route, wait_until
from tidemill.router import asynchronous as room
from tidemill.router.backlog import Backlog, Entry, new_name
from tidemill.router.clock import Clock
from tidemill.router.fleet import Fleet
from tidemill.router.submission import problem, to_entry
from tidemill.spec import meters
from tidemill.spec.async_inference import AsyncInference
from tidemill.spec.home import Home
from tidemill.spec.meters import Queue, Tally
from tidemill.spec.route import Route
from tidemill.storage.bucket import Buckets
from tidemill.storage.metadata import Metadata

WANTED = AsyncInference("s3://outputs/answers", "s3://outputs/failures", concurrent=2)
PREFIX = "X-Amzn-SageMaker-"


@pytest.fixture
def buckets(alone: Platform) -> Buckets:
    """S3 with an input of each number, and a place for answers."""
    found = Buckets(alone.home.buckets)
    for name in ("inputs", "outputs"):
        found.create(name)
    for number in range(20):
        found.put_bytes("inputs", str(number), b"%d\n" % number)
    return found


@pytest.fixture
def asker(alone: Platform) -> Iterator[Client]:
    one = Client(alone.port)
    yield one
    one.close()


def ask(
    client: Client, source: str = "", id: str = "", body: bytes = b"", **more: str
) -> tuple[int, dict[str, str], dict[str, str]]:
    headers = {PREFIX + name: value for name, value in more.items()}
    headers[PREFIX + "Content-Type"] = "text/csv"
    if id:
        headers[PREFIX + "Inference-Id"] = id
    if source:
        headers[PREFIX + "InputLocation"] = source
    status, told, answer = client.request(
        "POST", "/endpoints/slow/async-invocations", body, headers
    )
    return status, told, json.loads(answer)


def keys(buckets: Buckets) -> list[str]:
    return [info.key for info in buckets.list("outputs")]


def queued(platform: Platform) -> list[str]:
    return os.listdir(platform.home.asynchronous)


def test_an_answer_lies_where_the_202_says(
    alone: Platform, buckets: Buckets, asker: Client
) -> None:
    replica = alone.replica("r1")
    alone.routes(route("slow", replica, asynchronous=WANTED))
    status, told, answer = ask(asker, "s3://inputs/7", id="seven")
    assert (status, answer) == (202, {"InferenceId": "seven"})
    assert told["x-amzn-sagemaker-outputlocation"] == "s3://outputs/answers/seven.out"
    assert told["x-amzn-sagemaker-failurelocation"] == "s3://outputs/failures/seven-error.out"
    wait_until(lambda: keys(buckets) == ["answers/seven.out"])
    with buckets.open("outputs", "answers/seven.out") as opened:
        assert opened.info.metadata.content_type == "text/csv"
        assert opened.read(0, opened.info.size) == b"7\n"
    wait_until(lambda: queued(alone) == [])
    # The input may come with the request, and the client may choose the name.
    ask(asker, body=b"inline", Filename="mine.csv", S3OutputPathExtension="by/me")
    wait_until(lambda: "answers/by/me/mine.csv" in keys(buckets))
    assert buckets.get_bytes("outputs", "answers/by/me/mine.csv") == b"inline"
    replica.kill()


def test_each_api_is_told_to_use_the_other(
    alone: Platform, buckets: Buckets, asker: Client
) -> None:
    replica = alone.replica("r1")
    alone.routes(route("slow", replica, asynchronous=WANTED), route("fast", replica))
    status, _, text = asker.invoke("slow", b"1")
    assert (status, b"InvokeEndpointAsync" in text) == (400, True)
    status, _, text = asker.request("POST", "/endpoints/fast/async-invocations", b"1")
    assert (status, b"AsyncInferenceConfig" in text) == (400, True)
    assert json.loads(text)["__type"] == "ValidationError"
    replica.kill()


def test_what_has_no_answer_leaves_the_reason(
    alone: Platform, buckets: Buckets, asker: Client
) -> None:
    replica = alone.replica("r1", lambda head, body: (400, b"text/plain\n", b"no such row"))
    alone.routes(route("slow", replica, asynchronous=WANTED))
    ask(asker, "s3://inputs/nothing", id="a")
    ask(asker, "s3://nowhere/1", id="b")
    ask(asker, "s3://inputs/1", id="c")
    wait_until(lambda: len(keys(buckets)) == 3 and queued(alone) == [])
    said = {key[9]: buckets.get_bytes("outputs", key).decode() for key in keys(buckets)}
    assert "ClientError: the input must be an object in S3" in said["a"]
    assert "nowhere" in said["b"]
    assert (
        'ModelError: Received client error (400) from primary with message "no such row"'
        in (said["c"])
    )
    replica.kill()


def test_an_answer_that_takes_too_long_is_a_failure(
    alone: Platform, buckets: Buckets, asker: Client
) -> None:
    replica = alone.replica("r1", lambda head, body: None)
    alone.routes(route("slow", replica, asynchronous=WANTED))
    ask(asker, "s3://inputs/1", id="a", InvocationTimeoutSeconds="1")
    wait_until(lambda: keys(buckets) == ["failures/a-error.out"])
    assert b"within 1 s" in buckets.get_bytes("outputs", "failures/a-error.out")
    replica.kill()


def test_replicas_have_no_more_under_way_than_they_may(
    alone: Platform, buckets: Buckets, asker: Client
) -> None:
    replica = alone.replica("r1", lambda head, body: None)
    alone.routes(route("slow", replica, asynchronous=WANTED))
    for number in range(6):
        assert ask(asker, f"s3://inputs/{number}")[0] == 202
    wait_until(lambda: len(replica.requests) == 2)
    time.sleep(0.2)  # the others are not on their way
    assert len(replica.requests) == 2
    for done in (2, 4, 6):
        wait_until(lambda done=done: len(replica.requests) == done)  # type: ignore[misc]
        replica.pay()
    wait_until(lambda: len(keys(buckets)) == 6)
    assert sorted(body for _, body in replica.requests) == [b"%d\n" % n for n in range(6)]
    replica.kill()


def test_a_killed_router_and_replica_lose_nothing(
    alone: Platform, buckets: Buckets, asker: Client
) -> None:
    replica = alone.replica("r1", lambda head, body: None)
    alone.routes(route("slow", replica, asynchronous=WANTED))
    for number in range(10):
        assert ask(asker, f"s3://inputs/{number}", id=str(number))[0] == 202
    wait_until(lambda: len(replica.requests) == 2)
    alone.kill_router()
    replica.kill()
    assert (keys(buckets), len(queued(alone))) == ([], 10)
    replica = alone.replica("r1")
    alone.start_router()
    wait_until(lambda: len(keys(buckets)) == 10 and queued(alone) == [])
    for number in range(10):
        assert buckets.get_bytes("outputs", f"answers/{number}.out") == b"%d\n" % number
    assert sorted(body for _, body in replica.requests) == [b"%d\n" % n for n in range(10)]
    replica.kill()


def test_a_request_waits_for_an_endpoint_that_is_away(
    alone: Platform, buckets: Buckets, asker: Client
) -> None:
    replica = alone.replica("r1")
    replica.kill()
    alone.routes(route("slow", replica, asynchronous=WANTED))
    assert ask(asker, "s3://inputs/1", id="a")[0] == 202
    alone.routes()
    time.sleep(0.2)
    replica.start()
    alone.routes(route("slow", replica, asynchronous=WANTED))
    wait_until(lambda: keys(buckets) == ["answers/a.out"])
    replica.kill()


class Hook(BaseHTTPRequestHandler):
    """A webhook that takes the second of its requests, and all after it."""

    got: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        self.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(503 if len(self.got) == 1 else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_a_webhook_is_told_until_it_listens(
    alone: Platform, buckets: Buckets, asker: Client
) -> None:
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:done"
    replica = alone.replica("r1")
    wanted = replace(WANTED, success_topic=arn, error_topic=arn)
    Hook.got.clear()
    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/done?by=mail"
        alone.home.topics.write_text(json.dumps({"done": url}))
        alone.routes(route("slow", replica, asynchronous=wanted))
        ask(asker, "s3://inputs/7", id="seven")
        wait_until(lambda: len(Hook.got) == 2)
        ask(asker, "s3://inputs/none", id="none")
        wait_until(lambda: len(Hook.got) == 3)
        server.shutdown()
        thread.join()
    first, second, third = Hook.got
    assert first == second
    assert {n: v for n, v in second.items() if not n.endswith("Time")} == {
        "awsRegion": REGION,
        "invocationStatus": "Completed",
        "requestParameters": {
            "contentType": "text/csv",
            "endpointName": "slow",
            "inputLocation": "s3://inputs/7",
        },
        "responseParameters": {
            "contentType": "text/csv",
            "outputLocation": "s3://outputs/answers/seven.out",
        },
        "inferenceId": "seven",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    assert (third["invocationStatus"], third["inferenceId"]) == ("Failed", "none")
    assert third["failureReason"].startswith("ClientError: the input")
    replica.kill()


# What is counted of them


def counts(platform: Platform) -> tuple[Queue, Tally]:
    """Of the endpoint's queue, as the router has written it down."""
    told = meters.from_json(platform.home.meters.read_bytes())
    tallies = [one for one in told.tallies if one.variant == "AllTraffic"]
    return told.queues[0], tallies[0] if tallies else Tally(REGION, "slow", "AllTraffic")


def test_a_queue_waits_for_its_first_replica_and_all_of_it_is_counted(
    alone: Platform, buckets: Buckets, asker: Client
) -> None:
    began = time.time()
    wanted = replace(WANTED, error_topic=f"arn:aws:sns:{REGION}:{ACCOUNT}:nobody")
    alone.routes(route("slow", asynchronous=wanted))  # scaled to zero
    for source in ("s3://inputs/1", "s3://inputs/2", "s3://inputs/none"):
        assert ask(asker, source)[0] == 202
    wait_until(lambda: alone.home.meters.exists() and counts(alone)[0].size == 3)
    assert (counts(alone)[0].replicas, len(queued(alone))) == (0, 3)
    assert began <= counts(alone)[0].oldest <= time.time()
    replica = alone.replica("r1")
    alone.routes(route("slow", replica, asynchronous=wanted))
    wait_until(lambda: counts(alone)[0].size == 0 and counts(alone)[1].untold == 1)
    tally = counts(alone)[1]
    assert (tally.processed, tally.failed, tally.unfetched, tally.unput) == (3, 1, 1, 0)
    assert [t.count for t in (tally.waited, tally.took, tally.fetched, tally.put)] == [3, 3, 2, 3]
    most = 3e3 * (time.time() - began)  # milliseconds, of three
    assert 0 < tally.waited.total < tally.took.total < most
    log = Path(alone.log.name)
    assert "a notification is not sent" in log.read_text()
    log.write_text("")
    replica.kill()


# What is left in the directory by hand


def entry(**more: object) -> Entry:
    given = {
        "name": new_name()[:-32] + "0" * 32,  # of another router
        "region": REGION,
        "endpoint": "slow",
        "id": "a",
        "at": time.time(),
        "output": "s3://outputs/answers/a.out",
        "failure": "s3://outputs/failures/a-error.out",
        "source": "s3://inputs/1",
    }
    return Entry(**{**given, **more})  # type: ignore[arg-type]


def leave(platform: Platform, one: Entry) -> None:
    platform.kill_router()
    Backlog(platform.home.asynchronous).write(one.name, one.to_bytes())
    platform.start_router()


def test_a_request_that_waited_too_long_is_a_failure_even_without_its_endpoint(
    alone: Platform, buckets: Buckets
) -> None:
    leave(alone, entry(at=time.time() - 61, ttl=60))
    wait_until(lambda: keys(buckets) == ["failures/a-error.out"] and queued(alone) == [])
    assert b"RequestTTLSeconds" in buckets.get_bytes("outputs", "failures/a-error.out")


def test_what_was_answered_before_the_kill_is_not_asked_again(
    alone: Platform, buckets: Buckets
) -> None:
    replica = alone.replica("r1")
    alone.routes(route("slow", replica, asynchronous=WANTED))
    one = entry()
    about = Metadata(user={room.MARK: one.name})
    buckets.put_bytes("outputs", "answers/a.out", b"earlier", about)
    leave(alone, one)
    wait_until(lambda: queued(alone) == [])
    assert (buckets.get_bytes("outputs", "answers/a.out"), replica.requests) == (b"earlier", [])
    replica.kill()


def test_half_a_request_was_promised_to_nobody(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path)
    whole, half = entry(), entry()
    backlog.write(whole.name, whole.to_bytes())
    (tmp_path / f".{half.name}").write_bytes(half.to_bytes()[:20])
    ours = entry(name=new_name())
    backlog.write(ours.name, ours.to_bytes())  # accepted by this router: it has it already
    assert backlog.left() == [(whole, len(whole.to_bytes()))]
    assert sorted(os.listdir(tmp_path)) == sorted([whole.name, ours.name])


def test_a_disk_that_takes_nothing_leaves_nothing(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path / "queue")
    (tmp_path / "queue").rmdir()
    with pytest.raises(FileNotFoundError):
        backlog.write("name", b"{}")


@pytest.mark.parametrize(
    ("headers", "size", "word"),
    [
        ({}, 0, "InputLocation or Body"),
        ({"inputlocation": "s3://inputs/1"}, 3, "got both"),
        ({}, 128_001, "128000 bytes"),
        ({"inputlocation": "file:///etc/passwd"}, 0, "InputLocation"),
        ({"inputlocation": "s3://inputs/1", "requestttlseconds": "59"}, 0, "from 60 to 21600"),
        ({"inputlocation": "s3://inputs/1", "requestttlseconds": "9" * 5000}, 0, "from 60"),
        ({"inputlocation": "s3://inputs/1", "invocationtimeoutseconds": "3601"}, 0, "3600; got"),
        ({"inputlocation": "s3://inputs/1", "filename": "../up"}, 0, "Filename"),
        ({"inputlocation": "s3://inputs/1", "inference-id": "x" * 65}, 0, "InferenceId"),
        ({"inputlocation": "s3://inputs/1", "s3outputpathextension": "s3://b"}, 0, "S3OutputPath"),
    ],
)
def test_a_request_that_cannot_be_met_is_told_why(
    headers: dict[str, str], size: int, word: str
) -> None:
    found = problem({f"x-amzn-sagemaker-{n}": v for n, v in headers.items()}, size)
    assert word in found


def test_an_id_that_is_no_name_is_kept_but_names_no_object() -> None:
    here = Route("slow", REGION, (), asynchronous=WANTED)
    made = to_entry(here, WANTED, {"x-amzn-sagemaker-inference-id": "../a/b"}, b"1", 0.0)
    assert made.id == "../a/b"
    assert made.output.startswith("s3://outputs/answers/")
    assert made.output.count("/") == 4
    assert ".." not in made.output


def test_a_queue_that_is_full_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_REQUESTS", 2)
    monkeypatch.setattr(room, "MOST_BYTES", 1000)

    async def fill() -> list[bool]:
        clock = Clock()
        home = Home(tmp_path)
        fleet = Fleet(tmp_path / "routes", tmp_path / "control", clock, ACCOUNT)
        dispatcher = room.Dispatcher(home, fleet, lambda: 1, clock)
        found = [dispatcher.has_room(1000), dispatcher.has_room(1001)]
        told: list[OSError | None] = []
        for _ in range(2):
            one = entry(name=new_name())
            dispatcher.keep(one, one.to_bytes(), told.append)
        found.append(dispatcher.has_room(1))
        while len(told) < 2:
            await asyncio.sleep(0.01)
        await dispatcher.close()
        fleet.close()
        return [*found, *(one is None for one in told)]

    assert asyncio.run(fill()) == [True, False, False, True, True]
    assert len(os.listdir(Home(tmp_path).asynchronous)) == 2
