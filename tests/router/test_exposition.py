from __future__ import annotations

import re
import socket
import threading
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.router.stand_in import (
    KEY,
    SECRET,
    Client,
    echo,
    platform,
    raw,
    route,
    signed,
    wait_until,
)
from tidemill.auth.credentials import Credentials
from tidemill.router.exposition import page
from tidemill.router.meter import Meters
from tidemill.spec.meters import Queue, from_json


def test_a_page_holds_counters_gauges_and_histograms() -> None:
    meters = Meters()
    meter = meters.of("us-east-1", "mill", "AllTraffic", 2)
    for milliseconds in (0.6, 4.0, 4.0, 90_000.0):
        meter.add(200, milliseconds / 1e3, 0.0001)
    meter.refuse(503)
    queues = (Queue("us-east-1", "later", 3),)
    text = page(meters.told().counted, queues, (5, 2)).decode()
    assert 'tidemill_async_backlog{region="us-east-1",endpoint="later"} 3\n' in text
    assert "tidemill_captured_requests_total 5\n" in text
    assert "tidemill_captured_requests_lost_total 2\n" in text
    labels = 'region="us-east-1",endpoint="mill",variant="AllTraffic"'
    for line in (
        "# TYPE tidemill_invocations_total counter",
        f"tidemill_invocations_total{{{labels}}} 5",
        f"tidemill_invocation_5xx_errors_total{{{labels}}} 1",
        f"tidemill_replicas{{{labels}}} 2",
        "# TYPE tidemill_model_latency_seconds histogram",
        f'tidemill_model_latency_seconds_bucket{{{labels},le="0.0005"}} 0',
        f'tidemill_model_latency_seconds_bucket{{{labels},le="0.001"}} 1',
        f'tidemill_model_latency_seconds_bucket{{{labels},le="0.005"}} 3',
        f'tidemill_model_latency_seconds_bucket{{{labels},le="60.0"}} 3',
        f'tidemill_model_latency_seconds_bucket{{{labels},le="+Inf"}} 4',
        f"tidemill_model_latency_seconds_count{{{labels}}} 4",
    ):
        assert line in text.splitlines()
    [total] = re.findall(r"tidemill_model_latency_seconds_sum\S* (\S+)", text)
    assert float(total) == pytest.approx(90.0086)
    assert text.endswith("\n")


@pytest.mark.slow
def test_requests_are_counted_timed_and_shown_to_who_knows_the_token(tmp_path: Path) -> None:
    with platform(tmp_path) as one:
        replica = one.replica("r1")
        one.routes(route("mill", replica))
        client = Client(one.port)
        status, headers, _ = client.invoke("mill", b"1,2", {"Content-Type": "text/csv"})
        assert status == 200
        assert re.fullmatch(
            r"model;dur=\d+\.\d{3}, overhead;dur=\d+\.\d{3}", headers["server-timing"]
        )
        url = f"http://127.0.0.1:{one.port}/metrics"
        token = Credentials(KEY, SECRET).metrics_token
        asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert 'endpoint="mill",variant="AllTraffic"} 1' in answer.read().decode()
        for headers in ({}, {"Authorization": "Bearer no"}):
            with pytest.raises(HTTPError, match="401"):
                urllib.request.urlopen(urllib.request.Request(url, headers=headers))
        meters = one.home.meters
        wait_until(lambda: from_json(meters.read_bytes()).counted[0].requests == 1)
        client.close()
        replica.kill()


@pytest.mark.slow
def test_requests_under_way_are_those_that_wait_too(tmp_path: Path) -> None:
    with platform(tmp_path) as one:
        may_answer = threading.Event()
        slow = one.replica(
            "r1", lambda head, body: may_answer.wait(10) and echo(head, body) or None
        )
        one.routes(route("mill", slow, most_outstanding=1))
        path = "/endpoints/mill/invocations"
        asked = raw("POST", path, signed(path, b"1", port=one.port), b"1")
        waiting = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(3)]
        for connection in waiting:
            connection.sendall(asked)
        meters = one.home.meters
        wait_until(lambda: meters.exists() and _under_way(meters) == 3)
        may_answer.set()
        for connection in waiting:
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
            connection.close()
        wait_until(lambda: _under_way(meters) == 0)
        slow.kill()


def _under_way(path: Path) -> int:
    [counted] = from_json(path.read_bytes()).counted
    return counted.under_way
