"""What workers leave in their homes, whole or broken off."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.control.plan.step import Seen
from tidemill.control.routes import Routes
from tidemill.control.wakeup import Wakeup, ring
from tidemill.control.workers import Workers
from tidemill.engine.base import Exit, Task
from tidemill.spec.event import Event
from tidemill.spec.home import WorkerHome
from tidemill.spec.route import Route, Variant, from_json


class Still:
    """An engine in which everything has ended with one code."""

    def __init__(self, code: int | None = 0) -> None:
        self.code = code
        self.started: list[Task] = []

    def start(self, task: Task) -> str:
        self.started.append(task)
        return "handle"

    def find(self, home: Path) -> str | None:
        return None

    def look(self, handle: str) -> Exit | None:
        return None if self.code is None else Exit(self.code, "")

    def stop(self, handle: str, grace: float) -> None:
        raise AssertionError("not here")

    def logs(self, handle: str, offset: int = 0) -> tuple[bytes, int]:
        raise AssertionError("not here")


def workers(code: int | None = 0) -> Workers:
    return Workers(Still(code), {"train": ["train-it"]})


def test_a_start_writes_the_task_and_forgets_the_last_failure(tmp_path: Path) -> None:
    home = WorkerHome(tmp_path / "algo-1")
    home.output.mkdir(parents=True)
    home.failure.write_text("of the last attempt")
    engine = Still()
    started = Workers(engine, {"train": ["train-it"]}).start(home.root, {"kind": "train", "n": 1})
    assert started == "handle"
    assert [tuple(t.command) for t in engine.started] == [("train-it", str(home.root))]
    assert home.task.read_text() == '{"kind": "train", "n": 1}'
    assert not home.failure.exists()


@given(cuts=st.lists(st.integers(0, 400), max_size=6))
def test_events_come_once_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    place = tmp_path_factory.mktemp("home")
    events = [Event(float(i), "progress", value=i / 10, message="ü") for i in range(8)]
    data = "".join(e.to_line() for e in events).encode()
    seen: list[Event] = []
    offset = 0
    for cut in [*sorted(cuts), len(data)]:
        WorkerHome(place).events.write_bytes(data[:cut])
        found, offset = workers().events(place, offset)
        seen += found
    assert seen == events
    assert offset == len(data)


def test_a_broken_line_is_left_out(tmp_path: Path) -> None:
    good = Event(1.0, "note", message="x")
    lines = ['{"time": 1, "ki', "", "[]", "7", '{"kind": "note"}', "\ufffd", good.to_line().strip()]
    WorkerHome(tmp_path).events.write_text("\n".join(lines) + "\n")
    assert workers().events(tmp_path, 0)[0] == [good]


def test_an_endless_line_holds_up_nothing(tmp_path: Path) -> None:
    good = Event(1.0, "note", message="x")
    WorkerHome(tmp_path).events.write_text("x" * (1 << 20) + "y\n" + good.to_line())
    found, offset = workers().events(tmp_path, 0)
    assert found == []
    assert workers().events(tmp_path, offset)[0] == [good]


def test_a_worker_that_has_said_nothing_has_no_events(tmp_path: Path) -> None:
    assert workers().events(tmp_path / "none", 0) == ([], 0)


def test_remains_tell_how_it_ended(tmp_path: Path) -> None:
    home = WorkerHome(tmp_path)
    assert workers(None).seen(tmp_path, "h") is None
    assert workers(-9).seen(tmp_path, "h") == Seen(-9)
    home.log.write_text("".join(f"line {i}\n\n" for i in range(1000)))
    home.output.mkdir()
    home.failure.write_text("x" * 5000)
    found = workers(1).seen(tmp_path, "h")
    assert found is not None
    assert found.failure == "x" * 1024
    assert found.log == " | ".join(f"line {i}" for i in range(992, 1000))
    assert workers().finished(tmp_path) is None
    home.exit.write_text('{"code": 0, "stopped": true}')
    assert workers().seen(tmp_path, "h") == Seen(0, stopped=True)
    assert workers().finished(tmp_path) == Seen(0, stopped=True)
    for broken in ("", "[]", '{"co', "{}"):
        home.exit.write_text(broken)
        assert workers().finished(tmp_path) is None


def test_routes_are_written_when_they_change(tmp_path: Path) -> None:
    routes, path = Routes(tmp_path / "routes.json", "1"), tmp_path / "routes.json"
    route = Route("e", "us-east-1", (Variant("v", 1.0, {"r1": "unix:/s"}),))
    routes.publish([])
    assert from_json(path.read_text()).routes == {}
    routes.publish([route])
    assert from_json(path.read_text()).routes == {("us-east-1", "e"): route}
    before = path.stat()
    routes.publish([route])
    assert path.stat() == before


def test_a_wake_up_ends_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    ring(path)  # nobody listens, and that is well
    wakeup = Wakeup(path)
    for _ in range(500):  # more than the socket holds, and none waits
        ring(path)
    wakeup.wait(600.0)
    wakeup.wait(0.0)  # all were taken at once
    wakeup.close()
    Wakeup(path).close()  # what a dead one left is in nobody's way
