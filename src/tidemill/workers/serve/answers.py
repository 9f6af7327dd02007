"""Requests in, answers out, as many at once as there are; no sockets here."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, runtime_checkable

import numpy as np

from tidemill.algorithms.base import Columns, Declaration, Model
from tidemill.data import content_type as types
from tidemill.data.batch import Batch
from tidemill.data.checks import require_answers
from tidemill.data.content_type import ContentType
from tidemill.data.seam import Seam
from tidemill.errors import Missing, TidemillError, UnsupportedType
from tidemill.spec.frame import Frame
from tidemill.workers.serve.form import Form, form_of
from tidemill.workers.serve.load import Load
from tidemill.workers.serve.parts import in_parts
from tidemill.workers.serve.tensor_form import QUESTION, about, tensor_form

_TEXT = b"text/plain; charset=utf-8\n"
_BUG = "The model failed on this request; the replica's log has the details."


@dataclass(frozen=True, slots=True)
class Answer:
    """status: of HTTP · head: of a response frame (see ``spec.frame``)"""

    status: int
    head: bytes
    body: bytes


Answering = Callable[[Sequence[Frame]], Sequence[Answer]]
"""Answers request frames, in their order, and never raises."""
DEFAULT_ACCEPT = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"
"""A container's variable: how requests without a preference of their own are answered."""


@runtime_checkable
class Streaming(Protocol):
    """Who can answer in parts. None: this one is answered as any other request"""

    def stream(self, frame: Frame) -> Iterator[Answer] | None: ...


def streamed(answers: object, frame: Frame) -> Iterator[Answer] | None:
    """The parts of an answer, if they who answer can give it in parts."""
    return answers.stream(frame) if isinstance(answers, Streaming) else None


class Answers:
    """Answers by one model.

    complain: is given the traceback of what only we can have caused · accept: for requests that
    have no Accept, or one of anything; what is usual for their content type if it is empty
    """

    def __init__(
        self,
        model: Model,
        declaration: Declaration,
        complain: Callable[[str], None] = print,
        accept: str = "",
    ) -> None:
        self._model, self._declaration, self._complain = model, declaration, complain
        self._accept = accept or None

    def __call__(self, frames: Sequence[Frame]) -> list[Answer]:
        """An answer for each request frame, in their order; never raises."""
        if len(frames) == 1:
            return self._kind(_kind_of(frames[0]), [frames[0].body])
        groups: dict[tuple[bytes, bytes], list[int]] = {}
        for index, frame in enumerate(frames):
            groups.setdefault(_kind_of(frame), []).append(index)
        found: dict[int, Answer] = {}
        for kind, indices in groups.items():
            answers = self._kind(kind, [frames[i].body for i in indices])
            found.update(zip(indices, answers, strict=True))
        return [found[i] for i in range(len(frames))]

    def stream(self, frame: Frame) -> Iterator[Answer]:
        """The answer to one request in parts, which joined are the answer; never raises.

        What goes wrong after the first part is the last one, with its status.
        """
        opened = self._opened(frame)
        if opened is None:
            yield from self([frame])
            return
        form, seam, batch = opened
        head, asked = form.media.encode() + b"\n", [frame]
        del frame, opened  # no more is kept while the reader is slow than what is yet to be told
        by_row = bool(getattr(self._model, "row_by_row", False))
        try:
            for body in in_parts(form, seam, batch, self._predict, row_by_row=by_row):
                asked.clear()
                yield Answer(HTTPStatus.OK, head, body)
        except Exception as error:
            if asked:
                yield from self(asked)
            else:
                yield self._failed(error)

    def _opened(self, frame: Frame) -> tuple[Form, Seam, Batch] | None:
        """The rows of a request that can be answered in slices, and how; None for all others."""
        try:
            asked, accept = self._asked(_kind_of(frame))
            if asked.media == types.TENSORS:
                return None
            form = form_of(self._declaration, asked, accept)
            if form.seam is None:
                return None
            [load], _ = form.load([frame.body])
        except Exception:  # whoever answers it whole says what is wrong
            return None
        return form, form.seam, load.batch

    def _asked(self, kind: tuple[bytes, bytes]) -> tuple[ContentType, str | None]:
        """What a request is, and what it accepts; raises UnsupportedType."""
        content_type, accept = (text.decode("latin-1") or None for text in kind)
        if accept is None or accept == "*/*":
            accept = self._accept or accept
        return types.parse(content_type or self._declaration.default_content_type), accept

    def _kind(self, kind: tuple[bytes, bytes], bodies: Sequence[bytes]) -> list[Answer]:
        """Answers to requests of one content type and accept."""
        declared = self._declaration
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        try:
            asked, accept = self._asked(kind)
            if asked.media == types.TENSORS and QUESTION in asked.parameters:
                return [self._about(asked)] * len(bodies)
            status = HTTPStatus.NOT_ACCEPTABLE
            form = (
                tensor_form(declared, asked)
                if asked.media == types.TENSORS
                else form_of(declared, asked, accept)
            )
        except UnsupportedType as error:
            return [_refusal(status, str(error))] * len(bodies)
        found: list[Answer | None] = [None] * len(bodies)
        try:
            loads, errors = form.load(bodies)
        except Exception as error:
            return self._each(kind, bodies, error)
        for index, wrong in errors.items():
            found[index] = _refusal(_status_of(wrong), str(wrong))
        for each in loads:
            answers = self._load(each, form, kind, bodies)
            for index, made in zip(each.requests, answers, strict=True):
                found[index] = made
        return [made for made in found if made is not None]

    def _about(self, asked: ContentType) -> Answer:
        try:
            said = about(self._model, self._declaration, asked)
        except Exception as error:
            self._complain("".join(traceback.format_exception(error)))
            return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"{_BUG} ({error})")
        return Answer(HTTPStatus.OK, f"{types.JSON}\n".encode(), said)

    def _load(
        self, load: Load, form: Form, kind: tuple[bytes, bytes], bodies: Sequence[bytes]
    ) -> list[Answer]:
        try:
            columns = self._predict(load.batch)
            parts = form.deal(columns, load)
        except Exception as error:
            return self._each(kind, [bodies[i] for i in load.requests], error)
        if form.media_of is not None:
            medias = map(form.media_of, load.requests)
            pairs = zip(medias, parts, strict=True)
            return [Answer(HTTPStatus.OK, m.encode() + b"\n", body) for m, body in pairs]
        head = form.media.encode() + b"\n"
        return [Answer(HTTPStatus.OK, head, body) for body in parts]

    def _predict(self, batch: Batch) -> Columns:
        with np.errstate(over="ignore", invalid="ignore"):  # told of by the check
            columns = self._model.predict(batch)
        require_answers(columns)
        return columns

    def _each(
        self, kind: tuple[bytes, bytes], bodies: Sequence[bytes], error: Exception
    ) -> list[Answer]:
        """What failed together is tried one by one, so that only the guilty are refused."""
        if len(bodies) > 1:
            return [a for body in bodies for a in self._kind(kind, [body])]
        return [self._failed(error)]

    def _failed(self, error: Exception) -> Answer:
        if isinstance(error, TidemillError):
            return _refusal(_status_of(error), str(error))
        self._complain("".join(traceback.format_exception(error)))
        what = "".join(traceback.format_exception_only(error)).strip()
        return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"{_BUG} ({what})")


def _kind_of(frame: Frame) -> tuple[bytes, bytes]:
    content_type, accept, *_ = (*frame.head.split(b"\n", 2), b"", b"")
    return content_type, accept


def _status_of(error: TidemillError) -> HTTPStatus:
    if isinstance(error, Missing):
        return HTTPStatus.INTERNAL_SERVER_ERROR
    if isinstance(error, UnsupportedType):
        return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    return HTTPStatus.BAD_REQUEST


def _refusal(status: HTTPStatus, text: str) -> Answer:
    return Answer(status, _TEXT, text.encode())
