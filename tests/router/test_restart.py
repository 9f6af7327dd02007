"""The router may be killed at any moment: its successor takes the same port and the same routes."""

from __future__ import annotations

import random
import socket
import threading
import time

import pytest

from tests.router.stand_in import Client, Platform, raw, route, signed, wait_until


@pytest.mark.serial
@pytest.mark.slow
def test_a_killed_router_costs_a_retry_and_no_more_than_a_second(alone: Platform) -> None:
    replica = alone.replica("one")
    alone.routes(route("e", replica))
    over = threading.Event()
    took: list[float] = []
    failures: list[str] = []

    def ask(number: int) -> None:
        body = b"%d" % number
        while not over.is_set():
            start = time.monotonic()
            while True:
                client = Client(alone.port)
                try:
                    status, _, got = client.invoke("e", body)
                    break
                except OSError:
                    continue
                except Exception as error:  # http.client's own
                    failures.append(repr(error)) if "Disconnect" not in repr(error) else None
                finally:
                    client.close()
            took.append(time.monotonic() - start)
            if (status, got) != (200, body):
                failures.append(f"{status} {got!r}")

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    chance = random.Random(1)
    for _ in range(20):
        time.sleep(chance.uniform(0.0, 0.4))
        alone.kill_router()
        alone.start_router()
        before = len(took)
        wait_until(lambda before=before: len(took) > before)
    time.sleep(0.5)
    over.set()
    for thread in threads:
        thread.join(20)
    replica.kill()
    assert failures == []
    assert len(took) > 100
    assert max(took) < 2.0  # a second on a machine of its own


def test_requests_sent_while_no_router_runs_wait_for_the_next_one(alone: Platform) -> None:
    replica = alone.replica("one")
    alone.routes(route("e", replica))
    alone.kill_router()
    path = "/endpoints/e/invocations"
    with socket.create_connection(("127.0.0.1", alone.port), timeout=20) as one:
        one.sendall(raw("POST", path, signed(path, b"waited", port=alone.port), b"waited"))
        alone.start_router()
        assert one.recv(4096).endswith(b"waited")
    replica.kill()


def test_a_router_told_to_end_answers_what_it_has(alone: Platform) -> None:
    replica = alone.replica("one", lambda head, body: None)
    alone.routes(route("e", replica))
    path = "/endpoints/e/invocations"
    with socket.create_connection(("127.0.0.1", alone.port), timeout=20) as one:
        one.sendall(raw("POST", path, signed(path, b"1", port=alone.port), b"1"))
        while not replica.requests:
            time.sleep(0.01)
        assert alone.router is not None
        alone.router.terminate()
        time.sleep(0.2)
        replica.answer = lambda head, body: (200, b"t\n", b"late")
        replica.kill()
        replica.start()
        assert one.recv(4096).endswith(b"late")
    assert alone.router.wait(10) == 0
    replica.kill()
