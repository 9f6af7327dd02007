"""The time of this turn of the loop: one reading serves the thousands of requests in it."""

from __future__ import annotations

import time


class Clock:
    """now: monotonic seconds, as of the last tick."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.tick()

    def tick(self) -> None:
        """Read the time again; the router does so some twenty times a second."""
        self.now = time.monotonic()
