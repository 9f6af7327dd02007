"""Find processes by number or command line, and end some of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tidemill.engine.process import Process, from_stat

POLL_SECONDS = 0.01
KILLED_SECONDS = 5.0


def identify(pid: int) -> Process | None:
    """The process of that number while it runs, or None."""
    try:
        process = from_stat(Path(f"/proc/{pid}/stat").read_bytes())
    except OSError:
        return None
    return process if process.is_running() else None


def end(processes: Iterable[Process], *, grace: float) -> None:
    """SIGTERM, and SIGKILL for those that still run after ``grace`` seconds (0: at once).

    A process that leads a group is ended with it. Returns when all are gone.
    """
    left = [p for p in processes if p.is_running()]
    if grace > 0:
        _signal(left, signal.SIGTERM)
        left = _wait(left, grace)
    _signal(left, signal.SIGKILL)
    _wait(left, KILLED_SECONDS)


def commands() -> Iterator[tuple[int, list[str]]]:
    """Every process that we may look at, with its command line."""
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError):
                line = Path(f"/proc/{name}/cmdline").read_bytes()
                # A fork has more room for its line than it needs.
                words = line.rstrip(b"\0").decode("utf-8", "surrogateescape").split("\0")
                yield int(name), words


def module(command: Sequence[str]) -> str:
    """What a command line runs with ``-m``, or nothing.

    >>> module(["python", "-P", "-m", "tidemill.router", "/srv/mill"])
    'tidemill.router'
    """
    pairs = zip(command, command[1:], strict=False)
    return next((name for flag, name in pairs if flag == "-m"), "")


def _wait(processes: list[Process], seconds: float) -> list[Process]:
    until = time.monotonic() + seconds
    while (processes := [p for p in processes if p.is_running()]) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return processes


def _signal(processes: list[Process], number: int) -> None:
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, number)
            else:
                os.kill(process.pid, number)
