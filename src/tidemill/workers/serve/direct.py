"""Several containers of one model that are asked directly, each by its hostname."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from time import perf_counter

from tidemill.spec.frame import Frame
from tidemill.workers.serve.answers import Answer, Answering, streamed
from tidemill.workers.serve.chain import joined, passed


class Direct:
    """Answers by the container that a request names; those of a turn for one container together."""

    def __init__(
        self, containers: Mapping[str, Answering], clock: Callable[[], float] = perf_counter
    ) -> None:
        self._containers, self._clock = containers, clock

    def __call__(self, frames: Sequence[Frame]) -> list[Answer]:
        """An answer for each request frame, in their order; never raises."""
        groups: dict[str, list[int]] = {}
        for index, frame in enumerate(frames):
            groups.setdefault(frame.target, []).append(index)
        found: dict[int, Answer] = {}
        for name, indices in groups.items():
            answers = self._one(name, [frames[index] for index in indices])
            found.update(zip(indices, answers, strict=True))
        return [found[index] for index in range(len(frames))]

    def stream(self, frame: Frame) -> Iterator[Answer] | None:
        """The answer in parts, if the container that it names can give it so."""
        began = self._clock()
        parts = streamed(self._containers.get(frame.target), frame)
        if parts is None:
            return None
        name = frame.target
        return (passed(part, joined(b"", name, self._clock() - began)) for part in parts)

    def _one(self, name: str, frames: Sequence[Frame]) -> Sequence[Answer]:
        answering = self._containers.get(name)
        if answering is None:  # the router refuses such requests before they come here
            known = ", ".join(self._containers)
            text = (
                f"TargetContainerHostname must be a container of this model; got {name!r}. "
                f"It has: {known}."
            )
            refusal = Answer(HTTPStatus.BAD_REQUEST, b"text/plain; charset=utf-8\n", text.encode())
            return [refusal] * len(frames)
        began = self._clock()
        answers = answering(frames)
        trail = joined(b"", name, self._clock() - began)
        return [passed(answer, trail) for answer in answers]
