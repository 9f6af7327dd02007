"""Checkpoints: the state and the place in the stream, so that a killed job goes on as if it had not
been. Resumed runs end in the same bytes as unbroken ones."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.cursor import Cursor
from tidemill.errors import InvalidData
from tidemill.training.loop import Position
from tidemill.workers import sealed

State = TypeVar("State")
KEPT = 2
LEAST_PAUSE = 0.1
"""Seconds; a worker that dies again and again must get further in the little time it has."""
SHARE = 0.05
"""The most of the training time that saving may take."""


class Checkpoints(Generic[State]):
    """The checkpoints of one worker, newest last; only the newest ``KEPT`` stay.

    run: a text that names the run (see ``fingerprint``); checkpoints of others are not resumed
    least_pause: seconds between two saves, at least · saved: told the path of each
    """

    def __init__(
        self,
        directory: Path,
        run: str,
        *,
        least_pause: float = LEAST_PAUSE,
        clock: Callable[[], float] = time.monotonic,
        saved: Callable[[Path], None] = lambda path: None,
    ) -> None:
        self._directory, self._run, self._clock = directory, run, clock
        self._least_pause, self._saved = least_pause, saved
        directory.mkdir(parents=True, exist_ok=True)
        self._number = max((int(p.stem) for p in self._files()), default=0)
        self._next = clock() + least_pause

    def is_due(self) -> bool:
        """Whether enough time has passed since the last save."""
        return self._clock() >= self._next

    def save(self, position: Position[State]) -> Path:
        """Keep this position; what it cost decides when the next save is due."""
        begun = self._clock()
        self._number += 1
        path = self._directory / f"{self._number:08d}.checkpoint"
        header = {"run": self._run, "pass": position.pass_, "cursor": asdict(position.cursor)}
        sealed.write(path, header, to_bytes(position.state), durable=True)
        for old in self._files()[:-KEPT]:
            old.unlink()
        self._saved(path)
        ended = self._clock()
        self._next = ended + max(self._least_pause, (ended - begun) / SHARE)
        return path

    def newest(self, kind: type[State]) -> Position[State] | None:
        """The last position that was kept whole, or None to begin at the beginning."""
        for path in reversed(self._files()):
            if position := self._read(path, kind):
                return position
        return None

    def _read(self, path: Path, kind: type[State]) -> Position[State] | None:
        found = sealed.read(path)
        if found is None or found[0]["run"] != self._run:
            return None
        header, payload = found
        try:
            state = from_bytes(kind, payload)
        except InvalidData:  # written by a version whose states look otherwise
            return None
        return Position(state, header["pass"], Cursor(**header["cursor"]))

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("*.checkpoint"))


def fingerprint(settings: Mapping[str, Any]) -> str:
    """A name for a run: equal settings (JSON values) give equal names."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
