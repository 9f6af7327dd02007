"""Errors as S3 tells them: a code, a status, an XML document."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from tidemill import errors
from tidemill.auth.refusal import Refusal
from tidemill.errors import TidemillError
from tidemill.gateway.s3.xml import document
from tidemill.storage import errors as storage

# The class nearest to an error's own decides: (code, status, AWS's words or "" for the error's).
_ANSWERS: Mapping[type[TidemillError], tuple[str, int, str]] = {
    storage.InvalidBucketName: ("InvalidBucketName", 400, "The specified bucket is not valid."),
    storage.InvalidKey: ("InvalidURI", 400, "Couldn't parse the specified URI."),
    storage.KeyTooLong: ("KeyTooLongError", 400, "Your key is too long."),
    storage.InvalidPart: (
        "InvalidPart",
        400,
        "One or more of the specified parts could not be found.  The part may not have been "
        "uploaded, or the specified entity tag may not match the part's entity tag.",
    ),
    storage.InvalidPartOrder: (
        "InvalidPartOrder",
        400,
        "The list of parts was not in ascending order. Parts must be ordered by part number.",
    ),
    storage.PartTooSmall: (
        "EntityTooSmall",
        400,
        "Your proposed upload is smaller than the minimum allowed size",
    ),
    storage.UnknownAlgorithm: ("NotImplemented", 501, ""),
    storage.BadDigest: ("BadDigest", 400, ""),
    storage.NoSuchBucket: ("NoSuchBucket", 404, "The specified bucket does not exist"),
    storage.NoSuchKey: ("NoSuchKey", 404, "The specified key does not exist."),
    storage.NoSuchUpload: (
        "NoSuchUpload",
        404,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may "
        "have been aborted or completed.",
    ),
    storage.BucketTaken: (
        "BucketAlreadyOwnedByYou",
        409,
        "Your previous request to create the named bucket succeeded and you already own it.",
    ),
    storage.BucketNotEmpty: (
        "BucketNotEmpty",
        409,
        "The bucket you tried to delete is not empty",
    ),
    storage.BehindLink: ("AccessDenied", 403, ""),
    storage.PreconditionFailed: (
        "PreconditionFailed",
        412,
        "At least one of the pre-conditions you specified did not hold",
    ),
    errors.Invalid: ("InvalidRequest", 400, ""),
    errors.Denied: ("AccessDenied", 403, ""),
    errors.NotFound: ("NoSuchKey", 404, ""),
    errors.Conflict: ("OperationAborted", 409, ""),
    TidemillError: ("InternalError", 500, ""),
}


class Problem(TidemillError):
    """An error that only S3's own protocol knows. fields: further elements of its XML ·
    headers: beside the usual ones
    """

    def __init__(
        self,
        code: str,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        **fields: str,
    ) -> None:
        super().__init__(code, got=fields, do=message)
        self.code = code
        self.status = status
        self.message = message
        self.headers = headers or {}
        self.fields = fields


def not_implemented(what: str) -> Problem:
    """An honest no to a part of S3 that is not here."""
    return Problem(
        "NotImplemented",
        501,
        f"A header or query you provided implies functionality that is not implemented: {what}.",
    )


def invalid_argument(message: str, name: str, value: str) -> Problem:
    """A header or query parameter with a value that it cannot have."""
    return Problem("InvalidArgument", 400, message, ArgumentName=name, ArgumentValue=value)


def no_such_range(asked: str, size: int) -> Problem:
    """A range that holds no byte of the object."""
    return Problem(
        "InvalidRange",
        416,
        "The requested range is not satisfiable",
        {"content-range": f"bytes */{size}"},
        RangeRequested=asked,
        ActualObjectSize=str(size),
    )


def malformed_xml() -> Problem:
    """A body that is not the document that the operation takes."""
    return Problem(
        "MalformedXML",
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def explain(error: TidemillError) -> Problem:
    """The S3 error that tells of one of ours."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Refusal):
        code, status = error.answer("s3")
        return Problem(code, status, error.message)
    kind = next(kind for kind in type(error).__mro__ if kind in _ANSWERS)
    code, status, words = _ANSWERS[kind]
    return Problem(code, status, f"{words} ({error})" if words else str(error))


def answer(problem: Problem, *, resource: str, request_id: str, is_head: bool) -> Response:
    """The problem as a response; without a body for HEAD."""
    if is_head or problem.status == 304:
        return Response(status_code=problem.status, headers=problem.headers)
    fields = [
        ("Code", problem.code),
        ("Message", problem.message),
        *problem.fields.items(),
        ("Resource", resource),
        ("RequestId", request_id),
        ("HostId", "tidemill"),
    ]
    body = document("Error", fields, namespace="")
    return Response(body, problem.status, problem.headers, "application/xml")
