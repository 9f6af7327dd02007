"""Threads that models are loaded by, while another one answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

LOADERS, FRESH_LOADERS = 2, 4
"""How many there are; the latter where models do not stay, and each request loads one."""


class Loaders:
    """Does jobs in the order they come, several at a time. Ends with the process."""

    def __init__(self, count: int) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        for number in range(count):
            # A process that is to end does not wait for a model that nobody will ask.
            threading.Thread(target=self._run, name=f"loader-{number}", daemon=True).start()

    def start(self, job: Callable[[], None]) -> None:
        """Have a job done, which must not raise."""
        self._jobs.put(job)

    def _run(self) -> None:
        while True:
            self._jobs.get()()
