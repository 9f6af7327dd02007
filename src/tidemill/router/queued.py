"""A queued request under way to a replica."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import NamedTuple

from tidemill.router import refusals
from tidemill.router.backlog import Entry
from tidemill.router.call import Live
from tidemill.router.capture import Tap
from tidemill.router.trail import PRIMARY, answerer
from tidemill.spec.frame import REQUEST, pack

EXPIRED, UNFETCHED = "expired", "unfetched"


class Outcome(NamedTuple):
    """How a request ends: with a reason why it has no answer, or with the answer.

    kind: EXPIRED or UNFETCHED when no model was asked
    """

    failure: str = ""
    content_type: str = ""
    answer: bytes = b""
    kind: str = ""

    @property
    def body(self) -> bytes:
        """Of the object in S3."""
        return self.failure.encode() if self.failure else self.answer


class Queued:
    """A ``call.Call``. ended: how, or None when it should be tried again"""

    __slots__ = (
        "_began",
        "_entry",
        "deadline",
        "deaths",
        "ended",
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

    def __init__(self, entry: Entry, id: int, body: bytes, deadline: float) -> None:
        self._entry = entry
        self._began = perf_counter()
        self.ended: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        self.key = entry.key
        self.target = ""
        self.id = id
        head = f"{entry.content_type}\n{entry.accept}\n{entry.attributes}".encode("latin-1")
        self.frame = pack(REQUEST, id, 0, head, body)
        self.deadline = deadline
        self.held = self.sent = 0.0
        self.deaths = 0
        self.gone = False
        self.variant = b""
        self.live: Live | None = None

    def deliver(self, status: int, head: bytes, body: bytes) -> None:
        model = perf_counter() - self.sent
        self._count(status, model)
        kind, _, rest = head.partition(b"\n")
        trail = rest.partition(b"\n")[2].partition(b"\n")[0]
        if trail and self.live is not None:
            self.live.meter.passed(trail, status)
        if status >= 400:
            said = body.decode("utf-8", "replace")
            self._end(Outcome(refused(status, said, answerer(trail))))
            return
        self._end(Outcome(content_type=kind.decode("latin-1"), answer=body))
        if self.live is not None and self.live.tap is not None:
            self.offer(self.live.tap, kind, body)

    def fail(self, status: int, code: str, message: str) -> None:
        """No replica could take it, or the endpoint is away for now: later, then."""
        self._end(None)

    def late(self, seconds: float) -> None:
        if not self.sent:  # no replica has had it
            self._end(None)
            return
        self._count(500, perf_counter() - self.sent)
        why = f"the model must answer within {self._entry.timeout} s, InvocationTimeoutSeconds"
        self._end(Outcome(f"ModelError: {why}. Send fewer rows, or give it more time."))

    def poison(self) -> None:
        self._count(500, 0.0)
        self._end(Outcome(f"ModelError: {refusals.poisonous(self.key[1])}"))

    def offer(self, tap: Tap, content_type: bytes, answer: bytes) -> None:
        tap.offer(self.frame, self._entry.id, content_type, answer)

    def _count(self, status: int, model: float) -> None:
        if self.live is not None:
            self.live.meter.add(status, model, perf_counter() - self._began - model)

    def _end(self, outcome: Outcome | None) -> None:
        if not self.ended.done():
            self.ended.set_result(outcome)


def refused(status: int, original: str, container: str = PRIMARY) -> str:
    """The model's own words, after AWS's."""
    kind = "client" if status < 500 else "server"
    said = original[: refusals.LONGEST_ORIGINAL]
    return f'ModelError: Received {kind} error ({status}) from {container} with message "{said}".'
