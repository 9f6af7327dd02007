"""Where processes run. Five verbs; a laptop and a Ray cluster both speak them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Task:
    """One process to run.

    command: argv · home: worker home (``spec.home.WorkerHome``), its working directory; standard
    output and error are appended to the home's log · environment: added to a clean one
    """

    command: Sequence[str]
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exit:
    """code: the process's own, or minus the signal that ended it · reason: one line, for people."""

    code: int
    reason: str


class Engine(Protocol):
    """Start, find, look, stop, read. Handles are text and outlive the control plane.

    A home never has two workers: ``start`` on one where a worker runs returns that one's handle.
    """

    def start(self, task: Task) -> str: ...

    def find(self, home: Path) -> str | None:
        """The handle of what runs in a home, whoever started it; NotReady while it cannot tell."""
        ...

    def look(self, handle: str) -> Exit | None:
        """None while it runs. Never waits, never raises for a task that is gone."""
        ...

    def stop(self, handle: str, grace: float) -> None:
        """Ask it to end (SIGTERM) and kill it after ``grace`` seconds; returns at once."""
        ...

    def logs(self, handle: str, offset: int = 0) -> tuple[bytes, int]:
        """What it printed from a byte offset on, and the offset to go on from."""
        ...
