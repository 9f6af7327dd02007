"""What control does from time to time beside bringing things where they should be."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

_LOG = logging.getLogger(__name__)


class Duty(Protocol):
    """seconds: between two turns, at the least"""

    @property
    def seconds(self) -> float: ...

    def tick(self, now: float) -> None:
        """One turn. now: epoch seconds"""


class Duties:
    """Gives each its turn when it is due; one that fails is tried again, and keeps none back."""

    def __init__(self, duties: Sequence[Duty] = ()) -> None:
        self._duties = duties
        self._done: dict[int, float] = {}

    def tick(self, now: float, at: float) -> None:
        """now: epoch seconds · at: monotonic seconds, by which turns come due"""
        for number, duty in enumerate(self._duties):
            last = self._done.get(number)
            if last is not None and at - last < duty.seconds:
                continue
            self._done[number] = at
            try:
                duty.tick(now)
            except Exception:
                _LOG.exception("%s: this turn failed", type(duty).__name__)
