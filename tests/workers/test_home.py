"""Events are whole lines, and control is woken when it matters."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest

from tests.workers.places import events, exit_of
from tidemill.spec.event import Event
from tidemill.spec.home import WorkerHome
from tidemill.workers.home import Desk, write_exit, write_failure


@pytest.fixture
def home(tmp_path: Path) -> WorkerHome:
    return WorkerHome(tmp_path)


def bell(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    sock.setblocking(False)
    return sock


def rings(sock: socket.socket) -> int:
    count = 0
    while True:
        try:
            assert sock.recv(100) == b"wake"
        except BlockingIOError:
            return count
        count += 1


def test_events_are_written_in_order(home: WorkerHome) -> None:
    with closing(Desk(home, clock=lambda: 5.0)) as desk:
        desk.status("Training", "go")
        desk.metric("test:msd", 0.5)
        desk.progress(0.25, "epoch 1")
        desk.ready("unix:/x")
        desk.note("s3://b/k", "artifact")
    assert events(home) == [
        Event(5.0, "status", "Training", None, "go"),
        Event(5.0, "metric", "test:msd", 0.5),
        Event(5.0, "progress", "", 0.25, "epoch 1"),
        Event(5.0, "ready", "", None, "unix:/x"),
        Event(5.0, "note", "artifact", None, "s3://b/k"),
    ]


def test_half_a_line_of_a_killed_attempt_spoils_only_itself(home: WorkerHome) -> None:
    home.events.write_text('{"time": 1.0, "kind": "note"}\n{"time": 2.0, "ki')
    with closing(Desk(home, clock=lambda: 3.0)) as desk:
        desk.note("again")
    lines = home.events.read_text().splitlines()
    assert lines[1:] == ['{"time": 2.0, "ki', Event(3.0, "note", message="again").to_line()[:-1]]


def test_control_is_woken_at_once_but_not_by_every_metric(home: WorkerHome) -> None:
    path = home.root / "control.sock"
    now = 100.0
    with bell(path) as sock, closing(Desk(home, str(path), clock=lambda: now)) as desk:
        desk.status("Training")
        assert rings(sock) == 1
        for _ in range(50):
            desk.metric("train:msd", 1.0)
        assert rings(sock) == 0
        now = 101.0
        desk.metric("train:msd", 1.0)
        assert rings(sock) == 1


def test_nobody_need_be_listening(home: WorkerHome) -> None:
    with closing(Desk(home, str(home.root / "nobody.sock"))) as desk:
        desk.status("Training")
    assert len(events(home)) == 1


def test_the_first_failure_stands(home: WorkerHome) -> None:
    write_failure(home, "ClientError: first")
    write_failure(home, "AlgorithmError: second")
    assert home.failure.read_text() == "ClientError: first"


def test_the_exit_record_says_more_where_there_is_more(home: WorkerHome) -> None:
    write_exit(home, 0, stopped=True)
    assert exit_of(home) == {"code": 0, "stopped": True}
