"""An inference pipeline: containers that answer one after another, whole turns at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from time import perf_counter

from tidemill.data import content_type as types
from tidemill.spec.frame import REQUEST, Frame
from tidemill.workers.serve.answers import Answer, Answering, Streaming, streamed

_TYPE, _ACCEPT, _ATTRIBUTES, _TARGET = range(4)


class Chain:
    """Answers as the containers would if each were asked by hand with what the one before answered.

    All requests of a turn go through the first container at once, their answers through the second
    and so on, so that each works on a batch. One that a container refuses goes no further, and is
    answered with the refusal. The client's Accept is the last container's; the others answer as is
    usual for them, or as their environment says (``answers.DEFAULT_ACCEPT``). Custom attributes go
    to every container, and those that one answers with, to the ones after it.
    """

    def __init__(
        self, containers: Mapping[str, Answering], clock: Callable[[], float] = perf_counter
    ) -> None:
        *self._before, (self._name, self._last) = containers.items()
        self._clock = clock

    def __call__(self, frames: Sequence[Frame]) -> list[Answer]:
        """An answer for each request frame, in their order; never raises."""
        found, asked, trail = self._until_last(frames)
        if asked:
            began = self._clock()
            answers = self._last(list(asked.values()))
            trail = joined(trail, self._name, self._clock() - began)
            pairs = zip(asked, answers, strict=True)
            found |= {index: passed(answer, trail) for index, answer in pairs}
        return [found[index] for index in range(len(frames))]

    def stream(self, frame: Frame) -> Iterator[Answer] | None:
        """The answer in parts, where the last container can give it so; the others answer whole."""
        if not isinstance(self._last, Streaming):
            return None
        found, asked, trail = self._until_last([frame])
        if found:
            return iter(found.values())
        trail = joined(trail, self._name, 0.0)  # it has yet to begin
        parts = streamed(self._last, asked[0]) or self._last([asked[0]])
        return (passed(part, trail) for part in parts)

    def _until_last(
        self, frames: Sequence[Frame]
    ) -> tuple[dict[int, Answer], dict[int, Frame], bytes]:
        """Refusals on the way to the last container, the requests that come to it, by their places,
        and the containers that all these have been through.
        """
        found: dict[int, Answer] = {}
        asked: dict[int, Frame] = {}
        for index, frame in enumerate(frames):
            if frame.head.startswith(_PROTOCOL):
                found[index] = _NOT_OF_PROTOCOL
            else:
                asked[index] = _to(frame, b"")
        trail = b""
        for name, answering in self._before:
            began = self._clock()
            answers = answering(list(asked.values())) if asked else ()
            trail = joined(trail, name, self._clock() - began)
            pairs = list(zip(asked.items(), answers, strict=True))
            found |= {i: passed(a, trail) for (i, _), a in pairs if a.status != HTTPStatus.OK}
            asked = {i: _next(f, a) for (i, f), a in pairs if a.status == HTTPStatus.OK}
        return found, {i: _to(f, _lines(frames[i].head)[_ACCEPT]) for i, f in asked.items()}, trail


def joined(trail: bytes, name: str, seconds: float) -> bytes:
    """The third line of an answer's head once another container has had the request."""
    mine = f"{name}={seconds * 1e6:.0f}".encode()
    return trail + b";" + mine if trail else mine


def passed(answer: Answer, trail: bytes) -> Answer:
    """The answer with word of who gave it.

    >>> passed(Answer(200, b"text/csv\\n", b"1\\n"), b"container-1=85").head
    b'text/csv\\n\\ncontainer-1=85'
    """
    return Answer(answer.status, _told(answer.head, trail), answer.body)


def _to(frame: Frame, accept: bytes) -> Frame:
    """The request as a container gets it."""
    return Frame(REQUEST, frame.id, 0, _accepting(frame.head, accept), frame.body)


def _next(frame: Frame, answer: Answer) -> Frame:
    """A container's answer as a request to the one after it."""
    return Frame(REQUEST, frame.id, 0, _asking(frame.head, answer.head), answer.body)


# Heads are few: those of a turn are mostly alike.


@lru_cache(maxsize=256)
def _told(head: bytes, trail: bytes) -> bytes:
    content_type, attributes = _lines(head)[:2]
    return b"\n".join((content_type, attributes, trail))


@lru_cache(maxsize=256)
def _accepting(head: bytes, accept: bytes) -> bytes:
    lines = _lines(head)
    lines[_ACCEPT] = accept
    return b"\n".join(lines)


@lru_cache(maxsize=256)
def _asking(head: bytes, said: bytes) -> bytes:
    lines = _lines(head)
    content_type, attributes = _lines(said)[:2]
    lines[_TYPE] = content_type
    lines[_ATTRIBUTES] = attributes or lines[_ATTRIBUTES]
    return b"\n".join(lines)


def _lines(head: bytes) -> list[bytes]:
    lines = head.split(b"\n", _TARGET)
    return lines + [b""] * (_TARGET + 1 - len(lines))


_PROTOCOL = types.TENSORS.encode()
_NOT_OF_PROTOCOL = Answer(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    b"text/plain; charset=utf-8\n",
    b"The Open Inference Protocol asks one model by the names of its tensors; this endpoint has a "
    b"pipeline of several. Use InvokeEndpoint.",
)
