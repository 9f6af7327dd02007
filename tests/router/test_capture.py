"""Requests are written down beside the hot path: a fair sample, bounded, whole lines only."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.router.stand_in import REGION, Client, Platform, route, wait_until
from tidemill.router import capture as room
from tidemill.router import captured_files
from tidemill.router.capture import Recorder, Tap
from tidemill.spec.capture import Capture
from tidemill.spec.frame import REQUEST, pack
from tidemill.spec.route import Route
from tidemill.storage.bucket import Buckets

ALL = Capture(100, "s3://seen/below", csv=("text/csv",), json=("application/json",))
FRAME = pack(REQUEST, 7, 0, b"text/csv\napplication/json\ntrial=1", b"1,2\n")


def told(buckets: Path, bucket: str = "seen") -> list[dict[str, object]]:
    """All captured events, in the order of their files."""
    s3 = Buckets(buckets)
    keys = [info.key for info in s3.list(bucket)]
    return [json.loads(line) for k in keys for line in s3.get_bytes(bucket, k).splitlines()]


@contextmanager
def recording(root: Path, capture: Capture = ALL, seed: int = 0) -> Iterator[tuple[Recorder, Tap]]:
    Buckets(root).create("seen")
    recorder = Recorder(root, random=Random(seed), free=lambda _: (100, 100))
    tap = recorder.tap(Route("mill", REGION, (), capture=capture), "AllTraffic")
    assert tap is not None
    try:
        yield recorder, tap
    finally:
        recorder.close()


def test_what_was_asked_and_answered_is_written_when_the_router_ends(tmp_path: Path) -> None:
    with recording(tmp_path) as (recorder, tap):
        tap.offer(FRAME, "id-1", b"application/json", b'{"a":1}')
    [event] = told(tmp_path)
    data, about = event["captureData"], event["eventMetadata"]
    assert data == {
        "endpointInput": {
            "observedContentType": "text/csv",
            "mode": "INPUT",
            "data": "1,2\n",
            "encoding": "CSV",
        },
        "endpointOutput": {
            "observedContentType": "application/json",
            "mode": "OUTPUT",
            "data": '{"a":1}',
            "encoding": "JSON",
        },
    }
    assert isinstance(about, dict)
    assert (about["inferenceId"], about["customAttributes"]) == ("id-1", ["trial=1"])
    [info] = Buckets(tmp_path).list("seen")
    assert info.key.startswith("below/mill/AllTraffic/20")
    assert (recorder.written, recorder.dropped) == (1, 0)


@pytest.mark.parametrize("percentage", [0, 30, 100])
def test_the_sample_has_its_share(tmp_path: Path, percentage: int) -> None:
    with recording(tmp_path, replace(ALL, percentage=percentage), seed=7) as (recorder, tap):
        for _ in range(10_000):
            tap.offer(FRAME, "", b"", b"")
    events = told(tmp_path)
    assert len(events) == recorder.written
    # Four standard deviations of a binomial of 10,000 at 0.3 are 183.
    assert abs(len(events) - 100 * percentage) <= (183 if percentage == 30 else 0)
    for event in events:  # a half alone would be of no use
        assert set(event["captureData"]) == {"endpointInput", "endpointOutput"}  # type: ignore[call-overload]


def test_what_does_not_fit_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "MOST_WAITING", 10)
    monkeypatch.setattr(room, "PAUSE_SECONDS", 60.0)  # the thread sleeps until the end
    with recording(tmp_path) as (recorder, tap):
        for _ in range(25):
            tap.offer(FRAME, "", b"", b"")
        assert recorder.dropped == 15
    assert (len(told(tmp_path)), recorder.written, recorder.dropped) == (10, 10, 15)
    assert "15 captured requests were dropped, 10 were written" in caplog.text


def test_bytes_that_wait_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAUSE_SECONDS", 60.0)
    with recording(tmp_path) as (recorder, tap):
        big = bytes(room.MOST_BYTES // 3)
        for _ in range(4):
            tap.offer(FRAME, "", b"", big)
        assert recorder.dropped == 2
    assert recorder.written == 2


def test_no_bucket_costs_the_lines_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with recording(tmp_path, replace(ALL, destination="s3://nowhere")) as (recorder, tap):
        for _ in range(3):
            tap.offer(FRAME, "", b"", b"")
    assert (recorder.written, recorder.dropped) == (0, 3)
    [line] = [r.message for r in caplog.records if "endpoint mill" in r.message]
    assert "nowhere" in line


def test_a_full_disk_stops_capture_with_one_line_until_it_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(room, "PAUSE_SECONDS", 0.001)
    Buckets(tmp_path).create("seen")
    free = [24]
    recorder = Recorder(tmp_path, free=lambda _: (100, free[0]))
    tap = recorder.tap(Route("mill", REGION, (), capture=ALL), "one")
    assert tap is not None
    with caplog.at_level(logging.WARNING):
        wait_until(lambda: "data capture stops: 24 %" in caplog.text)
        tap.offer(FRAME, "", b"", b"lost")
        time.sleep(0.02)
        free[0] = 25
        wait_until(lambda: "data capture goes on" in caplog.text)
        tap.offer(FRAME, "", b"", b"kept")
        recorder.close()
    assert caplog.text.count("data capture stops") == 1
    assert (recorder.written, recorder.dropped) == (1, 1)


def test_a_file_holds_one_hour_and_so_many_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured_files, "FILE_BYTES", 100)
    s3 = Buckets(tmp_path)
    s3.create("seen")
    files = captured_files.CapturedFiles(s3)
    place = captured_files.Place("seen", "", "mill", "one")
    for at, size in ((3599.0, 40), (3600.0, 40), (3601.0, 70)):
        files.add(place, at, b"x" * size, now=10.0)
    assert files.written == 2  # the second hour's is full
    files.due(11.0)
    assert files.written == 2
    files.due(12.0)
    assert files.written == 3
    infos = list(s3.list("seen"))
    assert [(i.key[:31], i.size) for i in infos] == [
        ("mill/one/1970/01/01/00/59-59-00", 40),
        ("mill/one/1970/01/01/01/00-00-00", 110),
    ]


def test_an_event_that_cannot_be_a_line_does_not_end_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with recording(tmp_path) as (recorder, tap):
        tap.offer(b"no frame", "", b"", b"")
        wait_until(lambda: recorder.dropped == 1)
        tap.offer(FRAME, "", b"", b"")
    assert (recorder.written, recorder.dropped) == (1, 1)
    assert "could not be written" in caplog.text


def test_nothing_is_tapped_where_nothing_is_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(tmp_path)
    for capture in (None, replace(ALL, enabled=False), replace(ALL, destination="s3:/no")):
        assert recorder.tap(Route("mill", REGION, (), capture=capture), "one") is None
    assert recorder._thread is None
    assert "endpoint mill captures nothing" in caplog.text
    recorder.close()


# Through a real router


def test_a_router_writes_down_what_it_answers(platform: Platform, client: Client) -> None:
    Buckets(platform.home.buckets).create("seen")
    replica = platform.replica("c1")
    platform.routes(route("watched", replica, capture=ALL), route("plain", replica))
    headers = {
        "Content-Type": "text/csv",
        "X-Amzn-SageMaker-Inference-Id": "i-1",
        "X-Amzn-SageMaker-Custom-Attributes": "a=1",
    }
    assert client.invoke("watched", b"1,2\n", headers)[0] == 200
    assert client.invoke("watched", b"\x00\xff", {"Content-Type": "application/x-npy"})[0] == 200
    assert client.invoke("plain", b"3,4\n", headers)[0] == 200
    wait_until(lambda: len(told(platform.home.buckets)) == 2)
    first, second = told(platform.home.buckets)
    about = first["eventMetadata"]
    assert isinstance(about, dict)
    assert list(about) == ["eventId", "inferenceId", "customAttributes", "inferenceTime"]
    assert (about["inferenceId"], about["customAttributes"]) == ("i-1", ["a=1"])
    assert second["captureData"] == {
        "endpointInput": {
            "observedContentType": "application/x-npy",
            "mode": "INPUT",
            "data": "AP8=",
            "encoding": "BASE64",
        },
        "endpointOutput": {
            "observedContentType": "application/x-npy",
            "mode": "OUTPUT",
            "data": "AP8=",
            "encoding": "BASE64",
        },
    }
    replica.kill()


def test_requests_of_the_open_inference_protocol_are_captured_as_they_were_sent(
    alone: Platform,
) -> None:
    Buckets(alone.home.buckets).create("seen")
    replica = alone.replica("c1", lambda head, body: (200, b"application/json\n", b'{"o":1}'))
    alone.routes(route("watched", replica, capture=ALL))
    client = Client(alone.port)
    assert client.request("GET", "/v2/models/watched")[0] == 200  # no inference
    assert client.request("POST", "/v2/models/watched/infer", b'{"i":1}')[0] == 200
    client.close()
    wait_until(lambda: len(told(alone.home.buckets)) == 1)
    [event] = told(alone.home.buckets)
    data = event["captureData"]
    assert isinstance(data, dict)
    halves = [data["endpointInput"], data["endpointOutput"]]
    assert [(h["observedContentType"], h["data"]) for h in halves] == [
        ("application/json", '{"i":1}'),
        ("application/json", '{"o":1}'),
    ]
    replica.kill()


def test_a_router_told_to_end_loses_nothing_and_a_killed_one_its_last_seconds(
    alone: Platform,
) -> None:
    Buckets(alone.home.buckets).create("seen")
    replica = alone.replica("c1")
    alone.routes(route("watched", replica, capture=ALL))
    client = Client(alone.port)
    for i in range(20):
        assert client.invoke("watched", b"%d" % i, {"Content-Type": "text/csv"})[0] == 200
    assert alone.router is not None
    alone.router.terminate()
    client.close()
    assert alone.router.wait(20) == 0
    assert len(told(alone.home.buckets)) == 20

    alone.start_router()
    client = Client(alone.port)
    for i in range(20):
        assert client.invoke("watched", b"%d" % i, {"Content-Type": "text/csv"})[0] == 200
    wait_until(lambda: len(told(alone.home.buckets)) == 40)
    assert client.invoke("watched", b"late", {"Content-Type": "text/csv"})[0] == 200
    alone.kill_router()
    client.close()
    assert len(told(alone.home.buckets)) == 40  # whole lines, and all but the late one
    alone.start_router()
    client = Client(alone.port)
    assert client.request("GET", "/ping")[0] == 200
    client.close()
    replica.kill()


def test_the_hot_path_keeps_references_and_copies_no_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PAUSE_SECONDS", 60.0)
    body = bytes(100_000)
    with recording(tmp_path) as (recorder, tap):
        tap.offer(FRAME, "", b"", body)
        [taken] = recorder._queue
        assert taken.frame is FRAME
        assert taken.answered is body
