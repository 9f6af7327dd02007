"""Workers as processes of this machine: detached, found again after a restart, never doubled."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tidemill.engine import environment, process
from tidemill.engine.base import Exit, Task
from tidemill.engine.nursery import Nursery
from tidemill.engine.process import UNKNOWN, Process
from tidemill.errors import NotReady
from tidemill.spec.home import WorkerHome

# The process names itself before it becomes the command, so whoever finds the lock taken can
# tell by whom, even when the control plane died in the instant after the fork.
_LAUNCHER = ("/bin/sh", "-c", 'read -r s </proc/$$/stat; echo "$s" >pid; exec "$@"', "worker")

_LOCK_PATIENCE = 1.0
_LAST_BREATH = 5.0
_LOG_PIECE = 1 << 20
# Who asks for an end asks within seconds; those asked for long ago need no memory.
_MOST_CODES = 10_000


@dataclass(frozen=True, slots=True)
class _Handle:
    """``pid:start tick-boot:home``."""

    process: Process
    home: Path

    def __str__(self) -> str:
        return f"{self.process.pid}:{self.process.start}-{self.process.boot}:{self.home}"


class LocalEngine:
    """Runs each task in a session of its own, in its home.

    A worker holds a lock on ``home/lock`` as long as it lives: a second start on the same home
    adopts the one that runs. ``exit.json`` (``spec.home``) is a worker's last act: from then on
    it counts as ended. on_exit: called, in another thread, soon after any worker has ended.
    nursery: forks what it can from a warm process
    """

    def __init__(
        self, on_exit: Callable[[], None] | None = None, nursery: Nursery | None = None
    ) -> None:
        self._codes: dict[str, int] = {}
        self._lingering: dict[_Handle, float] = {}
        self._lock = threading.RLock()
        self._watch = _Watch(on_exit) if on_exit is not None else None
        self._watched: set[str] = set()
        self._nursery = nursery

    def start(self, task: Task) -> str:
        """Run it, or find it running; raises NotReady when what ran before will not go."""
        task.home.mkdir(parents=True, exist_ok=True)
        give_up = time.monotonic() + _LOCK_PATIENCE
        while True:
            with _locked(task.home) as lock:
                if lock is not None:
                    return self._noted(self._spawn(task, lock))
            running = self._holder(task.home)
            if running is not None:
                return self._noted(running)
            if time.monotonic() > give_up:
                raise _in_use(task.home)
            time.sleep(0.005)

    def find(self, home: Path) -> str | None:
        """The handle of what runs in a home; NotReady in the instant before it has a name."""
        if not (home / "lock").exists():
            return None
        with _locked(home) as lock:
            if lock is not None:
                return None
        running = self._holder(home)
        if running is None:
            raise _in_use(home)
        return self._noted(running)

    def look(self, handle: str) -> Exit | None:
        """None while it runs; how it ended after that, as often as it is asked."""
        self._sweep()
        worker = _parse(handle)
        recorded = _recorded(worker.home)
        if recorded is not None:  # it holds from now on, even when the home is gone before it
            self._remember(handle, recorded)
        if not worker.process.is_running():
            self._watched.discard(handle)
            waited = self._bury(worker.process)
            self._remember(handle, UNKNOWN if waited is None else waited)
        elif handle not in self._codes:
            self._noted(worker)
            _enforce(worker)
            return None
        else:
            self._linger(worker)
        code = self._codes[handle]
        return Exit(code, _reason(code))

    def stop(self, handle: str, grace: float) -> None:
        """SIGTERM now, SIGKILL ``grace`` seconds later; asked again, the earlier end holds.

        The kill is done by ``look``, in whichever process asks it after that time.
        """
        worker = _parse(handle)
        if grace <= 0:
            worker.process.signal(signal.SIGKILL)
            self._linger(worker)  # or it would stay a zombie
            return
        deadline = time.monotonic() + grace
        known = _deadline(worker)
        if known is None:
            worker.process.signal(signal.SIGTERM)
        if known is None or deadline < known:
            order = json.dumps({"handle": handle, "deadline": deadline})
            _replace(worker.home / "stop.json", order)

    def logs(self, handle: str, offset: int = 0) -> tuple[bytes, int]:
        """Up to 1 MiB of what it printed from ``offset`` on, and where to go on."""
        try:
            with WorkerHome(_parse(handle).home).log.open("rb") as log:
                log.seek(offset)
                piece = log.read(_LOG_PIECE)
        except FileNotFoundError:
            piece = b""
        return piece, offset + len(piece)

    def _spawn(self, task: Task, lock: int) -> _Handle:
        home = WorkerHome(task.home)
        for stale in (home.exit, task.home / "pid", task.home / "stop.json"):
            stale.unlink(missing_ok=True)
        with home.log.open("ab") as log:
            forked = self._nursery and self._nursery.start(task, lock, log.fileno())
            return _Handle(forked or _launch(task, lock, log), task.home)

    def _holder(self, home: Path) -> _Handle | None:
        """Who holds the lock; None while it has not said, and when it is past its last act."""
        try:
            holder = process.from_stat((home / "pid").read_bytes())
        except (FileNotFoundError, ValueError, IndexError):
            return None
        if holder.is_running() and not WorkerHome(home).exit.exists():
            return _Handle(holder, home)
        holder.signal(signal.SIGKILL)
        if not holder.is_running():
            self._bury(holder)
        return None

    def _bury(self, worker: Process) -> int | None:
        """What is left of it ended, and its code taken from its parent, be that us or not."""
        code = worker.bury()
        return self._nursery.bury(worker) if code is None and self._nursery else code

    def _noted(self, worker: _Handle) -> str:
        handle = str(worker)
        if self._watch is not None and handle not in self._watched:
            self._watched.add(handle)
            self._watch.add(worker.process)
        return handle

    def _remember(self, handle: str, code: int) -> None:
        """Only the parent is told how a process ended, and only once; what is known stands."""
        with self._lock:
            self._codes.setdefault(handle, code)
            while len(self._codes) > _MOST_CODES:
                del self._codes[next(iter(self._codes))]

    def _linger(self, worker: _Handle) -> None:
        """See to its end, for nobody may ever look again."""
        with self._lock:
            is_first = not self._lingering
            self._lingering.setdefault(worker, time.monotonic() + _LAST_BREATH)
        if is_first:
            self._sweep_later()

    def _sweep_later(self) -> None:
        timer = threading.Timer(_LAST_BREATH, self._sweep_again)
        timer.daemon = True
        timer.start()

    def _sweep_again(self) -> None:
        if self._sweep():
            self._sweep_later()

    def _sweep(self) -> bool:
        """Reap those that have done their last act, and end those that linger after it; whether
        any are left.
        """
        with self._lock:
            for worker, deadline in list(self._lingering.items()):
                if not worker.process.is_running():
                    del self._lingering[worker]
                    waited = self._bury(worker.process)
                    said = _recorded(worker.home)
                    code = waited if said is None else said
                    if code is not None:
                        self._remember(str(worker), code)
                elif time.monotonic() >= deadline:
                    worker.process.signal(signal.SIGKILL)
            return bool(self._lingering)


class _Watch:
    """Calls back when a process ends, our child or not (Linux's pidfds)."""

    def __init__(self, on_exit: Callable[[], None]) -> None:
        self._on_exit = on_exit
        self._poll = select.epoll()
        threading.Thread(target=self._run, name="engine-watch", daemon=True).start()

    def add(self, worker: Process) -> None:
        with suppress(OSError):  # gone already, or no file descriptors left: look() will tell
            self._poll.register(os.pidfd_open(worker.pid), select.EPOLLIN)

    def _run(self) -> None:
        while True:
            for fd, _ in self._poll.poll():
                self._poll.unregister(fd)
                os.close(fd)
            self._on_exit()


@contextmanager
def _locked(home: Path) -> Iterator[int | None]:
    """A lock that a child may inherit, or None when somebody holds it."""
    fd = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield fd
    finally:
        os.close(fd)


def _launch(task: Task, lock: int, log: IO[bytes]) -> Process:
    child = subprocess.Popen(
        [*_LAUNCHER, *task.command],
        cwd=task.home,
        env={**environment.clean(), **task.environment},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=(lock,),
    )
    child.returncode = 0  # Popen forgets it: it may outlive us, and Process.bury reaps it
    return process.child(child.pid)


def _in_use(home: Path) -> NotReady:
    return NotReady(
        "a worker home that nothing uses",
        got=str(home),
        do="Find and end the process that holds its lock file.",
    )


def _parse(handle: str) -> _Handle:
    pid, began, home = handle.split(":", 2)
    start, _, since = began.partition("-")
    return _Handle(Process(int(pid), int(start), since), Path(home))


def _recorded(home: Path) -> int | None:
    try:
        return int(json.loads(WorkerHome(home).exit.read_text())["code"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # absent, or half written by a worker that was killed in its last act


def _deadline(worker: _Handle) -> float | None:
    try:
        order = json.loads((worker.home / "stop.json").read_text())
    except FileNotFoundError:
        return None
    return float(order["deadline"]) if order["handle"] == str(worker) else None


def _enforce(worker: _Handle) -> None:
    deadline = _deadline(worker)
    if deadline is not None and time.monotonic() > deadline:
        worker.process.signal(signal.SIGKILL)


def _replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def _reason(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"
