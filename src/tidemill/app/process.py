"""One process, told from every later one that gets its number; how to end some of them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.01
_PROC = Path("/proc/self/stat")


@dataclass(frozen=True, slots=True)
class Process:
    """started: when, in whatever unit the system counts; equal only for the same process."""

    pid: int
    started: str


def identify(pid: int) -> Process | None:
    """The running process of that number, or None."""
    started = _started(pid)
    return Process(pid, started) if started else None


def is_alive(process: Process) -> bool:
    """Does this very process still run? (A zombie does not.)"""
    return _started(process.pid) == process.started


def _started(pid: int) -> str:
    if _PROC.exists():
        try:
            # The name stands in parentheses and may hold anything; state and times follow it.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (OSError, UnicodeDecodeError):
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    asked = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = asked.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


def end(processes: Iterable[Process], *, grace: float, group: bool = False) -> None:
    """SIGTERM, and SIGKILL for those that still run after ``grace`` seconds (0: at once).

    group: whole process groups, for processes that lead one.
    """
    left = [p for p in processes if is_alive(p)]
    if grace > 0:
        _signal(left, signal.SIGTERM, group)
        left = _wait(left, grace)
    _signal(left, signal.SIGKILL, group)
    _wait(left, 5.0)


def _wait(processes: list[Process], seconds: float) -> list[Process]:
    until = time.monotonic() + seconds
    while (processes := [p for p in processes if is_alive(p)]) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return processes


def _signal(processes: list[Process], number: int, group: bool) -> None:
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            if group and os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, number)
            else:
                os.kill(process.pid, number)


def commands() -> Iterator[tuple[int, list[str]]]:
    """Every process that we may see, with its command line."""
    if not _PROC.exists():
        listed = subprocess.run(
            ["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=False
        )
        for line in listed.stdout.splitlines():
            pid, _, command = line.strip().partition(" ")
            yield int(pid), command.split()
        return
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError):
                raw = Path(f"/proc/{name}/cmdline").read_bytes()
                yield int(name), raw.decode("utf-8", "surrogateescape").split("\0")
