"""What a client is told when a call fails: AWS's code, HTTP status and words."""

from __future__ import annotations

from typing import NamedTuple

from tidemill.auth.refusal import Dialect, Refusal
from tidemill.errors import Conflict, Invalid, Missing, NotFound, NotReady, TidemillError

DOCUMENTATION = "https://tidemill.readthedocs.io"
VALIDATION = "ValidationException"


class Fault(TidemillError):
    """An answer that is an error, in AWS's exact words. status: of HTTP."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message, got=code, do="")
        self.code = code
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Answer(NamedTuple):
    """The three things that every protocol says of an error."""

    code: str
    message: str
    status: int


def invalid(message: str) -> Fault:
    """A ValidationException with this message."""
    return Fault(VALIDATION, message)


def answer(error: BaseException, dialect: Dialect) -> Answer:
    """What to tell the client of any exception; of those not meant for it, nothing but that.

    >>> answer(ZeroDivisionError("secret"), "json").code
    'InternalFailure'
    """
    if isinstance(error, Fault):
        return Answer(error.code, error.message, error.status)
    if isinstance(error, Refusal):
        return Answer(error.answer(dialect)[0], error.message, error.answer(dialect)[1])
    for kind, code, status in _MEANINGS:
        if isinstance(error, kind):
            return Answer(code, str(error), status)
    return Answer(
        "InternalFailure",
        "The request processing has failed because of an unknown error, exception or failure. "
        "The platform's log in HOME/logs has the details.",
        500,
    )


_MEANINGS: tuple[tuple[type[TidemillError], str, int], ...] = (
    (NotFound, "ResourceNotFound", 400),
    (Conflict, "ConflictException", 400),
    (NotReady, "ServiceUnavailable", 503),
    (Missing, VALIDATION, 400),
    (Invalid, VALIDATION, 400),
)
