"""Metrics are what regular expressions find in the log, as SageMaker has it."""

from __future__ import annotations

import atexit
import math
import re
import signal
import threading
from collections.abc import Callable, Iterable

from tidemill.errors import Invalid
from tidemill.spec.training_job import MetricDefinition

FREE_SECONDS, SECONDS_A_LINE, SECONDS_A_CHARACTER = 1.0, 5e-5, 1e-6
"""What an expression may take in all, and on top of that for each line and its characters."""
_TICK = 0.02


class MetricTap:
    """Called with each log line; ``emit`` gets (name, value) of each definition that matches.

    The first group of a definition's expression is the value; what is no finite number is not a
    metric. Raises Invalid for an expression that cannot be compiled.

    Time is linear in the log. There are expressions that take for ever on a short line: a timer
    ticks while they are at work (``re`` looks for signals as it goes), each tick is charged to the
    expression that it meets, and one that has used up its share is dropped, which ``dropped`` is
    told in a sentence. Only the main thread can be interrupted; in others expressions are trusted.
    """

    def __init__(
        self,
        definitions: Iterable[MetricDefinition],
        emit: Callable[[str, float], None],
        dropped: Callable[[str], None] = print,
    ) -> None:
        self._searches = [_Search(d) for d in definitions]
        self._emit, self._dropped = emit, dropped
        self._at_work: _Search | None = None
        self._is_ticking = False

    def __call__(self, line: str) -> None:
        if not self._is_ticking and self._searches:
            self._tick()
        for search in tuple(self._searches):
            try:
                self._at_work = search
                search.left += SECONDS_A_LINE + len(line) * SECONDS_A_CHARACTER
                match = search.find(line)
                self._at_work = None
            except TimeoutError:
                self._drop(search)
                continue
            if match and (value := _number(match)) is not None:
                self._emit(search.name, value)

    def _drop(self, search: _Search) -> None:
        self._at_work = None
        self._searches.remove(search)
        self._dropped(
            f"Metric definition {search.name!r} takes too long and is left out from here on. "
            "Simplify its Regex: avoid repeats of repeats."
        )

    def _tick(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._is_ticking = True
            signal.signal(signal.SIGALRM, self._charge)
            atexit.register(_quiet)  # at its very end Python lets signals kill again
            signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)

    def _charge(self, number: int, frame: object) -> None:
        search = self._at_work
        if search is None:  # the next line sets it going again
            _quiet()
            self._is_ticking = False
            return
        search.left -= _TICK
        if search.left <= 0:
            raise TimeoutError


class _Search:
    """left: seconds that it may take yet"""

    def __init__(self, definition: MetricDefinition) -> None:
        self.name = definition.name
        self.find = _compiled(definition).search
        self.left = FREE_SECONDS


def _quiet() -> None:
    atexit.unregister(_quiet)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _compiled(definition: MetricDefinition) -> re.Pattern[str]:
    try:
        return re.compile(definition.regex)
    except re.error as error:
        raise Invalid(
            f"metric definition {definition.name!r}: a regular expression ({error})",
            got=definition.regex,
            do="Correct Regex in MetricDefinitions.",
        ) from error


def _number(match: re.Match[str]) -> float | None:
    try:
        # A tab as syslog writes it is white space to whoever wrote ``\S+``.
        value = float(match[1].partition("#011")[0])
    except (ValueError, AttributeError, IndexError):  # no number, an unused group, no group
        return None
    return value if math.isfinite(value) else None
