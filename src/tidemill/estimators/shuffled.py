"""Data in memory as a channel whose passes come in different orders."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tidemill.data.batch import Batch, Csr, Floats, Integers
from tidemill.data.cursor import START, Cursor

_WHOLLY = 1 << 17
_RUN = 32
"""Of more rows than the first, up to so many neighbours stay together: they are gathered at half
the speed of a copy, where single rows take thrice as long; and a mini-batch still comes from all
over the data."""


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Batches of ``batch_rows`` rows, in an order that follows from the seed and the pass.

    Sparse rows, which take long to gather, are taken to be in random order: the same batches come
    in another order in every pass.
    """

    rows: Batch
    batch_rows: int
    seed: int

    def read(self, pass_: int, start: Cursor = START) -> Iterator[tuple[Batch, Cursor]]:
        rows, size = len(self.rows), self.batch_rows
        draws = np.random.Generator(np.random.Philox(key=np.array([self.seed, pass_], np.uint64)))
        if isinstance(self.rows.features, Csr):
            yield from self._in_turn(draws, start)
            return
        alone = rows <= _WHOLLY
        run = 1 if alone else math.gcd(_RUN, size)  # so that batches are cut between runs
        order = draws.permutation(rows // run)
        for at in range(start.offset, rows, size):
            stop = min(at + size, rows)
            yield self._gather(order, run, at, stop), Cursor(offset=stop)

    def _in_turn(self, draws: np.random.Generator, start: Cursor) -> Iterator[tuple[Batch, Cursor]]:
        size = self.batch_rows
        order = draws.permutation(-(-len(self.rows) // size))
        for turn in range(start.offset, len(order)):
            at = int(order[turn]) * size
            yield self.rows.rows(at, min(at + size, len(self.rows))), Cursor(offset=turn + 1)

    def _gather(self, order: Integers, run: int, at: int, stop: int) -> Batch:
        if run == 1:
            return self._take(order[at:stop])
        whole = len(order) * run
        if stop > whole:  # the few rows past the last whole run come last in every pass
            tail = np.arange(max(at, whole), stop)
            runs = order[at // run : whole // run, None] * run + np.arange(run)
            return self._take(np.concatenate([runs.ravel(), tail]))
        picked = order[at // run : stop // run]
        features = self.rows.features
        assert not isinstance(features, Csr)
        return Batch(
            _runs(features, picked, run),
            None if self.rows.labels is None else _runs(self.rows.labels, picked, run),
            None if self.rows.weights is None else _runs(self.rows.weights, picked, run),
        )

    def _take(self, order: Integers) -> Batch:
        features = self.rows.features
        assert not isinstance(features, Csr)
        return Batch(
            features.take(order, axis=0),  # twice as fast as features[order]
            None if self.rows.labels is None else self.rows.labels.take(order),
            None if self.rows.weights is None else self.rows.weights.take(order),
        )


def _runs(values: Floats, picked: Integers, run: int) -> Floats:
    whole = len(values) // run
    blocks = values[: whole * run].reshape(whole, -1)
    taken: Floats = blocks.take(picked, axis=0).reshape(len(picked) * run, *values.shape[1:])
    return taken
