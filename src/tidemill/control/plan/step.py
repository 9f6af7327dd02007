"""What a plan may ask for, and what it is told of the workers: the words both sides share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Start:
    """Run this worker (a host of a job, a replica of an endpoint) in its home."""

    worker: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask this worker to end, and kill it after ``grace`` seconds (0: at once)."""

    worker: str
    grace: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker that has ended, or hangs; one that runs well is not reported.

    code: of its exit, minus the signal's number when killed, None while it still runs (and hangs)
    stopped: it ended early because it was asked to · failure: what it wrote down as the reason
    log: its last lines
    """

    code: int | None
    stopped: bool = False
    failure: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True)
class Step(Generic[State]):
    """Where a thing stands next.

    gone: it is over, its row may be removed · changed: whether there is anything to write down
    """

    status: str
    state: State
    effects: tuple[Start | Stop, ...] = ()
    gone: bool = False
    changed: bool = True


def why(seen: Seen) -> str:
    """One FailureReason (at most 1,024 characters) from what a dead worker left behind.

    >>> why(Seen(1, failure="ClientError: train: no such channel"))
    'ClientError: train: no such channel, exit code: 1'
    """
    ending = f", exit code: {seen.code}"
    text = seen.failure.strip()
    if not text:
        last = f" Its last lines: {seen.log}" if seen.log else " It printed nothing."
        killed = seen.code is not None and seen.code < 0
        how = f"was killed by signal {-(seen.code or 0)}" if killed else "ended"
        do = "Read its log, mend the cause and start it again."
        text = f"AlgorithmError: the worker {how} without naming a reason. {do}{last}"
    return text[: 1024 - len(ending)] + ending
