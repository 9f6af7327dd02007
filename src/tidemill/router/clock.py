"""The time of this turn of the loop: one reading serves the thousands of requests in it."""

from __future__ import annotations

import time
from email.utils import formatdate


class Clock:
    """now: monotonic seconds, as of the last tick · date: for the Date header."""

    __slots__ = ("_second", "date", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self.date = b""
        self._second = 0
        self.tick()

    def tick(self) -> None:
        """Read the time again; the router does so some twenty times a second."""
        self.now = time.monotonic()
        second = int(time.time())
        if second != self._second:
            self._second = second
            self.date = formatdate(second, usegmt=True).encode()
