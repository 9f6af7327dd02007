"""What happens during training, made known: log lines, progress, checkpoints, the wish to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from tidemill.algorithms.base import Algorithm
from tidemill.data.cursor import Cursor
from tidemill.training.loop import Position
from tidemill.workers.checkpoint import Checkpoints
from tidemill.workers.log_lines import Log
from tidemill.workers.peers import Peers
from tidemill.workers.train.host import Host

State = TypeVar("State")
TELL_EVERY = 0.25
"""Seconds between two words about progress within a pass."""


class Watch(Generic[State]):
    """The host's ``training.loop.Watcher``.

    name: the algorithm's, for the log · passes: at most · share_read: fraction of a pass before a
    cursor · done: share of the passes closed by earlier attempts
    """

    def __init__(
        self,
        host: Host,
        name: str,
        algorithm: Algorithm[State],
        passes: int,
        share_read: Callable[[Cursor], float],
        log: Log,
        checkpoints: Checkpoints[State],
        peers: Peers[State],
        done: float = 0.0,
    ) -> None:
        self._host, self._name, self._algorithm, self._log = host, name, algorithm, log
        # Epochs may be none where other passes come before them.
        self._passes, self._share_read = max(1, passes), share_read
        self._checkpoints, self._peers = checkpoints, peers
        self._done, self._total_rows, self._total_batches = done, 0, 0
        self._told = time.monotonic()
        self._begin_pass()

    def batch(self, position: Position[State], rows: int) -> bool:
        """After each batch; true once the worker is to stop."""
        self._rows += rows
        self._batches += 1
        is_worth_it = self._algorithm.is_worth_saving(position.state)
        if self._host.wants_to_stop():
            # A job that is stopped with the whole platform goes on from here another day.
            if is_worth_it:
                self._checkpoints.save(position)
            return True
        is_due = is_worth_it and self._checkpoints.is_due()
        if is_due:
            self._checkpoints.save(position)
        # What is safe is told at once: control counts deaths in a row without progress.
        if is_due or time.monotonic() - self._told > TELL_EVERY:
            self._tell_progress(position)
        return False

    def closed(self, position: Position[State]) -> bool:
        """After each pass; true if this was the last because some host is to stop."""
        self._total_rows += self._rows
        self._total_batches += self._batches
        self._done = self._algorithm.progress(position.state)
        # With others, a pass that is closed must be safe before the next meeting (see Peers); one
        # that was cut short must not be what a later attempt goes on from.
        must_save = not self._host.is_alone or self._checkpoints.is_due()
        if must_save and not self._peers.over:
            self._checkpoints.save(position)
        self._tell_pass(position)
        self._begin_pass()
        return self._peers.over

    def final(self, state: State) -> None:
        """What the last pass said of the training rows, as the job's own word."""
        for measure in self._algorithm.outcome(state):
            self._log.quality("train", measure)

    def _tell_progress(self, position: Position[State]) -> None:
        share = self._share_read(position.cursor) / self._passes
        message = self._message(self._algorithm.epoch(position.state, position.pass_))
        self._host.desk.progress(min(1.0, self._done + share), message)
        self._told = time.monotonic()

    def _message(self, epoch: int | None) -> str:
        rows = f"{self._rows:,} rows"
        if epoch is None:
            return rows
        return f"epoch {epoch}: {rows}" if self._rows else f"epoch {epoch}"

    def _tell_pass(self, position: Position[State]) -> None:
        seconds = time.monotonic() - self._begun
        for line in self._algorithm.lines(position.state):
            self._log.line(line)
        epoch = self._algorithm.epoch(position.state, position.pass_ - 1)
        if epoch is not None:
            self._tell_epoch(epoch, position.state)
        values = {
            "update.time": 1000 * seconds,
            "Total Records Seen": self._total_rows,
            "Total Batches Seen": self._total_batches,
            "Number of Records Since Last Reset": self._rows,
            "Number of Batches Since Last Reset": self._batches,
        }
        self._log.metrics(self._name, "training", self._begun_at, values, epoch)
        if self._rows:  # some algorithms end with a pass that needs none
            self._log.throughput("train", self._rows, seconds)
        self._host.desk.progress(self._done, self._message(epoch))
        self._told = time.monotonic()

    def _tell_epoch(self, epoch: int, state: State) -> None:
        for channel, measures in self._algorithm.report(state).items():
            for measure in measures:
                self._log.quality(channel, measure, epoch)
        if (decides := self._algorithm.criterion(state)) is not None:
            self._log.early_stopping(decides, epoch)
        self._log.progress(self._done)

    def _begin_pass(self) -> None:
        self._rows = self._batches = 0
        self._begun, self._begun_at = time.monotonic(), time.time()
