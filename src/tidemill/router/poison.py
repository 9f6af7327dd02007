"""Requests that are known to end replicas: the same one sent again is refused at once."""

from __future__ import annotations

from hashlib import blake2b

from tidemill.router.call import Call
from tidemill.router.clock import Clock
from tidemill.spec.frame import HEADER

MEMORY_SECONDS = 30.0
MOST_KNOWN = 1000


class Poison:
    """Remembers for half a minute, so that a model put right meanwhile is not refused for long.

    known: digest of endpoint, headers and body → until when
    """

    def __init__(self, clock: Clock) -> None:
        self.known: dict[bytes, float] = {}
        self._clock = clock

    def add(self, call: Call) -> None:
        """It has ended two replicas, the last one while it was alone there."""
        now = self._clock.now
        self.known = {digest: until for digest, until in self.known.items() if until > now}
        if len(self.known) >= MOST_KNOWN:
            del self.known[next(iter(self.known))]
        self.known[_digest(call)] = now + MEMORY_SECONDS

    def __contains__(self, call: Call) -> bool:
        return self.known.get(_digest(call), 0.0) > self._clock.now


def _digest(call: Call) -> bytes:
    """Of what the model would see; the frame's own header differs each time."""
    digest = blake2b(repr((call.key, call.target)).encode(), digest_size=16)
    digest.update(memoryview(call.frame)[HEADER.size :])
    return digest.digest()
