"""Why a request is refused: one class a reason, each with AWS's code, status and words.

Denied
├── MissingSignature     nobody signed it
├── MalformedSignature   signed, but not in a form that can be read
├── UnknownKey           an access key that is not ours
├── WrongSignature       the signature does not fit the request
├── WrongTime            signed too long ago, or in the future
├── ExpiredToken         the token of a session that is over
├── NotAllowed           signed well, by somebody whose policies do not allow it
├── UnsignedHeader       an x-amz-* header that the signature does not cover
└── WrongPayload         the body is not the one that was signed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from tidemill.errors import Denied

Dialect = Literal["json", "rest-json", "query", "s3"]
ENVIRONMENT = 'Set the keys of this platform: eval "$(tidemill env)".'


class Refusal(Denied):
    """A refused request. ``message``: for the client, in AWS's words · ``answer``: the rest."""

    answers: ClassVar[Mapping[Dialect, tuple[str, int]]] = {}

    def __init__(self, message: str, *, got: object = "", do: str = ENVIRONMENT) -> None:
        super().__init__(message, got=got, do=do)
        self.message = f"{message} {do}".strip()

    @property
    def code(self) -> str:
        """The code that the JSON protocol gives."""
        return self.answers["json"][0]

    def answer(self, dialect: Dialect) -> tuple[str, int]:
        """The AWS error code and the HTTP status in one of AWS's protocols."""
        return self.answers[dialect]


class MissingSignature(Refusal):
    """Nobody signed it."""

    answers = {
        "json": ("MissingAuthenticationTokenException", 400),
        "rest-json": ("MissingAuthenticationTokenException", 403),
        "query": ("MissingAuthenticationToken", 403),
        "s3": ("AccessDenied", 403),
    }


class MalformedSignature(Refusal):
    """Signed, but not in a form that can be read."""

    answers = {
        "json": ("IncompleteSignatureException", 400),
        "rest-json": ("IncompleteSignatureException", 403),
        "query": ("IncompleteSignature", 400),
        "s3": ("AuthorizationHeaderMalformed", 400),
    }


class UnknownKey(Refusal):
    """An access key that is not ours."""

    answers = {
        "json": ("UnrecognizedClientException", 400),
        "rest-json": ("UnrecognizedClientException", 403),
        "query": ("InvalidClientTokenId", 403),
        "s3": ("InvalidAccessKeyId", 403),
    }


class WrongSignature(Refusal):
    """The signature does not fit the request."""

    answers = {
        "json": ("InvalidSignatureException", 400),
        "rest-json": ("InvalidSignatureException", 403),
        "query": ("SignatureDoesNotMatch", 403),
        "s3": ("SignatureDoesNotMatch", 403),
    }


class WrongTime(Refusal):
    """Signed too long ago, or in the future."""

    answers = {
        "json": ("InvalidSignatureException", 400),
        "rest-json": ("InvalidSignatureException", 403),
        "query": ("SignatureDoesNotMatch", 403),
        "s3": ("RequestTimeTooSkewed", 403),
    }


class Expired(WrongTime):
    """A presigned URL whose time is over."""

    answers = {**WrongTime.answers, "query": ("RequestExpired", 400), "s3": ("AccessDenied", 403)}


class ExpiredToken(Refusal):
    """The token of a session that is over."""

    answers = {
        "json": ("ExpiredTokenException", 400),
        "rest-json": ("ExpiredTokenException", 403),
        "query": ("ExpiredToken", 403),
        "s3": ("ExpiredToken", 400),
    }


class NotAllowed(Refusal):
    """Signed well, by somebody whose policies do not allow it."""

    answers = {
        "json": ("AccessDeniedException", 400),
        "rest-json": ("AccessDeniedException", 403),
        "query": ("AccessDenied", 403),
        "s3": ("AccessDenied", 403),
    }


class UnsignedHeader(Refusal):
    """An x-amz-* header that the signature does not cover."""

    answers = {**WrongSignature.answers, "s3": ("AccessDenied", 403)}


class WrongPayload(Refusal):
    """The body is not the one that was signed."""

    answers = {**WrongSignature.answers, "s3": ("XAmzContentSHA256Mismatch", 400)}


class WrongChunk(WrongPayload):
    """One chunk of a streamed body, or its trailer, carries a signature that does not fit."""

    answers = {**WrongSignature.answers, "s3": ("SignatureDoesNotMatch", 403)}


class BrokenBody(WrongPayload):
    """A streamed body that is not framed as it should be, or ends too early."""

    answers = {**WrongSignature.answers, "s3": ("IncompleteBody", 400)}
