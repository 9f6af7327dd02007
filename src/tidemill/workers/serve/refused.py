"""What a replica answers in the platform's own name, where no model has had the request."""

from __future__ import annotations

from tidemill.workers.serve.answers import Answer

INVALID, NOT_READY, BUSY = "ValidationError", "ModelNotReadyException", "ServiceUnavailable"
_STATUS = {INVALID: 400, NOT_READY: 429, BUSY: 503}


def refusal(code: str, text: str) -> Answer:
    """An error of InvokeEndpoint instead of one of the model (``spec.frame`` has its head)."""
    head = f"text/plain; charset=utf-8\n\n\n{code}".encode()
    return Answer(_STATUS[code], head, text.encode())


def failure(status: int, text: str) -> Answer:
    """The model's own: it is there, and can not answer."""
    return Answer(status, b"text/plain; charset=utf-8\n", text.encode())


class Refused(Exception):
    """A model can not be had; ``answer`` is for all who ask for it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body.decode())
        self.answer = answer
