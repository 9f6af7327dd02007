"""A replica's own thread: it loads new versions for the loop that serves, and sees to it that one
replica leads."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidemill.algorithms.base import Declaration
from tidemill.artifact import archive
from tidemill.artifact.codec import from_bytes
from tidemill.data.batch import Batch
from tidemill.workers.serve.learning.places import Places
from tidemill.workers.serve.learning.version import About, Versions

LOOK_SECONDS = 0.1
AGAIN_SECONDS, LONGEST_PAUSE = 0.5, 30.0
"""So long nothing is started after a leader has ended by itself, and longer each time."""
LAST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Version:
    """A model that is ready to answer, what is known of it, and when it was loaded here."""

    about: About
    model: Any
    since: float


class Follower:
    """``newest`` is for the loop that serves: to read it costs nothing.

    home: of the replica, whose task the leader goes by
    """

    def __init__(
        self,
        home: Path,
        places: Places,
        declaration: Declaration,
        original: Any,
        complain: Callable[[str], None],
    ) -> None:
        self._home, self._places = home, places
        self._declaration, self._complain = declaration, complain
        self._versions = Versions(places.versions)
        self.newest = Version(About(), original, time.time())
        self._leader: subprocess.Popen[bytes] | None = None
        self._not_before, self._pause = 0.0, AGAIN_SECONDS
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="learning", daemon=True)
        self.look()

    def start(self) -> None:
        """Begin to follow, and to lead where nobody does."""
        self._thread.start()

    def close(self) -> None:
        """End; a leader of ours ends after the version that it is at."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._leader is not None:
            assert self._leader.stdin is not None
            self._leader.stdin.close()
            try:
                self._leader.wait(LAST_SECONDS)
            except subprocess.TimeoutExpired:
                self._leader.kill()
                self._leader.wait()

    def look(self) -> None:
        """Load the newest version, if it is not the one that is here."""
        number = self._versions.newest()
        while number > self.newest.about.number:
            try:
                self.newest = self._load(number)
                self._pause = AGAIN_SECONDS
            except FileNotFoundError:  # it has gone meanwhile, for there are newer ones
                number = self._versions.newest()

    def _load(self, number: int) -> Version:
        about = self._versions.about(number)
        model = from_bytes(self._declaration.model, self._versions.read(number, archive.MODEL))
        # Whatever it lays out for its first answer is laid out here, and not while that is awaited.
        model.predict(Batch(np.zeros((1, model.columns), np.float32)))
        return Version(about, model, time.time())

    def _run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            try:
                self.look()
                self._see_to_a_leader()
            except Exception as error:
                self._complain("".join(traceback.format_exception(error)))
                self._over.wait(AGAIN_SECONDS)

    def _see_to_a_leader(self) -> None:
        if self._leader is not None and self._leader.poll() is not None:
            self._complain(f"Learning has ended ({self._leader.returncode}) and begins again")
            self._leader = None
            self._not_before = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        if self._leader is None and time.monotonic() >= self._not_before:
            self._leader = self._lead()

    def _lead(self) -> subprocess.Popen[bytes] | None:
        """The process that leads, with the lock as its own; None where another one has it."""
        lock = os.open(self._places.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return subprocess.Popen(
                [sys.executable, "-m", "tidemill.workers.serve.learning", str(self._home)],
                stdin=subprocess.PIPE,
                pass_fds=(lock,),
            )
        except BlockingIOError:
            return None
        finally:
            os.close(lock)
