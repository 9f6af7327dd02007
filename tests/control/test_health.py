"""Pings of replicas over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidemill.control.health import Health, ping
from tidemill.spec.frame import HEADER, PING, PONG, RESPONSE, pack, unpack


@contextmanager
def replica(family: int, address: object, answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """Something that answers a frame's header with what ``answer`` makes of it."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind(address)  # type: ignore[arg-type]
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(answer(connection.recv(HEADER.size)))

    thread = threading.Thread(target=serve)
    thread.start()
    unix = family == socket.AF_UNIX
    name = listener.getsockname()
    try:
        yield f"unix:{name}" if unix else f"tcp:{name[0]}:{name[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def pong(header: bytes) -> bytes:
    [frame], _ = unpack(header)
    assert frame.kind == PING
    return pack(PONG, frame.id, 0, b"", b"")


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_replica_that_answers_is_well(tmp_path: Path, kind: str) -> None:
    where = {
        "unix": (socket.AF_UNIX, str(tmp_path / "s")),
        "tcp": (socket.AF_INET, ("127.0.0.1", 0)),
    }
    with replica(*where[kind], pong) as address:
        assert asyncio.run(ping(address, 10.0))


def test_every_other_answer_is_a_miss(tmp_path: Path) -> None:
    answers: list[Callable[[bytes], bytes]] = [
        lambda h: b"",
        lambda h: pong(h)[:5],
        lambda h: pack(RESPONSE, 1, 200, b"", b""),
    ]
    for i, answer in enumerate(answers):
        with replica(socket.AF_UNIX, str(tmp_path / f"s{i}"), answer) as address:
            assert not asyncio.run(ping(address, 10.0))


def test_nobody_there_is_a_miss(tmp_path: Path) -> None:
    assert not asyncio.run(ping(f"unix:{tmp_path}/none", 10.0))


def test_silence_is_a_miss(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        assert not asyncio.run(ping(f"unix:{tmp_path}/s", 0.05))


def test_a_round_that_cannot_be_asked_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Semaphore(0)

    async def no_files(targets: object, timeout: float) -> dict[str, bool]:
        asked.release()
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("tidemill.control.health._ping_all", no_files)
    health = Health(lambda: None, period=0.01)
    health.watch({"h": f"unix:{tmp_path}/r"})
    health.start()
    assert all(asked.acquire(timeout=10) for _ in range(3))
    assert not health.hangs("h")
    health.close()


def test_only_misses_in_a_row_are_a_hang(tmp_path: Path) -> None:
    """The well one is never said to hang; the absent one is, once it has missed twice."""
    found = threading.Event()
    with replica(socket.AF_UNIX, str(tmp_path / "s"), pong) as address:
        health = Health(found.set, period=0.01, timeout=5.0, misses=2)
        health.watch({"well": address, "gone": f"unix:{tmp_path}/none"})
        assert not health.hangs("gone")
        health.start()
        assert found.wait(20)
        assert health.hangs("gone")
        assert not health.hangs("well")
        assert not health.hangs("never heard of")
        health.watch({"well": address})
        wait_until(lambda: not health.hangs("gone"))
        health.close()


def wait_until(ask: Callable[[], bool]) -> None:
    for _ in range(2000):
        if ask():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")
