"""Checkpoints: the newest whole one counts, and saving costs little of the time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.training.adder import Adder, Sum
from tidemill.data.cursor import Cursor
from tidemill.training.loop import Position
from tidemill.workers.checkpoint import KEPT, Checkpoints, fingerprint


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def position(number: int) -> Position[Sum]:
    state = Sum(np.full(2, number, np.float32), np.zeros(2, np.float32), passes=number)
    return Position(state, number, Cursor(1, 2, number))


def open_(directory: Path, run: str = "run") -> Checkpoints[Sum]:
    return Checkpoints(directory, run)


def test_a_position_is_found_again(tmp_path: Path) -> None:
    open_(tmp_path).save(position(4))
    found = open_(tmp_path).newest(Sum)
    assert found is not None
    assert (found.pass_, found.cursor) == (4, Cursor(1, 2, 4))
    assert found.state.total.tolist() == [4, 4]
    found.state.total[0] = 7  # states may be changed in place


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert open_(tmp_path / "new").newest(Sum) is None


def test_the_newest_counts_and_few_are_kept(tmp_path: Path) -> None:
    for number in range(12):
        open_(tmp_path).save(position(number))
    found = open_(tmp_path).newest(Sum)
    assert found is not None
    assert found.pass_ == 11
    assert len(list(tmp_path.iterdir())) == KEPT


def test_a_damaged_newest_falls_back_on_the_one_before(tmp_path: Path) -> None:
    checkpoints = open_(tmp_path)
    checkpoints.save(position(1))
    newest = checkpoints.save(position(2))
    newest.write_bytes(newest.read_bytes()[:-1])
    found = open_(tmp_path).newest(Sum)
    assert found is not None
    assert found.pass_ == 1


def test_checkpoints_of_other_settings_are_left_alone(tmp_path: Path) -> None:
    open_(tmp_path, fingerprint({"k": 3})).save(position(1))
    assert open_(tmp_path, fingerprint({"k": 4})).newest(Sum) is None
    assert open_(tmp_path, fingerprint({"k": 3})).newest(Sum) is not None


def test_a_state_of_another_shape_is_left_alone(tmp_path: Path) -> None:
    open_(tmp_path).save(position(1))
    other = Checkpoints[Cursor](tmp_path, "run")
    assert other.newest(Cursor) is None


def test_a_save_is_due_after_a_second(tmp_path: Path) -> None:
    clock = Clock()
    checkpoints = Checkpoints[Sum](tmp_path, "run", clock=clock)
    assert not checkpoints.is_due()
    clock.now = 1.0
    assert checkpoints.is_due()
    checkpoints.save(position(1))
    assert not checkpoints.is_due()


def test_saves_that_take_long_are_made_seldom(tmp_path: Path) -> None:
    class SlowDisk(Clock):
        def __call__(self) -> float:
            self.now += 0.5
            return self.now

    clock = SlowDisk()
    checkpoints = Checkpoints[Sum](tmp_path, "run", clock=clock)
    checkpoints.save(position(1))
    ended = clock.now
    while not checkpoints.is_due():
        pass
    assert clock.now - ended >= 0.5 / 0.05


def test_the_start_is_a_position_too(tmp_path: Path) -> None:
    open_(tmp_path).save(Position(Adder().start()))
    found = open_(tmp_path).newest(Sum)
    assert found is not None
    assert (found.pass_, found.cursor) == (0, Cursor())
