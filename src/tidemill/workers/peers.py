"""The hosts of one job: after each pass they meet in a shared directory and merge their states."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from tidemill.algorithms.base import Algorithm
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.errors import TidemillError
from tidemill.workers import sealed

State = TypeVar("State")
KEPT = 2
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05
FAILED = "failed"


class PeerFailed(TidemillError):
    """Another host of the job gave up; ``got`` is what it said."""


class Peers(Generic[State]):
    """One host's side of the meeting.

    A host writes its state of a pass once, whole, and never again: whoever is killed and comes back
    finds what it had said, so that all hosts merge the same bytes in the same order. A pass's files
    go when a later pass was merged by all, ``KEPT`` passes on; until then a host that resumes from
    its checkpoint finds them. That holds as long as a host saves each closed pass before the next
    meeting. ``over`` says whether any host asked to stop in the pass merged last.
    """

    def __init__(
        self,
        algorithm: Algorithm[State],
        directory: Path,
        host: str,
        hosts: Sequence[str],
        *,
        wants_to_stop: Callable[[], bool] = lambda: False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._algorithm, self._directory = algorithm, directory
        self._host, self._hosts = host, hosts
        self._wants_to_stop, self._pause = wants_to_stop, pause
        self.over = False

    def merge(self, state: State, pass_: int) -> State:
        """The merge, in host order, of what every host has of this pass."""
        if len(self._hosts) == 1:
            self.over = self._wants_to_stop()
            return state
        place = self._place(pass_)
        place.mkdir(parents=True, exist_ok=True)
        mine = place / self._host
        if sealed.read(mine) is None:
            sealed.write(mine, {"stop": self._wants_to_stop()}, to_bytes(state))
        said = [self._wait_for(place / host) for host in self._hosts]
        self.over = any(stop for stop, _ in said)
        if pass_ >= KEPT:
            shutil.rmtree(self._place(pass_ - KEPT), ignore_errors=True)
        kind = type(state)
        return functools.reduce(self._algorithm.merge, (from_bytes(kind, blob) for _, blob in said))

    def _wait_for(self, path: Path) -> tuple[bool, bytes]:
        pause = FIRST_PAUSE
        while (found := sealed.read(path)) is None:
            if failed := sealed.read(self._directory / FAILED):
                raise PeerFailed(
                    f"host {path.name} to finish its pass",
                    got=failed[0]["why"],
                    do=f"See the log of host {failed[0]['host']}.",
                )
            self._pause(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return bool(found[0]["stop"]), found[1]

    def _place(self, pass_: int) -> Path:
        return self._directory / f"pass-{pass_:06d}"


def give_up(directory: Path, host: str, why: str) -> None:
    """Tell the others that a host failed, so that none waits for it."""
    directory.mkdir(parents=True, exist_ok=True)
    sealed.write(directory / FAILED, {"host": host, "why": why}, b"")
