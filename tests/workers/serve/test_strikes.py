"""Models that end processes: suspected, then tried alone, then refused."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tidemill.workers.serve.refused import Refused
from tidemill.workers.serve.strikes import MEMORY_SECONDS, Strikes


def die(path: Path, *names: str, now: float = 0.0) -> None:
    """A process that ends while it opens these."""
    strikes = Strikes(path, lambda: now)
    with ExitStack() as opening:
        for name in names:
            opening.enter_context(strikes.opening(name))
        left = path.read_text()
    path.write_text(left)


def opens(path: Path, name: str, now: float = 0.0) -> bool:
    try:
        with Strikes(path, lambda: now).opening(name):
            return True
    except Refused:
        return False


def test_one_that_ends_two_processes_is_refused_for_a_while_and_no_other_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "opening.json"
    die(path, "deadly", "other")
    die(path, "deadly", now=1.0)
    assert not opens(path, "deadly", now=2.0)
    assert opens(path, "other", now=2.0)
    assert opens(path, "deadly", now=2.0 + MEMORY_SECONDS)


def test_one_that_is_opened_after_all_is_no_suspect_any_more(tmp_path: Path) -> None:
    path = tmp_path / "opening.json"
    die(path, "big")
    assert opens(path, "big")
    die(path, "big")
    assert opens(path, "big")


def test_a_suspect_is_opened_alone(tmp_path: Path) -> None:
    path = tmp_path / "opening.json"
    die(path, "suspect")
    strikes = Strikes(path, lambda: 0.0)
    opened: list[str] = []

    def open_one(name: str) -> None:
        with strikes.opening(name):
            opened.append(name)

    with strikes.opening("a"), strikes.opening("b"):
        thread = threading.Thread(target=open_one, args=("suspect",))
        thread.start()
        thread.join(0.05)
        assert opened == []
    thread.join(10)
    assert opened == ["suspect"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"opening": 1, "struck": {}}', '{"struck": 3}'])
def test_a_note_that_can_not_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "opening.json"
    path.write_text(text)
    assert opens(path, "a")
