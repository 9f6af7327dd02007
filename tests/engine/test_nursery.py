"""Workers as forks of a warm process: the laws of engines, and what a fork must not inherit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from tidemill.engine import nursery as nurseries
from tidemill.engine.base import Exit, Task
from tidemill.engine.local import LocalEngine
from tidemill.engine.nursery import Nursery
from tidemill.testing.engine import CHECKS, Place, wait_for

GIVEN = (sys.executable, "-P", "-m", "given")
"""Runs the program that is its argument, forked or not."""
FOREVER = "import time; open('ready', 'w').close(); time.sleep(600)"


@pytest.fixture(scope="module", autouse=True)
def _given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("modules")
    (folder / "given").mkdir()
    (folder / "given" / "__init__.py").touch()
    program = "import sys\nif __name__ == '__main__':\n    exec(sys.argv[1])\n"
    (folder / "given" / "__main__.py").write_text(program)
    (folder / "busy.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"
    )
    (folder / "unable.py").write_text(
        "import os\ndef setsid(): raise OSError\nos.setsid = setsid\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield


@pytest.fixture(scope="module")
def shared() -> Iterator[Nursery]:
    """Warm, for tests that do it no harm."""
    yield from _warmed(Nursery(["given"], ["numpy.random"]))


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    """Warm, to be harmed."""
    yield from _warmed(Nursery(["given"]))


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nursery]:
    """One that does not pause between two processes."""
    monkeypatch.setattr(nurseries, "PAUSE", 0.0)
    yield from _warmed(Nursery(["given"]))


def _warmed(nursery: Nursery) -> Iterator[Nursery]:
    nursery.prepare()
    wait_for(nursery.is_ready)
    yield nursery
    nursery.close()


def is_back(nursery: Nursery) -> bool:
    nursery.prepare()
    return nursery.is_ready()


def pid_of(handle: str) -> int:
    return int(handle.split(":")[0])


def is_fork(handle: str) -> bool:
    return bool(psutil.Process(pid_of(handle)).ppid() != os.getpid())


def end(engine: LocalEngine, handle: str) -> Exit:
    engine.stop(handle, 0.0)
    return wait_for(lambda: engine.look(handle))


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: str(c.__name__))
def test_forks_keep_the_laws(
    check: Callable[[Place], None], shared: Nursery, tmp_path: Path
) -> None:
    """Whoever adopts them knows of no nursery."""
    engines = [LocalEngine(nursery=shared)]
    check(Place(lambda: engines.pop() if engines else LocalEngine(), tmp_path, GIVEN))
    assert shared.is_ready(), "or all of these may have been plain"


REPORT = """
import gc, json, os, random, sys, threading
import numpy as np
stat = open("/proc/self/status").read().splitlines()
print(json.dumps({
    "environment": {k: v for k, v in os.environ.items() if k not in ("PWD", "SHLVL", "_")},
    "folder": os.path.basename(os.getcwd()),
    "umask": os.umask(0o77),
    "name": __name__,
    "arguments": len(sys.argv),
    "path": sys.path,
    "command": open("/proc/self/cmdline").read().rstrip("\\0").split("\\0")[:-1],
    "files": sorted(os.path.basename(os.readlink(f"/proc/self/fd/{f}")).split(":")[0]
                    for f in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{f}")),
    "inherited": [f for f in os.listdir("/proc/self/fd") if int(f) > 2
                  and os.path.exists(f"/proc/self/fd/{f}") and os.get_inheritable(int(f))],
    "signals": [line for line in stat if line.startswith("Sig") and "SigQ" not in line],
    "leads": os.getsid(0) == os.getpgid(0) == os.getpid(),
    "named": open("pid").read().split()[0] == str(os.getpid()),
    "threads": threading.active_count(),
    "collects": gc.isenabled(),
}))
print(json.dumps([random.random(), float(np.random.random()), os.urandom(4).hex()]))
"""


def report(engine: LocalEngine, home: Path) -> tuple[dict[str, object], list[object]]:
    home.mkdir(parents=True)
    (home / "report.py").write_text(REPORT)
    handle = engine.start(Task([*GIVEN, "exec(open('report.py').read())"], home))
    assert wait_for(lambda: engine.look(handle)).code == 0, engine.logs(handle)
    told, chance = engine.logs(handle)[0].splitlines()
    return json.loads(told), json.loads(chance)


def test_a_fork_is_what_a_plain_start_would_be(shared: Nursery, tmp_path: Path) -> None:
    forked, _ = report(LocalEngine(nursery=shared), tmp_path / "forked" / "home")
    plain, _ = report(LocalEngine(), tmp_path / "plain" / "home")
    assert forked.pop("inherited") == []
    plain.pop("inherited")  # it cannot keep the lock from what it runs
    assert forked == plain
    assert forked["leads"]
    assert forked["named"]


def test_forks_draw_different_numbers(shared: Nursery, tmp_path: Path) -> None:
    engine = LocalEngine(nursery=shared)
    drawn = [report(engine, tmp_path / name)[1] for name in "ab"]
    for one, other in zip(*drawn, strict=True):
        assert one != other


def test_what_is_no_task_for_a_fork_starts_plainly(shared: Nursery, tmp_path: Path) -> None:
    engine = LocalEngine(nursery=shared)
    tasks = [
        Task([*GIVEN, FOREVER], tmp_path / "environment", {"OPENBLAS_NUM_THREADS": "2"}),
        Task([*GIVEN, FOREVER + "#" * 1000], tmp_path / "long"),
        Task([sys.executable, "-m", "given", FOREVER], tmp_path / "flags"),
        Task([sys.executable, "-c", FOREVER], tmp_path / "other"),
        Task(["sleep", "600"], tmp_path / "short"),
    ]
    handles = [engine.start(task) for task in tasks]
    assert [is_fork(handle) for handle in handles] == [False] * len(tasks)
    forked = engine.start(Task([*GIVEN, FOREVER], tmp_path / "forked"))
    assert is_fork(forked)
    for handle in (*handles, forked):
        assert end(engine, handle).code == -9


def test_until_there_is_a_warm_process_workers_start_plainly(tmp_path: Path) -> None:
    nursery = Nursery(["given"])
    engine = LocalEngine(nursery=nursery)
    try:
        first = engine.start(Task([*GIVEN, FOREVER], tmp_path / "first"))
        assert not is_fork(first)
        wait_for(nursery.is_ready)  # that it was missed has begun it
        second = engine.start(Task([*GIVEN, FOREVER], tmp_path / "second"))
        assert is_fork(second)
        assert [end(engine, handle).code for handle in (first, second)] == [-9, -9]
    finally:
        nursery.close()


def test_workers_outlive_the_warm_process_and_another_one_comes(
    restless: Nursery, tmp_path: Path
) -> None:
    nursery = restless
    engine = LocalEngine(nursery=nursery)
    forked = engine.start(Task([*GIVEN, FOREVER], tmp_path / "forked"))
    os.kill(nursery.pid or 0, signal.SIGKILL)
    plain = engine.start(Task([*GIVEN, FOREVER], tmp_path / "plain"))
    assert not is_fork(plain)
    assert engine.look(forked) is None
    assert engine.find(tmp_path / "forked") == forked
    wait_for(partial(is_back, nursery))
    again = engine.start(Task([*GIVEN, FOREVER], tmp_path / "again"))
    assert is_fork(again)
    assert [end(engine, handle).code for handle in (forked, plain, again)] == [-9] * 3


def test_a_warm_process_that_keeps_dying_is_not_made_without_end(
    nursery: Nursery, tmp_path: Path
) -> None:
    os.kill(nursery.pid or 0, signal.SIGKILL)
    engine = LocalEngine(nursery=nursery)
    for name in "ab":
        handle = engine.start(Task([*GIVEN, "pass"], tmp_path / name))
        assert wait_for(partial(engine.look, handle)) == Exit(0, "exit code 0")
    assert nursery.pid is None, "the next may come some seconds after this one was begun"


def test_silence_is_taken_for_death(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nurseries, "PATIENCE", 0.1)
    deaf = psutil.Process(nursery.pid)
    deaf.suspend()
    engine = LocalEngine(nursery=nursery)
    handle = engine.start(Task([*GIVEN, FOREVER], tmp_path / "home"))
    assert not is_fork(handle)
    assert not deaf.is_running()
    end(engine, handle)


def test_how_a_fork_ended_is_known_though_it_is_no_child_of_ours(
    shared: Nursery, tmp_path: Path
) -> None:
    engine = LocalEngine(nursery=shared)
    program = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    handle = engine.start(Task([*GIVEN, program], tmp_path / "home"))
    assert wait_for(lambda: engine.look(handle)) == Exit(-15, "killed by SIGTERM")
    assert not psutil.pid_exists(pid_of(handle)), "nothing is left of it, not even a zombie"
    stranger = f"1:1-{handle.split('-')[1].split(':')[0]}:{tmp_path}"
    assert engine.look(stranger) == Exit(-9, "killed by SIGKILL")


def test_the_end_of_a_fork_is_called_out(shared: Nursery, tmp_path: Path) -> None:
    called = threading.Event()
    engine = LocalEngine(on_exit=called.set, nursery=shared)
    handle = engine.start(Task([*GIVEN, FOREVER], tmp_path / "home"))
    assert not called.is_set()
    os.kill(pid_of(handle), signal.SIGKILL)
    assert called.wait(20)
    wait_for(lambda: engine.look(handle))


def test_nothing_is_forked_from_a_process_with_threads(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    nursery = Nursery(["given"], ["busy"])
    nursery.prepare()
    said = wait_for(lambda: capfd.readouterr().err)
    assert said == "workers are not forked from a process of 2 threads\n"
    engine = LocalEngine(nursery=nursery)
    handle = engine.start(Task([*GIVEN, "pass"], tmp_path / "home"))
    assert wait_for(lambda: engine.look(handle)).code == 0
    nursery.close()


def test_a_fork_that_fails_before_it_is_the_worker_is_started_plainly(tmp_path: Path) -> None:
    nursery = next(_warmed(Nursery(["given"], ["unable"])))
    engine = LocalEngine(nursery=nursery)
    for name in "ab":
        handle = engine.start(Task([*GIVEN, FOREVER], tmp_path / name))
        assert not is_fork(handle)
        assert end(engine, handle).code == -9
        assert nursery.is_ready()
    nursery.close()


STARTER = """
import sys
from pathlib import Path
from tidemill.engine.base import Task
from tidemill.engine.local import LocalEngine
from tidemill.engine.nursery import Nursery
from tidemill.testing.engine import wait_for
nursery = Nursery(["given"])
nursery.prepare()
wait_for(nursery.is_ready)
print(nursery.pid, flush=True)
sys.stdin.readline()
command = [sys.executable, "-P", "-m", "given", sys.argv[2]]
print(LocalEngine(nursery=nursery).start(Task(command, Path(sys.argv[1]))), flush=True)
sys.stdin.readline()
"""
WORKER = textwrap.dedent("""
    import fcntl, os, time
    with open("alone", "w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a second worker fails here
        with open("started", "a") as f: f.write(f"{os.getpid()}\\n")
        time.sleep(600)
""")


def test_the_warm_process_ends_with_its_control_plane_and_workers_do_not(tmp_path: Path) -> None:
    with starter(tmp_path / "home") as victim:
        warm = psutil.Process(int(line_of(victim)))
        say(victim)
        handle = line_of(victim)
        victim.kill()
    psutil.wait_procs([warm], timeout=20)
    assert not warm.is_running() or warm.status() == psutil.STATUS_ZOMBIE
    engine = LocalEngine()
    assert engine.look(handle) is None
    assert engine.start(Task([*GIVEN, WORKER], tmp_path / "home")) == handle
    end(engine, handle)


@pytest.mark.serial
@pytest.mark.parametrize("killed", ["control plane", "warm process", "both"])
def test_killed_at_any_moment_of_a_start_at_most_one_worker_is_left(
    killed: str, tmp_path: Path
) -> None:
    """Each round a little later in the act of starting."""
    engine = LocalEngine()
    for i in range(12):
        home = tmp_path / f"home-{i}"
        with starter(home) as victim:
            warm = int(line_of(victim))
            say(victim)
            time.sleep(i * 0.0005)
            if killed != "control plane":
                os.kill(warm, signal.SIGKILL)
            if killed == "warm process":
                line_of(victim)  # it starts one plainly, unless it was told of a fork
            victim.kill()
        handle = engine.start(Task([*GIVEN, WORKER], home))
        pids = wait_for(partial(words, home / "started"))
        assert engine.look(handle) is None
        assert pids == [handle.split(":")[0]]
        end(engine, handle)
        assert engine.logs(handle) == (b"", 0)


def starter(home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", STARTER, str(home), WORKER]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line_of(victim: subprocess.Popen[str]) -> str:
    assert victim.stdout is not None
    return victim.stdout.readline().strip()


def say(victim: subprocess.Popen[str]) -> None:
    assert victim.stdin is not None
    victim.stdin.write("\n")
    victim.stdin.flush()


def words(path: Path) -> list[str]:
    """What a file says by now."""
    return path.read_text().split() if path.exists() else []
