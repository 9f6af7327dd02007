"""What Linux tells of a process that may or may not be our child: is it there, how did it end."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

UNKNOWN = -int(signal.SIGKILL)
"""The code of a process whose end nobody saw: whatever ended it left no word."""


@dataclass(frozen=True, slots=True)
class Process:
    """A pid and the clock tick at which it began: together they are never used twice.

    The process leads its own group, so ``signal`` reaches its children too.
    """

    pid: int
    start: int

    def is_running(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return _stat(self.pid) == (self.start, True)

    def signal(self, number: int) -> None:
        """Send a signal to it and its children, if it is there."""
        if self.is_running():
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def bury(self) -> int | None:
        """End what its group left behind, and take its exit code; None when nobody knows it.

        The code is that of the process, or minus the signal that ended it; only its parent, once,
        is told. Call it when ``is_running`` says no.
        """
        found = _stat(self.pid)
        if found is not None and found[0] != self.start:
            return None  # the pid is another process's by now, and so is the group
        # A zombie, or an orphaned group, keeps the number from being given to anyone else.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return os.waitstatus_to_exitcode(status) if pid else None
        return None


def child(pid: int) -> Process:
    """A child that has not been waited for, running or not."""
    found = _stat(pid)
    assert found is not None, "a child keeps its pid until it is waited for"
    return Process(pid, found[0])


def from_stat(line: bytes) -> Process:
    """The process that a line of ``/proc/PID/stat`` was read from; ValueError for another text.

    >>> from_stat(b"42 (my) proc) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 1234 0")
    Process(pid=42, start=1234)
    """
    start, _ = _fields(line)
    return Process(int(line.split(b" ", 1)[0]), start)


def _stat(pid: int) -> tuple[int, bool] | None:
    """(start tick, is running), or None when there is no such process."""
    try:
        return _fields(Path(f"/proc/{pid}/stat").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return None


def _fields(stat: bytes) -> tuple[int, bool]:
    # The name, in brackets, may hold anything: count from the last bracket. See proc(5).
    fields = stat[stat.rindex(b")") + 2 :].split()
    return int(fields[19]), fields[0] not in (b"Z", b"X")
