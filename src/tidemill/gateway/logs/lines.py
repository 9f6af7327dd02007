"""A worker's log as events: each line with a time, read forwards or backwards by byte position."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

# As the built-in algorithms log: [01/31/2024 12:00:00 INFO 140…] or [01/31/2024 12:00:00.250 …
_STAMP = re.compile(rb"\[(\d\d)/(\d\d)/(\d{4}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?")
_LONGEST_MESSAGE = 262_144


@dataclass(frozen=True, slots=True)
class Line:
    """start, end: bytes in the file · time: epoch milliseconds, never falling"""

    start: int
    end: int
    time: int
    message: str


def read(path: Path, began: float, *, whole: bool) -> Iterator[Line]:
    """All lines of a log; those without a time of their own have that of the line before.

    began: epoch seconds, for lines before the first time · whole: the last line counts though it
    does not end in a newline, because nothing more will come
    """
    time: int | None = None
    start = 0
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        # A longer line becomes several events, as it would in AWS's agent.
        for raw in iter(lambda: file.readline(_LONGEST_MESSAGE), b""):
            if not whole and not raw.endswith(b"\n") and len(raw) < _LONGEST_MESSAGE:
                return
            end = start + len(raw)
            time = _next(time, _time(raw), began)
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            if text:
                yield Line(start, end, time, text)
            start = end


def between(lines: Iterable[Line], since: int | None, until: int | None) -> Iterator[Line]:
    """since: inclusive · until: exclusive; both epoch milliseconds."""
    for line in lines:
        if (since is None or line.time >= since) and (until is None or line.time < until):
            yield line


def _next(before: int | None, said: int | None, began: float) -> int:
    if said is None:
        return int(began * 1000) if before is None else before
    return said if before is None else max(before, said)


def _time(raw: bytes) -> int | None:
    match = _STAMP.match(raw)
    if match is None:
        return None
    month, day, year, hour, minute, second = (int(g) for g in match.groups()[:6])
    fraction = int((match[7] or b"0").ljust(6, b"0"))
    try:
        moment = datetime(year, month, day, hour, minute, second, fraction, UTC)
    except ValueError:
        return None
    return int(moment.timestamp() * 1000)
