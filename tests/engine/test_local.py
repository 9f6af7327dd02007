"""Workers as local processes: the laws of engines, and what is special to Linux."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tidemill.engine.base import Exit, Task
from tidemill.engine.local import LocalEngine
from tidemill.errors import NotReady
from tidemill.testing.engine import CHECKS, Place, wait_for

FOREVER = [sys.executable, "-c", "open('ready','w').close(); import time; time.sleep(600)"]


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: str(c.__name__))
def test_the_local_engine_keeps_the_laws(check: Callable[[Place], None], tmp_path: Path) -> None:
    check(Place(LocalEngine, tmp_path))


@pytest.fixture
def engine() -> LocalEngine:
    return LocalEngine()


@pytest.fixture
def home(tmp_path: Path, engine: LocalEngine) -> Iterator[Path]:
    yield tmp_path / "home"
    handle = engine.start(Task(FOREVER, tmp_path / "home"))  # finds what may still run there
    engine.stop(handle, 0.0)
    wait_for(lambda: engine.look(handle))


def test_a_pid_given_to_another_process_is_not_the_worker(
    engine: LocalEngine, tmp_path: Path
) -> None:
    ours = f"{os.getpid()}:1:{tmp_path}"
    found = engine.look(ours)
    assert found is not None
    assert found.code == -9
    engine.stop(ours, 0.0)  # we are still here


def test_a_process_of_before_the_machine_restarted_is_not_ours(
    engine: LocalEngine, home: Path
) -> None:
    """Its number may be that of a group whose leader has ended, which is nobody's to end."""
    program = "import os, time; print(os.getpid(), flush=True); os.fork() and os._exit(0); "
    command = [sys.executable, "-c", program + "time.sleep(600)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        pid = int(leader.stdout.readline())
        leader.wait()
        found = engine.look(f"{pid}:12345-00000000:{home}")
        assert found is not None
        assert found.code == -9
        os.killpg(pid, 9)  # raises unless it still lives


def test_what_lingers_after_its_last_act_has_ended(engine: LocalEngine, home: Path) -> None:
    program = "open('exit.json','w').write('{\"code\": 0}'); import time; time.sleep(600)"
    handle = engine.start(Task([sys.executable, "-c", program], home))
    assert wait_for(lambda: engine.look(handle)).code == 0
    # ... and the next start on its home does not adopt it.
    second = engine.start(Task(FOREVER, home))
    assert second != handle
    assert engine.look(second) is None


def test_a_home_held_by_a_stranger_is_refused(engine: LocalEngine, home: Path) -> None:
    home.mkdir()
    program = "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.flock(f,2); print(flush=True); "
    command = [sys.executable, "-c", program + "sys.stdin.read()", str(home / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        with pytest.raises(NotReady, match="that nothing uses"):
            engine.start(Task(FOREVER, home))
        stranger.terminate()


def test_a_half_written_exit_counts_as_a_kill(engine: LocalEngine, home: Path) -> None:
    program = "open('exit.json','w').write('{\"co'); import os; os.kill(os.getpid(), 9)"
    handle = engine.start(Task([sys.executable, "-c", program], home))
    assert wait_for(lambda: engine.look(handle)).code == -9


def test_an_end_is_called_out(home: Path) -> None:
    called = threading.Event()
    engine = LocalEngine(on_exit=called.set)
    handle = engine.start(Task(FOREVER, home))
    assert not called.is_set()
    engine.stop(handle, 0.0)
    assert called.wait(20)
    wait_for(lambda: engine.look(handle))


def test_the_killed_leave_no_zombie_though_nobody_looks(
    engine: LocalEngine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.engine.local._LAST_BREATH", 0.05)
    handle = engine.start(Task(FOREVER, home))
    engine.stop(handle, 0.0)
    wait_for(lambda: not Path(f"/proc/{handle.split(':')[0]}").exists())
    assert engine.look(handle) == Exit(-9, "killed by SIGKILL")


def test_the_ends_of_long_ago_are_forgotten(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.engine.local._MOST_CODES", 2)
    handles = [engine.start(Task(["false"], tmp_path / name)) for name in "abc"]
    codes = [wait_for(lambda h=handle: engine.look(h)).code for handle in handles]
    assert codes == [1, 1, 1]
    assert [engine.look(handle).code for handle in handles[:0:-1]] == [1, 1]
    assert engine.look(handles[0]) == Exit(-9, "killed by SIGKILL")  # nobody knows any more


def test_what_lingers_too_long_is_ended_unasked(
    engine: LocalEngine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.engine.local._LAST_BREATH", 0.2)
    program = "open('exit.json','w').write('{\"code\": 0}'); import time; time.sleep(600)"
    handle = engine.start(Task([sys.executable, "-c", program], home))
    wait_for(lambda: engine.look(handle))
    pid = int(handle.split(":")[0])
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.serial
def test_a_starter_killed_at_any_moment_leaves_at_most_one_worker(tmp_path: Path) -> None:
    """Each round a control plane is killed a little later in the act of starting."""
    worker = textwrap.dedent("""
        import fcntl, os, time
        with open("alone", "w") as alone:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a second worker fails here
            with open("started", "a") as f: f.write(f"{os.getpid()}\\n")
            time.sleep(600)
    """)
    starter = textwrap.dedent("""
        import sys
        from pathlib import Path
        from tidemill.engine.base import Exit, Task
        from tidemill.engine.local import LocalEngine
        print(flush=True)
        sys.stdin.readline()
        LocalEngine().start(Task([sys.executable, "-c", sys.argv[2]], Path(sys.argv[1])))
    """)
    engine = LocalEngine()
    for i in range(20):
        home = tmp_path / f"home-{i}"
        command = [sys.executable, "-c", starter, str(home), worker]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as victim:
            assert victim.stdout is not None
            assert victim.stdin is not None
            victim.stdout.readline()
            victim.stdin.write("\n")
            victim.stdin.flush()
            threading.Event().wait(i * 0.0004)
            victim.kill()
        handle = engine.start(Task([sys.executable, "-c", worker], home))
        pids = wait_for(partial(words, home / "started"))
        assert engine.look(handle) is None
        assert pids == [handle.split(":")[0]]
        engine.stop(handle, 0.0)
        wait_for(partial(engine.look, handle))
        assert engine.logs(handle) == (b"", 0)


def words(path: Path) -> list[str]:
    """What a file says by now."""
    return path.read_text().split() if path.exists() else []
