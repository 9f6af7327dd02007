"""Workers that start as forks of a process that has imported what they need, within milliseconds.

The field calls such a process a fork server, or zygote (Android). It only saves time and memory:
where there is none yet, or none any more, workers start as plain processes, and a new one is made.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from tidemill.engine import environment, warm
from tidemill.engine.base import Task
from tidemill.engine.process import Process, from_stat
from tidemill.errors import NotReady

PATIENCE = 2.0
"""Seconds; a fork takes milliseconds, and starting plainly a fraction of a second."""
PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds from one process to the next, at least, and after many that never became ready."""
# Where forks write their own command lines.
_ROOM = " " * warm.ROOM


class Nursery:
    """One warm process, our child, and what is asked of it; any thread may ask.

    modules: which ``python -P -m MODULE …`` it stands for · preload: imported beside those
    """

    def __init__(self, modules: Sequence[str], preload: Sequence[str] = ()) -> None:
        self._modules, self._preload = tuple(modules), tuple(preload)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._is_ready = self._is_closed = False
        self._next = self._pause = 0.0

    def prepare(self, after: float = 0.0) -> None:
        """Begin to warm up ``after`` so many seconds, unless that was done; returns at once."""
        timer = threading.Timer(after, self._prepare)
        timer.daemon = True
        timer.start()

    def is_ready(self) -> bool:
        """Whether the next task would be a fork."""
        with self._lock:
            return self._can_fork()

    @property
    def pid(self) -> int | None:
        """Of the warm process, ready or not."""
        return self._process.pid if self._process else None

    def start(self, task: Task, lock: int, log: int) -> Process | None:
        """Run the task as a fork, or None: then nothing of it runs, and nothing will.

        lock, log: files that the worker is to hold, and to print into
        Raises NotReady when it cannot be told whether it runs.
        """
        if not self._is_ours(task):
            return None
        module, *arguments = task.command[len(warm.INTERPRETER) :]
        order = {"module": module, "arguments": arguments, "home": str(task.home.absolute())}
        stat = self._ask(order, lock, log)
        return from_stat(stat) if stat else None

    def bury(self, worker: Process) -> int | None:
        """How a fork ended that runs no more, told once; None for any other process."""
        with suppress(NotReady):
            if said := self._ask({"pid": worker.pid, "start": worker.start}):
                return int(said)
        return None

    def close(self) -> None:
        """End it. Workers go on."""
        with self._lock:
            self._is_closed = True
            self._end()

    def _is_ours(self, task: Task) -> bool:
        *interpreter, module = task.command[: len(warm.INTERPRETER) + 1]
        return (
            tuple(interpreter) == warm.INTERPRETER
            and module in self._modules
            and not task.environment  # libraries have read theirs when they were imported
            and sum(len(os.fsencode(word)) + 1 for word in task.command) <= warm.ROOM
        )

    def _ask(self, order: Mapping[str, object], *files: int) -> bytes:
        """The answer to one order, empty when nobody will act on it; NotReady if that is open."""
        with self._lock:
            said = self._exchange(order, files) if self._can_fork() else b""
            if not said:
                self._begin()
            return said

    def _exchange(self, order: Mapping[str, object], files: Sequence[int]) -> bytes:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                is_sent = self._send(json.dumps(order).encode(), [theirs.fileno(), *files])
            # Whoever acts on it holds the other end: an end of file means that nobody does.
            return self._hear(ours) if is_sent else b""

    def _send(self, order: bytes, files: list[int]) -> bool:
        assert self._channel is not None
        try:
            socket.send_fds(self._channel, [order], files)
        except OSError:  # gone, or so busy that its queue is full
            self._end()
            return False
        return True

    def _hear(self, ours: socket.socket) -> bytes:
        ours.settimeout(PATIENCE)
        with suppress(TimeoutError):
            return ours.recv(warm.LONGEST_ORDER)
        self._end()  # and what waits in its queue goes with it
        try:
            return ours.recv(warm.LONGEST_ORDER)
        except TimeoutError:
            raise NotReady(
                "an answer of a worker that has just begun",
                got=f"silence for {2 * PATIENCE:.0f} s",
                do="Try again; the home's lock tells who runs there.",
            ) from None

    def _can_fork(self) -> bool:
        """Whether it has said that it is ready, and is still there."""
        if self._channel is None:
            return False
        try:
            self._is_ready = self._channel.recv(16) == warm.READY
        except BlockingIOError:
            return self._is_ready
        except OSError:
            self._is_ready = False
        if self._is_ready:
            self._pause = 0.0
        else:
            self._end()
        return self._is_ready

    def _prepare(self) -> None:
        with self._lock:
            self._begin()

    def _begin(self) -> None:
        """Make the process, unless there is one, or was one a moment ago."""
        now = time.monotonic()
        if self._channel is not None or self._is_closed or now < self._next:
            return
        self._pause = min(max(PAUSE, 2 * self._pause), LONGEST_PAUSE)
        self._next = now + self._pause
        command = [*warm.INTERPRETER, warm.__name__, *self._modules, "--", *self._preload, _ROOM]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, suppress(OSError):  # no process to be had: the plain start says so, too
            self._process = subprocess.Popen(
                command, cwd="/", env=environment.clean(), stdin=theirs.fileno()
            )
        ours.setblocking(False)
        self._channel = ours

    def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._is_ready = False
