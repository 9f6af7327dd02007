"""A part of the platform: one process that is started again whenever it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tidemill.app.process import commands, identify, module
from tidemill.engine.log import last_lines
from tidemill.engine.process import Process
from tidemill.spec.home import Home

MODULES = {"router": "tidemill.router", "control-plane": "tidemill.app.control_plane"}

# A part that ends sooner than this is started again later and later.
HEALTHY_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0


def find(home: Home) -> list[Process]:
    """The parts of this home's platform that run now, whether or not anybody noted them down."""
    found = [
        identify(pid)
        for pid, command in commands()
        if module(command) in MODULES.values() and str(home.root) in command
    ]
    return [process for process in found if process is not None]


class Part:
    """starts: how often, in all · deaths: early ends, one after another · log: all its output"""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        files: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.deaths = self.starts = 0
        self.log = log
        self._command = list(command)
        self._environment = dict(environment)
        self._files = tuple(files)
        self._running: subprocess.Popen[bytes] | None = None
        self._since = 0.0
        self._due = 0.0

    def start(self, now: float) -> None:
        """Run it. Its own session: a Ctrl-C at the terminal reaches the supervisor alone."""
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                self._command,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self._files,
                start_new_session=True,
            )
        self._since = now
        self.starts += 1

    def tend(self, now: float) -> bool:
        """Start it again if it has ended and its pause is over; True when it was."""
        if self._running is not None:
            code = self._running.poll()
            if code is None:
                return False
            self._running = None
            # Killed from outside is no fault of its own, and no reason to wait.
            is_early = now - self._since < HEALTHY_SECONDS and code != -signal.SIGKILL
            self.deaths = self.deaths + 1 if is_early else 1
            self._due = now + self._pause()
        if now < self._due:
            return False
        try:
            self.start(now)
        except OSError as error:  # no process, memory or disk to be had: ask again
            self.deaths += 1
            self._due = now + self._pause()
            print(f"{self.name} could not be started: {error}", file=sys.stderr, flush=True)
            return False
        return True

    def wait_seconds(self, now: float) -> float | None:
        """Until when ``tend`` has nothing to do; None while it runs."""
        return None if self._running is not None else max(self._due - now, 0.0)

    def process(self) -> Process | None:
        """The process, while it runs."""
        return None if self._running is None else identify(self._running.pid)

    def last_lines(self, count: int = 12) -> str:
        """The end of what it printed."""
        return "\n".join(last_lines(self.log, count))

    def reap(self) -> None:
        """Take the exit status of a process that was ended."""
        if self._running is not None:
            self._running.wait()
            self._running = None

    def _pause(self) -> float:
        if self.deaths <= 1:
            return 0.0
        return float(min(FIRST_PAUSE * 2 ** (self.deaths - 2), LONGEST_PAUSE))
