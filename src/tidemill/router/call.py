"""One request to a model, as the fleet and its replicas see it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from tidemill.router.capture import Tap
from tidemill.router.meter import Meter
from tidemill.router.recall import Recall


class Live(Protocol):
    """The variant that a request goes to."""

    @property
    def meter(self) -> Meter: ...
    @property
    def timeout(self) -> float: ...

    @property
    def tap(self) -> Tap | None: ...
    @property
    def recall(self) -> Recall | None: ...


class Call(Protocol):
    """What is to be sent, and who is told how it ends.

    key: (region, endpoint) · target: the variant asked for, or empty · id: of the frame
    frame: its bytes · deadline: monotonic seconds, 0 until it is sent for the first time
    held: since when it waits, monotonic seconds, 0 while it does not · deaths: replicas that ended
    while they had it · gone: nobody waits for the answer any more
    variant, live: the one that it was last sent to · sent: when, by ``time.perf_counter``
    """

    key: tuple[str, str]
    target: str
    id: int
    frame: bytes
    deadline: float
    held: float
    deaths: int
    gone: bool
    variant: bytes
    live: Live | None
    sent: float

    def deliver(self, status: int, head: bytes, body: bytes) -> None:
        """The replica's answer."""

    def fail(self, status: int, code: str, message: str) -> None:
        """There will be no answer, and why."""

    def late(self, seconds: float) -> None:
        """So long the answer may take, and that has passed."""

    def poison(self) -> None:
        """It ends the replicas that get it, and goes to no other."""

    def offer(self, tap: Tap, content_type: bytes, answer: bytes) -> None:
        """Let data capture have the request and an answer to it, if they are of its sample."""


class Parted(ABC):
    """A call whose answer may come in parts.

    begun: a part has come, so that no other replica can be asked · rests: its client has yet to
    take what it was sent, and the replica need not go on
    """

    __slots__ = ()

    @property
    @abstractmethod
    def begun(self) -> bool: ...

    @property
    @abstractmethod
    def rests(self) -> bool: ...

    @abstractmethod
    def part(self, source: Source, head: bytes, body: bytes) -> None:
        """The next part of the replica's answer."""

    @abstractmethod
    def broken(self) -> None:
        """The replica is gone, and with it the rest of the answer."""


class Source(Protocol):
    """Where parts come from."""

    def more(self, call: Call, size: int) -> None:
        """So many bytes of them have been passed on."""

    def stop(self, call: Call) -> None:
        """Nobody waits for the rest."""
