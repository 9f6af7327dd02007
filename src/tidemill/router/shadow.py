"""Shadow variants get copies of production requests: beside the way of their clients, and bounded.

A copy is the same bytes, handed over after the request itself. It never waits, is never tried
again, and nobody hears of its answer. What a shadow has no room for is not copied, and counted.
"""

from __future__ import annotations

from random import random
from time import perf_counter

from tidemill.router.call import Call, Live
from tidemill.router.capture import Tap
from tidemill.router.live import LiveVariant
from tidemill.spec.frame import REQUEST, STREAM

MOST_COPIES, MOST_BYTES = 64, 32 * 2**20
"""That one replica of a shadow may have under way, or has yet to read."""
_KIND = 8
"""Where a frame says what it is."""


def copy(call: Call, shadow: LiveVariant, now: float) -> None:
    """Offer a request that has just been sent to production; the sample takes its share."""
    if random() >= shadow.weight:  # noqa: S311 - a sample, no secret
        return
    frame = call.frame
    if frame[_KIND] not in (REQUEST, STREAM):
        return
    replica = shadow.pick(now)
    if replica is None or max(replica.load, replica.unread) + len(frame) > MOST_BYTES:
        shadow.meter.lost += 1
        return
    if frame[_KIND] == STREAM:  # nobody waits for its parts
        frame = b"%b%c%b" % (frame[:_KIND], REQUEST, frame[_KIND + 1 :])
    replica.send(Copy(call, shadow, frame, now + shadow.timeout))


class Copy:
    """A ``call.Call`` that nobody waits for. live: the shadow"""

    __slots__ = (
        "_origin",
        "_overhead",
        "deadline",
        "deaths",
        "frame",
        "gone",
        "held",
        "id",
        "key",
        "live",
        "sent",
        "target",
        "variant",
    )

    def __init__(self, origin: Call, shadow: LiveVariant, frame: bytes, deadline: float) -> None:
        self._origin = origin
        self.key = origin.key
        self.target = ""
        self.id = origin.id  # of connections that no other requests take
        self.frame = frame
        self.deadline = deadline
        self.held = 0.0
        self.deaths = 0
        self.gone = True
        self.variant = shadow.label
        self.live: Live | None = shadow
        self.sent = perf_counter()
        self._overhead = self.sent - origin.sent

    def deliver(self, status: int, head: bytes, body: bytes) -> None:
        self._count(status)
        if self.live is not None and self.live.tap is not None and status < 400:
            self.offer(self.live.tap, head.replace(b"\r", b"").partition(b"\n")[0], body)

    def fail(self, status: int, code: str, message: str) -> None:
        self._count(status)

    def late(self, seconds: float) -> None:
        self._count(0)

    def poison(self) -> None:
        self._count(500)

    def offer(self, tap: Tap, content_type: bytes, answer: bytes) -> None:
        self._origin.offer(tap, content_type, answer)

    def _count(self, status: int) -> None:
        if self.live is not None:
            self.live.meter.add(status, perf_counter() - self.sent, self._overhead)
