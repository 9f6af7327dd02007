"""A program's output is copied and read, and its end is seen to."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from tidemill.workers.script.program import Outcome, error_of, run


def runs(script: str, tmp_path: Path, **how: object) -> tuple[Outcome, str, list[str]]:
    lines: list[str] = []
    with (tmp_path / "log").open("wb") as log:
        outcome = run(["sh", "-c", script], os.environ, tap=lines.append, out=log.fileno(), **how)  # type: ignore[arg-type]
    return outcome, (tmp_path / "log").read_bytes().decode(), lines


def test_output_and_errors_are_copied_as_they_are_and_told_line_by_line(tmp_path: Path) -> None:
    script = "printf 'a 1\\rb 2\\n\\n'; echo c >&2; printf end"
    outcome, log, lines = runs(script, tmp_path)
    assert (outcome.code, log) == (0, "a 1\rb 2\n\nc\nend\n")
    assert lines == ["a 1", "b 2", "c", "end"]


def test_exit_status_and_signals_are_codes(tmp_path: Path) -> None:
    outcome, _, _ = runs("echo boom; exit 3", tmp_path)
    assert outcome == Outcome(3, "boom\n")
    assert runs("kill -9 $$", tmp_path)[0].code == 137


def test_a_program_that_is_to_stop_may_save_what_it_has(tmp_path: Path) -> None:
    is_up = threading.Event()
    script = "trap 'echo saved; exit 0' TERM; echo up; while :; do :; done"
    lines: list[str] = []

    def tap(line: str) -> None:
        lines.append(line)
        is_up.set()

    with (tmp_path / "log").open("wb") as log:
        argv, fd = ["sh", "-c", script], log.fileno()
        outcome = run(argv, os.environ, tap=tap, wants_to_stop=is_up.is_set, out=fd)
    assert (outcome.code, lines) == (0, ["up", "saved"])


def test_one_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    script = "trap '' TERM; while :; do :; done"
    outcome, _, _ = runs(script, tmp_path, wants_to_stop=lambda: True, grace=0.1)
    assert outcome.code == 128 + signal.SIGKILL


def test_one_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    assert runs("exec >/dev/null 2>&1; sleep 0.1; exit 4", tmp_path)[0].code == 4


def test_an_endless_line_takes_no_memory(tmp_path: Path) -> None:
    outcome, log, lines = runs("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo z", tmp_path)
    assert (len(log), lines[-1]) == (3_000_003, "z")
    assert max(map(len, lines)) <= 1 << 16
    assert len(outcome.tail) <= 1 << 13


def test_an_error_is_the_exception_or_the_last_lines() -> None:
    chained = (
        "epoch 1\nTraceback (most recent call last):\n  x\nKeyError: 1\n\nDuring handling …\n\n"
        "Traceback (most recent call last):\n  File\n    y\nValueError: two\nlines\n"
    )
    assert error_of(chained) == "ValueError: two\nlines"
    assert error_of("1\n2\n3\n\n4\n") == "2\n3\n4"
    assert error_of("") == ""
