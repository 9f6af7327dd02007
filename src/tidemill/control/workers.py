"""Workers seen from the control plane: their homes, what they have told, how they ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill.control.plan.step import Seen
from tidemill.engine.base import Engine, Task
from tidemill.engine.log import last_lines
from tidemill.spec import event
from tidemill.spec.event import Event
from tidemill.spec.home import WorkerHome

_EVENTS_PIECE = 1 << 20
_LOG_LINES = 8


@dataclass(frozen=True, slots=True)
class Workers:
    """All that is done to workers, jobs' and endpoints' alike.

    commands: task kind (``train``, ``serve``) → argv, to which the worker's home is added
    """

    engine: Engine
    commands: Mapping[str, Sequence[str]]

    def start(self, place: Path, task: Mapping[str, Any]) -> str:
        """Write the task into its home and run it, or find it running there: its handle."""
        home = WorkerHome(place)
        home.output.mkdir(parents=True, exist_ok=True)
        home.failure.unlink(missing_ok=True)
        _replace(home.task, json.dumps(task))
        return self.engine.start(Task([*self.commands[task["kind"]], str(place)], place))

    def find(self, place: Path) -> str | None:
        """The handle of what runs in a home though nobody wrote it down."""
        return self.engine.find(place)

    def stop(self, handle: str, grace: float) -> None:
        """Ask it to end, and kill it after ``grace`` seconds."""
        self.engine.stop(handle, grace)

    def seen(self, place: Path, handle: str) -> Seen | None:
        """How it ended, or None while it runs."""
        found = self.engine.look(handle)
        return None if found is None else _remains(place, found.code)

    def finished(self, place: Path) -> Seen | None:
        """How a worker ended whose handle was lost, if it left a last word."""
        record = _exit_record(place)
        return None if record is None else _remains(place, int(record["code"]))

    def events(self, place: Path, offset: int) -> tuple[list[Event], int]:
        """What it has told since a byte offset, and the offset to go on from."""
        try:
            with WorkerHome(place).events.open("rb") as file:
                file.seek(offset)
                piece = file.read(_EVENTS_PIECE)
        except FileNotFoundError:
            return [], offset
        whole = piece[: piece.rfind(b"\n") + 1]
        if not whole and len(piece) == _EVENTS_PIECE:
            whole = piece  # no event is that long: pass over it, or we would stand here forever
        return list(event.read(whole.splitlines())), offset + len(whole)


def _remains(place: Path, code: int) -> Seen:
    record = _exit_record(place) or {}
    if code == 0:
        return Seen(0, stopped=bool(record.get("stopped")))
    log = " | ".join(line.strip() for line in last_lines(WorkerHome(place).log, _LOG_LINES))
    return Seen(code, failure=_head(WorkerHome(place).failure), log=log)


def _exit_record(place: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(WorkerHome(place).exit.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) and "code" in record else None


def _head(path: Path) -> str:
    try:
        return path.read_bytes()[:4096].decode(errors="replace")[:1024]
    except FileNotFoundError:
        return ""


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.replace(path)
