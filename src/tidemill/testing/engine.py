"""The laws of engines: what every place that runs processes must keep, said once.

Each ``check_…`` takes a fresh ``Place`` and raises AssertionError when its law is broken;
``CHECKS`` lists them. In a test file::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
    def test_my_engine_keeps(check, tmp_path):
        check(Place(MyEngine, tmp_path))
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tidemill.engine.base import Engine, Exit, Task
from tidemill.spec.home import WorkerHome

Answer = TypeVar("Answer")
_PATIENCE = 20.0
_READY = "import os, pathlib, signal, time; pathlib.Path('ready').touch(); "
_FOREVER = _READY + "time.sleep(600)"
_DEAF = _READY.replace("pathlib.P", "signal.signal(15, signal.SIG_IGN); pathlib.P", 1) + (
    "time.sleep(600)"
)


@dataclass(frozen=True, slots=True)
class Place:
    """make: a new engine that knows nothing of the last one · root: an empty directory
    command: to which a Python program is added, as text
    """

    make: Callable[[], Engine]
    root: Path
    command: Sequence[str] = (sys.executable, "-c")

    def task(self, program: str, environment: Mapping[str, str] | None = None) -> Task:
        """A Python program in a home of its own."""
        return Task([*self.command, program], self.root / "home", environment or {})

    def ended(self, engine: Engine, handle: str) -> Exit:
        """How it ended, once it has."""
        return wait_for(lambda: engine.look(handle))

    def ready(self) -> bool:
        """Whether a program has got as far as to say so."""
        return (self.root / "home" / "ready").exists()


def wait_for(ask: Callable[[], Answer | None]) -> Answer:
    """Ask again and again until the answer is true, for 20 seconds at most."""
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"nothing happened for {_PATIENCE:.0f} s")


def check_a_running_task_has_not_ended(place: Place) -> None:
    engine = place.make()
    handle = engine.start(place.task(_FOREVER))
    try:
        wait_for(place.ready)
        assert engine.look(handle) is None
    finally:
        engine.stop(handle, 0.0)
        place.ended(engine, handle)


def check_an_exit_code_is_told_and_told_again(place: Place) -> None:
    engine = place.make()
    handle = engine.start(place.task("raise SystemExit(7)"))
    assert place.ended(engine, handle).code == 7
    assert place.ended(engine, handle).code == 7


def check_the_code_written_by_the_worker_holds(place: Place) -> None:
    engine = place.make()
    handle = engine.start(place.task("open('exit.json', 'w').write('{\"code\": 3}')"))
    assert place.ended(engine, handle).code == 3
    assert place.ended(place.make(), handle).code == 3


def check_an_end_that_was_told_stands_when_the_home_is_gone(place: Place) -> None:
    engine = place.make()
    last = "open('exit.json', 'w').write('{\"code\": 3}'); import time; time.sleep(600)"
    handle = engine.start(place.task(last))
    assert place.ended(engine, handle).code == 3
    shutil.rmtree(place.root / "home")
    assert place.ended(engine, handle).code == 3
    engine.stop(handle, 0.0)


def check_a_kill_after_the_last_act_changes_nothing(place: Place) -> None:
    engine = place.make()
    last = "open('exit.json', 'w').write('{\"code\": 3}'); "
    handle = engine.start(place.task(last + _FOREVER))
    wait_for(place.ready)
    engine.stop(handle, 0.0)
    assert place.ended(engine, handle).code == 3


def check_an_exit_of_an_earlier_attempt_is_forgotten(place: Place) -> None:
    engine = place.make()
    home = place.root / "home"
    home.mkdir()
    WorkerHome(home).exit.write_text(json.dumps({"code": 0}))
    handle = engine.start(place.task("raise SystemExit(5)"))
    assert place.ended(engine, handle).code == 5


def check_a_kill_is_a_negative_code(place: Place) -> None:
    engine = place.make()
    handle = engine.start(place.task("import os; os.kill(os.getpid(), 9)"))
    found = place.ended(engine, handle)
    assert found.code == -9
    assert "SIGKILL" in found.reason


def check_a_new_engine_adopts_what_runs(place: Place) -> None:
    engine = place.make()
    handle = engine.start(place.task(_FOREVER))
    wait_for(place.ready)
    heir = place.make()
    assert heir.look(handle) is None
    heir.stop(handle, 0.0)
    assert place.ended(heir, handle).code < 0


def check_one_home_never_has_two_workers(place: Place) -> None:
    handle = place.make().start(place.task(_FOREVER))
    heir = place.make()
    try:
        assert heir.start(place.task(_FOREVER)) == handle
    finally:
        heir.stop(handle, 0.0)
        place.ended(heir, handle)


def check_a_home_tells_what_runs_in_it(place: Place) -> None:
    engine, home = place.make(), place.root / "home"
    assert engine.find(home) is None
    handle = engine.start(place.task(_FOREVER))
    wait_for(place.ready)
    heir = place.make()
    try:
        assert heir.find(home) == handle
    finally:
        heir.stop(handle, 0.0)
        place.ended(heir, handle)
    assert heir.find(home) is None


def check_an_ended_home_can_be_started_again(place: Place) -> None:
    engine = place.make()
    program = "n = open('n', 'a'); n.write('x'); n.close(); print('printed')"
    first = engine.start(place.task(program))
    assert place.ended(engine, first).code == 0
    second = engine.start(place.task(program))
    assert place.ended(engine, second).code == 0
    assert (place.root / "home" / "n").read_text() == "xx"
    assert engine.logs(second)[0] == b"printed\nprinted\n"


def check_logs_go_on_from_an_offset(place: Place) -> None:
    engine = place.make()
    handle = engine.start(place.task("import sys; print('out'); print('err', file=sys.stderr)"))
    place.ended(engine, handle)
    text, offset = engine.logs(handle)
    assert text == b"out\nerr\n"
    assert engine.logs(handle, offset) == (b"", offset)
    assert engine.logs(handle, 4) == (b"err\n", offset)


def check_stop_asks_first(place: Place) -> None:
    engine = place.make()
    program = "signal.signal(15, lambda *_: os._exit(4)); " + _FOREVER
    handle = engine.start(place.task("import os, signal; " + program))
    wait_for(place.ready)
    engine.stop(handle, 60.0)
    assert place.ended(engine, handle).code == 4


def check_stop_kills_the_deaf_when_grace_is_over(place: Place) -> None:
    engine = place.make()
    handle = engine.start(place.task(_DEAF))
    wait_for(place.ready)
    engine.stop(handle, 0.2)
    engine.stop(handle, 60.0)  # a later end does not put off the earlier
    assert place.ended(engine, handle).code == -9


def check_grace_is_kept_over_a_restart(place: Place) -> None:
    engine = place.make()
    handle = engine.start(place.task(_DEAF))
    wait_for(place.ready)
    engine.stop(handle, 0.2)
    assert place.ended(place.make(), handle).code == -9


def check_the_dead_take_their_children_along(place: Place) -> None:
    engine = place.make()
    child = "import subprocess, sys; c = subprocess.Popen(['sleep', '600']); "
    handle = engine.start(place.task(child + "print(c.pid, flush=True); import os; os._exit(0)"))
    place.ended(engine, handle)
    pid = int(engine.logs(handle)[0])
    wait_for(lambda: not _is_alive(pid))


def check_the_environment_is_clean(place: Place) -> None:
    engine = place.make()
    os.environ["TIDEMILL_TEST_SECRET"] = "told nobody"
    try:
        program = "import json, os; print(json.dumps([dict(os.environ), os.getcwd()]))"
        handle = engine.start(place.task(program, {"GIVEN": "yes"}))
    finally:
        del os.environ["TIDEMILL_TEST_SECRET"]
    assert place.ended(engine, handle).code == 0
    environment, cwd = json.loads(engine.logs(handle)[0])
    assert environment["GIVEN"] == "yes"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "TIDEMILL_TEST_SECRET" not in environment
    assert Path(cwd) == (place.root / "home").resolve()


def check_a_command_that_is_not_there_is_an_exit(place: Place) -> None:
    engine = place.make()
    handle = engine.start(Task(["/no/such/program"], place.root / "home"))
    assert place.ended(engine, handle).code == 127
    assert b"/no/such/program" in engine.logs(handle)[0]


def check_stopping_the_dead_is_harmless(place: Place) -> None:
    engine = place.make()
    handle = engine.start(place.task("pass"))
    place.ended(engine, handle)
    engine.stop(handle, 1.0)
    engine.stop(handle, 0.0)
    assert place.ended(engine, handle).code == 0


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


CHECKS = tuple(v for k, v in list(globals().items()) if k.startswith("check_"))
