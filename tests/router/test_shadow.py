"""Shadows get copies of requests, and no client ever feels that they do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from tests.router.stand_in import REGION, Client, Platform, wait_until
from tests.router.test_capture import ALL
from tests.router.test_live import NOW, replica, variant
from tidemill.auth.credentials import load_or_create
from tidemill.router import shadow as room
from tidemill.spec.frame import FEEDBACK, REQUEST, STREAM, pack, unpack
from tidemill.spec.route import Route, Variant
from tidemill.storage.bucket import Buckets

_number = count(1)
COUNTERS = {
    "requests": "tidemill_invocations_total",
    "lost": "tidemill_shadow_copies_lost_total",
    "model_errors": "tidemill_model_errors_total",
    "errors_4xx": "tidemill_invocation_4xx_errors_total",
    "errors_5xx": "tidemill_invocation_5xx_errors_total",
    "answered": "tidemill_model_latency_seconds_count",
}


class Mill:
    """An endpoint of its own with a replica of production, and one of the shadow, which answers
    otherwise.
    """

    def __init__(self, platform: Platform) -> None:
        number = next(_number)
        self.platform = platform
        self.name = f"mill{number}"
        self.client = Client(platform.port)
        self.production = platform.replica(f"p{number}")
        self.shadow = platform.replica(f"s{number}", lambda head, body: (200, b"x\n", b"dark"))

    def publish(self, share: float = 1.0, **more: Any) -> None:
        """Route it, until the router has connected to both."""
        main = Variant("main", 1.0, {"r1": self.production.address})
        dark = Variant("dark", share, {"r2": self.shadow.address}, shadow=True)
        self.platform.routes(Route(self.name, REGION, (main, dark), **more))
        wait_until(lambda: all(one._writers for one in (self.production, self.shadow)))
        time.sleep(0.05)  # the router hears of a connection after the replica

    def ask(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """The client sees nothing but production."""
        status, said, answer = self.client.invoke(self.name, body, headers)
        assert (status, answer) == (200, body)
        assert said["x-amzn-invoked-production-variant"] == "main"

    def until(self, variant: str, **wanted: int) -> None:
        """Wait until the router's counters say so."""
        labels = f'{{region="{REGION}",endpoint="{self.name}",variant="{variant}"}}'
        lines = {f"{COUNTERS[name]}{labels} {number}" for name, number in wanted.items()}
        token = load_or_create(self.platform.home.credentials, {}).metrics_token

        def is_so() -> bool:
            self.client._http.request(
                "GET", "/metrics", headers={"Authorization": f"Bearer {token}"}
            )
            return lines <= set(self.client._http.getresponse().read().decode().splitlines())

        wait_until(is_so)

    def close(self) -> None:
        self.client.close()
        self.production.kill()
        self.shadow.kill()


@pytest.fixture
def mill(platform: Platform) -> Iterator[Mill]:
    one = Mill(platform)
    yield one
    one.close()


def test_a_shadow_gets_what_production_gets_and_its_answers_go_nowhere(mill: Mill) -> None:
    mill.publish()
    for number in range(20):
        mill.ask(b"%d" % number, {"Content-Type": "text/csv"})
    wait_until(lambda: len(mill.shadow.requests) == 20)
    assert mill.shadow.requests == mill.production.requests
    mill.until("dark", requests=20, lost=0, model_errors=0, answered=20)
    mill.until("main", requests=20)


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.3, 85, 155)])
def test_the_sample_has_its_share(mill: Mill, share: float, least: int, most: int) -> None:
    mill.publish(share)
    for _ in range(400):
        mill.ask(b"1")
    time.sleep(0.05)  # a copy too many would be here by now
    # Four standard deviations of a binomial of 400 at 0.3 are 37.
    assert least <= len(mill.shadow.requests) <= most


def test_nobody_may_ask_a_shadow(mill: Mill) -> None:
    mill.publish()
    headers = {"X-Amzn-SageMaker-Target-Variant": "dark"}
    status, _, text = mill.client.invoke(mill.name, b"1", headers)
    assert (status, json.loads(text)["__type"]) == (400, "ValidationError")
    assert "dark not found" in json.loads(text)["message"]
    mill.ask(b"2", {"X-Amzn-SageMaker-Target-Variant": "main"})
    wait_until(lambda: [body for _, body in mill.shadow.requests] == [b"2"])


def test_a_shadow_that_dies_or_fails_costs_its_copies_alone(mill: Mill) -> None:
    shadow = mill.shadow
    shadow.answer = lambda head, body: None
    mill.publish()
    for _ in range(5):
        mill.ask(b"same")
    wait_until(lambda: len(shadow.requests) == 5)
    shadow.kill()  # with all of them
    mill.until("dark", requests=5, errors_5xx=5, lost=0)
    for _ in range(3):
        mill.ask(b"same")
    mill.until("dark", requests=5, errors_5xx=5, lost=3)
    mill.until("main", requests=8, errors_5xx=0)
    assert len(mill.production.requests) == 8  # none of them twice
    shadow.answer = lambda head, body: (400, b"text/plain\n", b"no")
    shadow.start()
    mill.publish()
    mill.ask(b"same")  # nobody took it for what had ended the shadow
    mill.until("dark", requests=6, errors_4xx=1, lost=3)
    mill.until("main", requests=9, errors_4xx=0, model_errors=0)


def test_a_shadow_that_answers_nothing_gets_so_many_copies_and_no_more(mill: Mill) -> None:
    mill.shadow.answer = lambda head, body: None
    mill.publish()
    for _ in range(room.MOST_COPIES + 10):
        mill.ask(b"1")
    mill.until("dark", requests=0, lost=10)
    wait_until(lambda: len(mill.shadow.requests) >= room.MOST_COPIES)
    assert len(mill.shadow.requests) == room.MOST_COPIES
    mill.shadow.pay()
    mill.until("dark", requests=room.MOST_COPIES)
    big = bytes(6_000_000)
    for _ in range(8):  # of which five fit
        mill.ask(big)
    mill.until("dark", lost=13)


def test_what_a_shadow_answers_is_captured_under_its_name(mill: Mill) -> None:
    buckets = Buckets(mill.platform.home.buckets)
    buckets.create("seen")
    mill.publish(capture=ALL)
    mill.ask(b"1,2\n", {"Content-Type": "text/csv", "X-Amzn-SageMaker-Inference-Id": "one"})
    wait_until(lambda: len(list(buckets.list("seen"))) == 2)
    events = {
        info.key.split("/")[2]: json.loads(buckets.get_bytes("seen", info.key))
        for info in buckets.list("seen")
    }
    assert set(events) == {"main", "dark"}
    assert events["dark"]["captureData"]["endpointInput"]["data"] == "1,2\n"
    assert events["dark"]["eventMetadata"]["inferenceId"] == "one"


def test_a_streamed_request_is_copied_as_a_plain_one_and_what_teaches_is_not() -> None:
    got: list[Any] = []
    shadow = variant(replica(unread=0, send=got.append))
    for kind in (REQUEST, STREAM, FEEDBACK):
        frame = pack(kind, 7, 0, b"text/csv", b"1,2")
        room.copy(SimpleNamespace(frame=frame, key=("r", "e"), id=7, sent=0.0), shadow, NOW)
    frames = [unpack(bytearray(one.frame))[0][0] for one in got]
    assert [(f.kind, f.id, f.head, f.body) for f in frames] == [(1, 7, b"text/csv", b"1,2")] * 2


def test_a_replica_that_has_yet_to_read_what_it_was_sent_gets_nothing_more() -> None:
    full = replica(unread=room.MOST_BYTES, send=lambda call: pytest.fail("too much"))
    shadow = variant(full)
    call = SimpleNamespace(frame=pack(REQUEST, 7, 0, b"", b""), sent=0.0)
    room.copy(call, shadow, NOW)
    assert shadow.meter.lost == 1
