"""The one training loop: passes, workers, held-out rows, checkpoints; no algorithm has its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tidemill.algorithms.base import Algorithm
from tidemill.data.batch import Batch
from tidemill.data.cursor import START, Cursor

State = TypeVar("State")


class Rows(Protocol):
    """A channel that can be read again and again, from any point that it gave out."""

    def read(self, pass_: int, start: Cursor = START) -> Iterator[tuple[Batch, Cursor]]:
        """Batches of one pass, each with the cursor of what follows it."""
        ...


class Peers(Protocol, Generic[State]):
    """The other workers of the job."""

    def merge(self, state: State, pass_: int) -> State:
        """The merge of every worker's state of this pass: the same bytes on each of them."""
        ...


@dataclass(frozen=True, slots=True)
class Position(Generic[State]):
    """All that a resumed run needs: the state, and what it has yet to read."""

    state: State
    pass_: int = 0
    cursor: Cursor = START


class Watcher(Protocol[State]):
    """Told what happens. A true answer ends the pass, or the run, as if the rows had run out."""

    def batch(self, position: Position[State], rows: int) -> bool | None: ...
    def closed(self, position: Position[State]) -> bool | None: ...


def fit(
    algorithm: Algorithm[State],
    train: Rows,
    *,
    held_out: Rows | None = None,
    resume: Position[State] | None = None,
    merge: Callable[[State, int], State] | None = None,
    watcher: Watcher[State] | None = None,
) -> State:
    """Train to the end and return the final state.

    held_out: the validation channel · resume: where a checkpoint was made · merge: joins this
    worker's state with its peers' after a pass (pass number given) · watcher: see Watcher.
    """
    position = resume or Position(algorithm.start())
    while not _is_done(algorithm, position):
        state = _read_pass(algorithm, train, position, watcher)
        state = merge(state, position.pass_) if merge else state
        if held_out and algorithm.holds_out(state):
            for batch, _ in held_out.read(position.pass_):
                state = algorithm.hold_out(state, batch)
        state = algorithm.close_pass(state)
        position = Position(state, position.pass_ + 1)
        if watcher and watcher.closed(position):
            break
    return position.state


def _is_done(algorithm: Algorithm[State], at: Position[State]) -> bool:
    """Whether a pass was just closed and was the last; a run may be resumed right there."""
    between_passes = at.pass_ > 0 and at.cursor == START
    return between_passes and not algorithm.wants_another_pass(at.state)


def _read_pass(
    algorithm: Algorithm[State], train: Rows, at: Position[State], watcher: Watcher[State] | None
) -> State:
    state = at.state
    if algorithm.pass_is_over(state):
        return state
    for batch, cursor in train.read(algorithm.order(at.pass_), at.cursor):
        state = algorithm.update(state, batch)
        is_over = bool(watcher and watcher.batch(Position(state, at.pass_, cursor), len(batch)))
        if is_over or algorithm.pass_is_over(state):
            break
    return state
