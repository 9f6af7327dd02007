"""A tiny algorithm: it adds up its rows, in passes, and remembers what it was asked to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tidemill.algorithms.base import Algorithm, Columns
from tidemill.data.batch import Batch, Floats
from tidemill.data.cursor import START, Cursor


@dataclass(frozen=True, slots=True)
class Sum:
    """total: of closed passes · gathered: in this pass · held: rows held out · steps: in order"""

    total: Floats
    gathered: Floats
    passes: int = 0
    held: int = 0
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SumModel:
    total: Floats

    def predict(self, batch: Batch) -> Columns:
        return {"sum": batch.dense() @ self.total}


class Adder(Algorithm[Sum]):
    def __init__(self, passes: int = 2, enough: float = np.inf) -> None:
        self.passes, self.enough = passes, enough

    def start(self) -> Sum:
        return Sum(np.zeros(2, np.float32), np.zeros(2, np.float32))

    def update(self, state: Sum, batch: Batch) -> Sum:
        gathered = state.gathered * np.float32(1.25) + batch.dense().sum(axis=0)
        return replace(state, gathered=gathered, steps=(*state.steps, f"update {len(batch)}"))

    def merge(self, left: Sum, right: Sum) -> Sum:
        return replace(left, gathered=left.gathered + right.gathered)

    def pass_is_over(self, state: Sum) -> bool:
        return bool(state.gathered.sum() >= self.enough)

    def hold_out(self, state: Sum, batch: Batch) -> Sum:
        return replace(state, held=state.held + len(batch))

    def close_pass(self, state: Sum) -> Sum:
        return Sum(
            state.total * np.float32(0.5) + state.gathered,
            np.zeros(2, np.float32),
            state.passes + 1,
            state.held,
            (*state.steps, "close"),
        )

    def wants_another_pass(self, state: Sum) -> bool:
        return state.passes < self.passes

    def progress(self, state: Sum) -> float:
        return state.passes / self.passes

    def finalize(self, state: Sum) -> SumModel:
        return SumModel(state.total)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in memory, cut into batches."""

    rows: Floats
    batch_rows: int = 3

    def read(self, pass_: int, start: Cursor = START) -> Iterator[tuple[Batch, Cursor]]:
        for at in range(start.offset, len(self.rows), self.batch_rows):
            stop = min(at + self.batch_rows, len(self.rows))
            yield Batch(self.rows[at:stop]), Cursor(0, stop)


def table(rows: int = 10, seed: int = 7) -> Table:
    return Table(np.random.default_rng(seed).random((rows, 2), np.float32))


def shares(rows: Table, hosts: int) -> Sequence[Table]:
    return [Table(rows.rows[i::hosts]) for i in range(hosts)]
