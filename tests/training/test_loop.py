"""The loop takes an algorithm through its passes, from any point and to an early end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.training.adder import Adder, Sum, Table, table
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch
from tidemill.data.cursor import START, Cursor
from tidemill.training.loop import Position, fit


class Diary:
    """Keeps every position; ends the pass or the run where it is told to."""

    def __init__(self, end_pass_at: int = 0, end_run_after: int = 0) -> None:
        self.positions: list[Position[Sum]] = []
        self.closed_passes = self.batches = 0
        self.end_pass_at, self.end_run_after = end_pass_at, end_run_after

    def batch(self, position: Position[Sum], rows: int) -> bool | None:
        self.batches += 1
        self.positions.append(self.copy(position))
        return self.batches == self.end_pass_at

    def closed(self, position: Position[Sum]) -> bool | None:
        self.closed_passes += 1
        self.positions.append(self.copy(position))
        return self.closed_passes == self.end_run_after

    @staticmethod
    def copy(position: Position[Sum]) -> Position[Sum]:
        return Position(from_bytes(Sum, to_bytes(position.state)), position.pass_, position.cursor)


def test_every_pass_reads_then_holds_out_then_closes() -> None:
    state = fit(Adder(passes=2), table(7), held_out=table(5))
    assert state.steps == ("update 3", "update 3", "update 1", "close") * 2
    assert (state.passes, state.held) == (2, 10)


def test_a_run_resumed_anywhere_ends_in_the_same_bytes() -> None:
    diary = Diary()
    whole = to_bytes(fit(Adder(3), table(), held_out=table(4), watcher=diary))
    assert len(diary.positions) == 3 * (4 + 1)
    for position in diary.positions:
        again = fit(Adder(3), table(), held_out=table(4), resume=Diary.copy(position))
        assert to_bytes(again) == whole


def test_a_run_resumed_after_its_last_pass_does_nothing_more() -> None:
    diary = Diary()
    fit(Adder(1), table(), watcher=diary)
    assert fit(Adder(1), table(), resume=diary.positions[-1]).passes == 1


def test_a_pass_that_is_over_reads_no_further() -> None:
    state = fit(Adder(1, enough=0.1), Table(np.ones((100, 2), np.float32)))
    assert state.steps == ("update 3", "close")


def test_rows_are_held_out_only_where_they_are_wanted() -> None:
    class OnceHolder(Adder):
        def holds_out(self, state: Sum) -> bool:
            return state.passes == 0

    assert fit(OnceHolder(passes=3), table(7), held_out=table(5)).held == 5


def test_an_algorithm_may_read_every_pass_in_the_order_of_one() -> None:
    class Orderly(Adder):
        def order(self, pass_: int) -> int:
            return 0

    class Passes(Table):
        def read(self, pass_: int, start: Cursor = START) -> Iterator[tuple[Batch, Cursor]]:
            asked.append(pass_)
            return super().read(pass_, start)

    asked: list[int] = []
    rows = Passes(table().rows)
    fit(Orderly(passes=2), rows)
    fit(Adder(passes=2), rows)
    assert asked == [0, 0, 0, 1]


def test_a_watcher_ends_the_pass_it_is_in() -> None:
    state = fit(Adder(2), table(10), watcher=Diary(end_pass_at=2))
    assert state.steps[:3] == ("update 3", "update 3", "close")
    assert state.passes == 2


def test_a_watcher_ends_the_run_after_a_pass() -> None:
    assert fit(Adder(9), table(10), watcher=Diary(end_run_after=3)).passes == 3


@pytest.mark.parametrize("pass_", [0, 1])
def test_peers_are_asked_to_merge_in_every_pass(pass_: int) -> None:
    asked: list[int] = []

    def merge(state: Sum, number: int) -> Sum:
        asked.append(number)
        return state

    fit(Adder(2), table(), merge=merge)
    assert asked[pass_] == pass_
