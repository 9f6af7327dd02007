"""Models that end the process which opens them: found by what it left behind, and then refused.

Whatever was being opened when a process was killed is a suspect for the next one on the same home,
and is opened alone. What ends that one, too, is to blame, and is left alone for a while.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tidemill.workers.home import write_json
from tidemill.workers.serve.refused import Refused, failure

MOST_STRIKES = 2
MEMORY_SECONDS = 600.0
"""So long nobody opens a model that has ended processes: it may have been put right since."""
SERVER_ERROR = 500


class Strikes:
    """For several threads. path: where is noted what is being opened · clock: epoch seconds"""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self._opening: set[str] = set()
        self._changed = threading.Condition()
        left, struck = _read(path)
        now = clock()
        self._struck = {name: found for name, found in struck.items() if now < found[1]}
        for name in left:
            count, _ = self._struck.get(name, (0, 0.0))
            self._struck[name] = (count + 1, now + MEMORY_SECONDS)
        self._write()

    @contextmanager
    def opening(self, name: str) -> Iterator[None]:
        """Note that this model is being opened while the block runs; Refused for one to blame."""
        with self._changed:
            count, until = self._struck.get(name, (0, 0.0))
            if count >= MOST_STRIKES and self._clock() < until:
                raise Refused(failure(SERVER_ERROR, _to_blame(name)))
            self._changed.wait_for(lambda: not self._opening or not self._suspects(name))
            self._opening.add(name)
            self._write()
        try:
            yield
        finally:
            with self._changed:
                self._opening.discard(name)
                self._struck.pop(name, None)
                self._write()
                self._changed.notify_all()

    def _suspects(self, name: str) -> bool:
        """Whether this model, or one that is being opened, is to be alone."""
        return any(one in self._struck for one in (name, *self._opening))

    def _write(self) -> None:
        write_json(self._path, {"opening": sorted(self._opening), "struck": self._struck})


def _read(path: Path) -> tuple[list[str], dict[str, tuple[int, float]]]:
    try:
        document = json.loads(path.read_text())
        struck = {name: (int(n), float(until)) for name, (n, until) in document["struck"].items()}
        return list(document["opening"]), struck
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return [], {}


def _to_blame(name: str) -> str:
    return (
        f"Model {name} ended {MOST_STRIKES} processes that loaded it, so none loads it now. Train "
        f"it again and put it under another key, or wait for {MEMORY_SECONDS / 60:g} minutes."
    )
