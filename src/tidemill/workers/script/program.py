"""Runs a user's program: its output into our log, its lines to a tap, its end within our time."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

GRACE = 120.0
"""Seconds from SIGTERM to SIGKILL, as ``docker stop -t 120``."""
_GLANCE = 0.1
_PIECE = 1 << 16
_LONGEST_LINE = 1 << 16
_TAIL = 1 << 13
_BREAK = re.compile(rb"[\r\n]")
_TRACEBACK = "Traceback (most recent call last):"
_LONGEST_ERROR = 600


@dataclass(frozen=True, slots=True)
class Outcome:
    """code: exit status, 128 + signal when it was killed · tail: the last it printed"""

    code: int
    tail: str = ""


def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    tap: Callable[[str], None] = lambda line: None,
    wants_to_stop: Callable[[], bool] = lambda: False,
    grace: float = GRACE,
    out: int = 1,
) -> Outcome:
    """Run it to its end. Once it is to stop it gets SIGTERM, and ``grace`` seconds on SIGKILL.

    tap: given each line of its output and errors, from this thread · out: file to copy all to
    """
    process = subprocess.Popen(
        list(argv),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # whoever ends us must leave it the time to save what it has
    )
    assert process.stdout is not None
    with process.stdout as pipe:
        output = _Output(pipe.fileno(), out, tap)
        end = None
        while output.copy() or not _has_ended(process, at_once=not output.is_over):
            if end is None and wants_to_stop():
                process.send_signal(signal.SIGTERM)
                end = time.monotonic() + grace
            elif end is not None and time.monotonic() > end:
                process.kill()
        output.close()
    code = process.wait()
    return Outcome(code if code >= 0 else 128 - code, output.tail.decode(errors="replace"))


def _has_ended(process: subprocess.Popen[bytes], *, at_once: bool) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(0 if at_once else _GLANCE)
    return process.returncode is not None


class _Output:
    """is_over: nothing more will come"""

    def __init__(self, source: int, target: int, tap: Callable[[str], None]) -> None:
        self.tail, self.is_over = b"", False
        self._source, self._target, self._tap = source, target, tap
        self._line = b""

    def copy(self) -> bool:
        """Copy what there is, or wait a moment; false when there was nothing."""
        if self.is_over or not select.select([self._source], [], [], _GLANCE)[0]:
            return False
        piece = os.read(self._source, _PIECE)
        self.is_over = not piece
        if piece:
            self._take(piece)
        return bool(piece)

    def close(self) -> None:
        """What is left of a line is a line."""
        if self._line:
            self._tell(self._line)
            os.write(self._target, b"\n")

    def _take(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            view = view[os.write(self._target, view) :]
        self.tail = (self.tail + piece)[-_TAIL:]
        *lines, rest = _BREAK.split(self._line + piece)
        for line in lines:
            if line:
                self._tell(line)
        self._line = rest if len(rest) <= _LONGEST_LINE else b""

    def _tell(self, line: bytes) -> None:
        self._tap(line[:_LONGEST_LINE].decode(errors="replace"))


def error_of(tail: str) -> str:
    """What went wrong, from the last that a program printed: its exception, or its last lines.

    >>> error_of('x\\nTraceback (most recent call last):\\n  File "a", line 1\\nKeyError: 3\\n')
    'KeyError: 3'
    """
    before, found, after = tail.rpartition(_TRACEBACK)
    lines = [line for line in (after if found else before + after).splitlines() if line.strip()]
    if found:
        outer = [i for i, line in enumerate(lines) if not line.startswith((" ", "\t"))]
        lines = lines[outer[0] :] if outer else lines[-1:]
        return "\n".join(lines)[:_LONGEST_ERROR]
    return "\n".join(lines[-3:])[-_LONGEST_ERROR:]
