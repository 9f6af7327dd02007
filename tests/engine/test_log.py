"""The end of a log."""

from __future__ import annotations

from pathlib import Path

from tidemill.engine.log import last_lines


def test_only_the_end_is_read_however_long_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_lines(log, 3) == []
    with log.open("wb") as file:
        file.truncate(2**40)  # sparse: reading all of it would end this test's process
        file.seek(0, 2)
        file.write(b"\none\n\n  two\xff\nthree\n")
    assert last_lines(log, 2) == ["  two\ufffd", "three"]
