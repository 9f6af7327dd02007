"""A worker at its home: the task it reads, the events it writes, the last word it leaves."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tidemill.spec.event import Event, Kind
from tidemill.spec.home import WorkerHome

# Metrics and progress may come by the thousand; control's own poll picks up what was not announced.
QUIETEST_WAKE = 0.05


class Desk:
    """Where a worker writes its events; each line is whole, whenever the process is killed.

    wake: path of control's datagram socket; nobody need be listening.
    """

    def __init__(
        self, home: WorkerHome, wake: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        self._clock, self._wake_path = clock, wake
        self._file = os.open(home.events, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._bell.setblocking(False)
        self._rang = 0.0
        _end_the_line(self._file)

    def status(self, name: str, message: str = "") -> None:
        """A SecondaryStatus begins."""
        self._write("status", name, None, message)

    def metric(self, name: str, value: float) -> None:
        self._write("metric", name, value, "")

    def progress(self, fraction: float, message: str) -> None:
        self._write("progress", "", fraction, message)

    def ready(self, address: str) -> None:
        """A replica answers at this address."""
        self._write("ready", "", None, address)

    def note(self, message: str, name: str = "") -> None:
        self._write("note", name, None, message)

    def close(self) -> None:
        os.close(self._file)
        self._bell.close()

    def ring(self) -> None:
        """Wake the control plane, if it is there."""
        self._rang = self._clock()
        with contextlib.suppress(OSError):  # away or busy: it reads the events when it looks next
            self._bell.sendto(b"wake", self._wake_path)

    def _write(self, kind: Kind, name: str, value: float | None, message: str) -> None:
        now = self._clock()
        os.write(self._file, Event(now, kind, name, value, message).to_line().encode())
        if kind not in ("metric", "progress") or now - self._rang > QUIETEST_WAKE:
            self.ring()


def read_task(home: WorkerHome) -> dict[str, Any]:
    """What this worker is to do."""
    task: dict[str, Any] = json.loads(home.task.read_text())
    return task


def write_exit(home: WorkerHome, code: int, **more: object) -> None:
    """Leave the exit record: the last act of a worker that was not killed."""
    write_json(home.exit, {"code": code, **more})


def write_failure(home: WorkerHome, text: str) -> None:
    """Say why it failed; the first failure stands, as in SageMaker's containers."""
    home.output.mkdir(parents=True, exist_ok=True)
    if not home.failure.exists():
        write_text(home.failure, text)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(document, indent=1))


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text)
    draft.replace(path)


def _end_the_line(file: int) -> None:
    # A killed attempt may have left half a line behind.
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        os.write(file, b"\n")
