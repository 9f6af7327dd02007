"""Metrics are what regular expressions find in the log, as SageMaker has it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

from tidemill.errors import Invalid
from tidemill.spec.training_job import MetricDefinition


class MetricTap:
    """Called with each log line; ``emit`` gets (name, value) of each definition that matches.

    The first group of a definition's expression is the value; what is no finite number is not a
    metric. Raises Invalid for an expression that cannot be compiled.
    """

    def __init__(
        self, definitions: Iterable[MetricDefinition], emit: Callable[[str, float], None]
    ) -> None:
        self._searches = [(d.name, _compiled(d).search) for d in definitions]
        self._emit = emit

    def __call__(self, line: str) -> None:
        for name, search in self._searches:
            if (match := search(line)) and (value := _number(match)) is not None:
                self._emit(name, value)


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
