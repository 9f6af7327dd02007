"""Going on from a trained state with new rows that several workers have, in one process."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TypeVar

from tidemill.algorithms.base import Algorithm
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch

State = TypeVar("State")


def go_on(
    algorithm: Algorithm[State], state: State, parts: Sequence[Batch], half_life: float = 0.0
) -> State:
    """The closed state after all passes over the parts, as hosts of one job would reach it.

    Each part is learned by itself from the same state, and the states are merged in the order of
    the parts. state: one that training ended with; it is left as it was · parts: one or more, none
    without rows · half_life: rows after which what was seen before counts half; 0 for never

    >>> from tidemill.algorithms.kmeans.hyperparameters import KMeansHyperparameters
    >>> from tidemill.algorithms.kmeans.learner import KMeans
    >>> import numpy as np
    >>> algorithm, one = KMeans(KMeansHyperparameters(k=1)), np.ones((1, 1), np.float32)
    >>> state = algorithm.close_pass(algorithm.update(algorithm.start(), Batch(one)))
    >>> state = go_on(algorithm, state, [Batch(3 * one), Batch(5 * one)])
    >>> algorithm.finalize(state).centres
    array([[3.]], dtype=float32)
    """
    left = 0.5 ** (sum(map(len, parts)) / half_life) if half_life else 1.0
    before = [algorithm.faded(s, left) if left < 1 else s for s in _copies(state, len(parts))]
    states = [algorithm.reopen(s, leads=not i) for i, s in enumerate(before)]
    while True:
        states = [_pass(algorithm, s, part) for s, part in zip(states, parts, strict=True)]
        closed = algorithm.close_pass(functools.reduce(algorithm.merge, states))
        if not algorithm.wants_another_pass(closed):
            return closed
        states = _copies(closed, len(parts))


def _pass(algorithm: Algorithm[State], state: State, part: Batch) -> State:
    for batch in part.split(algorithm.batch_rows):
        if algorithm.pass_is_over(state):
            break
        state = algorithm.update(state, batch)
    return state


def _copies(state: State, count: int) -> list[State]:
    """A state may be changed in place, so every worker has its own."""
    blob = to_bytes(state)
    return [from_bytes(type(state), blob) for _ in range(count)]
