"""One request to a model, as the fleet and its replicas see it."""

from __future__ import annotations

from typing import Protocol

from tidemill.router.meter import Meter


class Live(Protocol):
    """The variant that a request goes to."""

    @property
    def meter(self) -> Meter: ...


class Call(Protocol):
    """What is to be sent, and who is told how it ends.

    key: (region, endpoint) · target: the variant asked for, or empty · id: of the frame
    frame: its bytes · deadline: monotonic seconds · hold_until: the same, 0 while not held
    deaths: replicas that ended while they had it · gone: nobody waits for the answer any more
    variant, live: the one that it was last sent to · sent: when, by ``time.perf_counter``
    """

    key: tuple[str, str]
    target: str
    id: int
    frame: bytes
    deadline: float
    hold_until: float
    deaths: int
    gone: bool
    variant: bytes
    live: Live | None
    sent: float

    def deliver(self, status: int, head: bytes, body: bytes) -> None:
        """The replica's answer."""

    def fail(self, status: int, code: str, message: str) -> None:
        """There will be no answer, and why."""

    def late(self) -> None:
        """The deadline has passed."""
