"""Feedback under way to a replica."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tidemill.router import refusals
from tidemill.router.call import Live
from tidemill.router.capture import Tap
from tidemill.spec.frame import FEEDBACK, pack
from tidemill.spec.learning import head


class Told(NamedTuple):
    """What became of it: the replica's JSON, or an error (of AWS's codes) and why."""

    body: bytes = b""
    status: int = 200
    code: str = ""
    message: str = ""

    @property
    def is_certain(self) -> bool:
        """Whether it is known that nothing was taken, where it is an error."""
        return self.status != 500


class Errand:
    """A ``call.Call``. told: how it ended, once · known: the feedback's id, so that it counts once
    though another replica gets it when the first one ends
    """

    __slots__ = (
        "_body",
        "_content_type",
        "_deaths",
        "_known",
        "_told",
        "deadline",
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

    def __init__(
        self,
        key: tuple[str, str],
        target: str,
        id: int,
        known: int,
        content_type: str,
        body: bytes,
        told: Callable[[Told], None],
    ) -> None:
        self.key, self.target, self.id = key, target, id
        self._known, self._content_type, self._body = known, content_type, body
        self.frame = self._packed(again=False)
        self._told: Callable[[Told], None] | None = told
        self.deadline = self.held = self.sent = 0.0
        self._deaths = 0
        self.gone = False
        self.variant = b""
        self.live: Live | None = None

    @property
    def deaths(self) -> int:
        return self._deaths

    @deaths.setter
    def deaths(self, number: int) -> None:
        if bool(number) != bool(self._deaths):
            self.frame = self._packed(again=number > 0)
        self._deaths = number

    def _packed(self, *, again: bool) -> bytes:
        """again: a replica that ended may have taken it, too"""
        about = head(self._content_type, self._known, again=again)
        return pack(FEEDBACK, self.id, 0, about, self._body)

    def deliver(self, status: int, head: bytes, body: bytes) -> None:
        if status == 200:
            is_learner = _MARK in body  # an update may have put one there that only predicts
            self._end(Told(body) if is_learner else _NOT_TAKEN)
            return
        message = body.decode("utf-8", "replace")[: refusals.LONGEST_ORIGINAL]
        self._end(Told(b"", *_CODES.get(status, (500, "InternalFailure")), message))

    def fail(self, status: int, code: str, message: str) -> None:
        self._end(Told(b"", status, code, message))

    def late(self, seconds: float) -> None:
        message = (
            f"No replica confirmed the feedback within {seconds:g} s: it may have been taken or "
            "not. Look at the endpoint's learning status before it is sent again."
        )
        self._end(Told(b"", 500, "InternalFailure", message))

    def poison(self) -> None:
        self._end(Told(b"", 500, "InternalFailure", refusals.poisonous(self.key[1])))

    def offer(self, tap: Tap, content_type: bytes, answer: bytes) -> None:
        """Feedback is no request, and is not captured."""

    def _end(self, told: Told) -> None:
        tell, self._told = self._told, None
        if tell is not None:
            tell(told)


_MARK = b'"Version"'
_NOT_TAKEN = Told(
    b"", 503, "ServiceUnavailable", "The endpoint does not learn any more. Look at it."
)
_CODES = {
    400: (400, "ValidationError"),
    415: (400, "ValidationError"),
    429: (429, "ThrottlingException"),
}
