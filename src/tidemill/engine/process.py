"""What Linux tells of a process that may or may not be our child: is it there, how did it end."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

UNKNOWN = -int(signal.SIGKILL)
"""The code of a process whose end nobody saw: whatever ended it left no word."""


@cache
def boot() -> str:
    """Names the run of the machine since it was switched on."""
    return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]


@dataclass(frozen=True, slots=True)
class Process:
    """A pid, the clock tick at which it began, and since when ticks are counted: together they
    are never used twice.

    The process leads its own group, so ``signal`` reaches its children too.
    """

    pid: int
    start: int
    boot: str = field(default_factory=boot, repr=False)

    def is_running(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return self.boot == boot() and _stat(self.pid) == (self.start, True)

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
        if self.boot != boot() or (found is not None and found[0] != self.start):
            return None  # the pid may be another process's by now, and the group too
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
