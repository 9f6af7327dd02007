"""Records in, what is to be written out: requests are made, answered here, and taken apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from tidemill.data import content_type as types
from tidemill.errors import InvalidData
from tidemill.spec.frame import REQUEST, Frame
from tidemill.spec.transform_job import DEFAULT_PAYLOAD, MEGABYTE, TransformJob
from tidemill.workers.serve.answers import Answer
from tidemill.workers.transform.process import BY_LINES, Processor
from tidemill.workers.transform.split import Blocks, records

Answering = Callable[[Sequence[Frame]], Sequence[Answer]]
AT_ONCE = 256
"""Requests of one record each that are answered together."""
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Question:
    """One request. records: as they were before the filter · first: number of the first, from 1"""

    records: Sequence[bytes]
    body: bytes
    first: int


class Exchange:
    """How the objects of one job are answered.

    default_type: of objects where the job names none
    """

    def __init__(self, job: TransformJob, answers: Answering, default_type: str) -> None:
        self._job, self._answers = job, answers
        self._processor = Processor(job.processing)
        self._type = job.content_type or default_type
        self._media = types.parse(self._type).media
        self._most = job.payload_megabytes * MEGABYTE
        self._room = self._most or DEFAULT_PAYLOAD * MEGABYTE
        self._between = b"\n" if job.split == "Line" else b""
        # A JSON document is a request of its own: two in one body are none.
        by_itself = job.split == "Line" and self._media == types.JSON
        self._alone = job.strategy == "SingleRecord" or job.split == "None" or by_itself

    def run(self, blocks: Blocks) -> Iterator[bytes]:
        """The output of an object, piece by piece. Raises InvalidData for a record that fails."""
        for group in self._groups(self._questions(blocks)):
            head = f"{self._type}\n{self._job.accept or ''}\n".encode("latin-1", "replace")
            frames = [Frame(REQUEST, i, 0, head, q.body) for i, q in enumerate(group)]
            for question, answer in zip(group, self._answers(frames), strict=True):
                yield self._assembled(self._written(question, answer))

    def _questions(self, blocks: Blocks) -> Iterator[Question]:
        first = 1
        for several in self._batches(records(blocks, self._job.split, self._most)):
            if self._job.split == "None":
                several = self._taken_apart(several[0])
            yield Question(several, self._body(several), first)
            first += len(several)

    def _batches(self, found: Iterable[bytes]) -> Iterator[list[bytes]]:
        """As many records as a request may have."""
        batch: list[bytes] = []
        size = 0
        for record in found:
            length = len(record) + len(self._between)
            if batch and (self._alone or size + length > self._room):
                yield batch
                batch, size = [], 0
            batch.append(record)
            size += length
        if batch:
            yield batch

    def _taken_apart(self, whole: bytes) -> list[bytes]:
        """An object that is one request has many records all the same, where lines are."""
        if self._job.processing.is_plain or self._media not in BY_LINES:
            return [whole]
        return list(records([whole], "Line", self._most))

    def _body(self, several: Sequence[bytes]) -> bytes:
        ask = self._processor.question
        between = b"\n" if self._media in BY_LINES else self._between
        return between.join([ask(record, self._media) for record in several])

    def _groups(self, questions: Iterable[Question]) -> Iterator[list[Question]]:
        """What is answered together: small requests, for the model is quicker with many rows."""
        group: list[Question] = []
        size = 0
        for question in questions:
            if group and (len(group) == AT_ONCE or size + len(question.body) > self._room):
                yield group
                group, size = [], 0
            group.append(question)
            size += len(question.body)
        if group:
            yield group

    def _written(self, question: Question, answer: Answer) -> bytes:
        if answer.status != HTTPStatus.OK:
            last = question.first + len(question.records) - 1
            raise InvalidData(
                f"records {question.first} to {last}, sent as one request: an answer",
                got=f"{answer.status} {answer.body[:_SHOWN].decode(errors='replace')}",
                do="Correct or remove the record.",
            )
        if not self._processor.shapes_output:
            return answer.body
        media = types.parse(answer.head.split(b"\n", 1)[0].decode("latin-1")).media
        if media not in BY_LINES or self._media not in BY_LINES:
            return self._processor.line(question.records[0], answer.body.strip(), media)
        lines = answer.body.strip(b"\r\n").split(b"\n")
        if len(lines) != len(question.records):
            raise InvalidData(
                f"an answer of {len(question.records)} lines, one for each record",
                got=f"{len(lines)} lines",
                do="Check that each record is one line, or leave DataProcessing out.",
            )
        pairs = zip(question.records, lines, strict=True)
        return b"".join([self._processor.line(r, a, media) + b"\n" for r, a in pairs])

    def _assembled(self, text: bytes) -> bytes:
        return text + b"\n" if self._job.assemble == "Line" and text[-1:] != b"\n" else text
