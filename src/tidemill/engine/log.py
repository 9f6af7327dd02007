"""The end of a log, which may be long: only its end is read."""

from __future__ import annotations

import os
from pathlib import Path

_TAIL = 8_192


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines that are not empty, at most so many; none where there is no such file."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
            text = log.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]
