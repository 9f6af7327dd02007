"""Requests made of records, and outputs made of answers; the model here only echoes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from tidemill.errors import InvalidData
from tidemill.spec.frame import Frame
from tidemill.spec.model import Container
from tidemill.spec.transform_job import Processing, TransformJob
from tidemill.workers.serve.answers import Answer
from tidemill.workers.transform.exchange import Exchange

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"


class Model:
    """Answers each line with its length, or in JSON each document with what it was."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, frames: Sequence[Frame]) -> list[Answer]:
        return [self._answer(frame) for frame in frames]

    def _answer(self, frame: Frame) -> Answer:
        self.asked.append(frame.body)
        media = frame.head.split(b"\n")[1] or CSV.encode()
        if b"bad" in frame.body:
            return Answer(400, b"text/plain\n", b"this is bad")
        if media == JSON.encode():
            return Answer(200, media + b"\n", orjson.dumps({"got": orjson.loads(frame.body)}))
        found = [b"%d" % len(line) for line in frame.body.split(b"\n")]
        if media == LINES.encode():
            found = [b'{"length":%s}' % one for one in found]
        return Answer(200, media + b"\n", b"\n".join(found) + b"\n")


def run(data: bytes, media: str = CSV, model: Model | None = None, **changes: Any) -> bytes:
    filters = {
        k: changes.pop(k) for k in ("input_filter", "output_filter", "join") & changes.keys()
    }
    settings = {"split": "Line", "assemble": "Line", "accept": media, "content_type": media}
    job = TransformJob(
        "job",
        "arn",
        "us-east-1",
        "model",
        Container("kmeans"),
        "s3://b/in",
        "s3://b/out",
        processing=Processing(**filters),
        **{**settings, **changes},
    )
    return b"".join(Exchange(job, model or Model(), CSV).run([data]))


ROWS = b"id1,10,200\nid2,3,4\n"
DOCUMENTS = b'{"id":1,"x":[1]}\n{"id":2,"x":[22]}\n'


@pytest.mark.parametrize(
    ("media", "data", "changes", "output"),
    [
        (CSV, ROWS, {}, b"10\n7\n"),
        (CSV, ROWS, {"strategy": "SingleRecord"}, b"10\n7\n"),
        (CSV, ROWS, {"input_filter": "$[1:]"}, b"6\n3\n"),
        (CSV, ROWS, {"join": True}, b"id1,10,200,10\nid2,3,4,7\n"),
        (CSV, ROWS, {"join": True, "input_filter": "$[1:]"}, b"id1,10,200,6\nid2,3,4,3\n"),
        (CSV, ROWS, {"join": True, "output_filter": "$[0,-1]"}, b"id1,10\nid2,7\n"),
        (CSV, ROWS, {"join": True, "output_filter": "$[-1]"}, b"10\n7\n"),
        (CSV, ROWS, {"join": True, "strategy": "SingleRecord"}, b"id1,10,200,10\nid2,3,4,7\n"),
        (CSV, ROWS, {"join": True, "split": "None", "assemble": "None"},
         b"id1,10,200,10\nid2,3,4,7\n"),
        (CSV, b'"a,b",1\n', {"join": True, "output_filter": "$[0,2]"}, b'"a,b",7\n'),
        (LINES, DOCUMENTS, {"join": True},
         b'{"id":1,"x":[1],"SageMakerOutput":{"length":16}}\n'
         b'{"id":2,"x":[22],"SageMakerOutput":{"length":17}}\n'),
        (LINES, b"[1,2]\n", {"join": True},
         b'{"SageMakerInput":[1,2],"SageMakerOutput":{"length":5}}\n'),
        (LINES, DOCUMENTS, {"input_filter": "$.x", "output_filter": "$.length"}, b"3\n4\n"),
        (JSON, DOCUMENTS, {"join": True, "input_filter": "$.x",
                           "output_filter": "$['id','SageMakerOutput']"},
         b'{"id":1,"SageMakerOutput":{"got":[1]}}\n{"id":2,"SageMakerOutput":{"got":[22]}}\n'),
        (JSON, b'{\n"id": 1}', {"split": "None", "assemble": "None"}, b'{"got":{"id":1}}'),
        (CSV, b"", {}, b""),
    ],
)  # fmt: skip
def test_what_is_written(media: str, data: bytes, changes: dict[str, Any], output: bytes) -> None:
    assert run(data, media, **changes) == output


def test_requests_are_as_large_as_they_may_be() -> None:
    model = Model()
    data = b"".join(b"%0999d\n" % i for i in range(5000))
    run(data, model=model, payload_megabytes=1)
    assert b"\n".join(model.asked) + b"\n" == data
    assert [len(body) <= 1 << 20 for body in model.asked] == [True] * 5


def test_one_record_a_request_where_asked() -> None:
    model = Model()
    run(b"1\n22\n" * 400, model=model, strategy="SingleRecord")
    assert model.asked == [b"1", b"22"] * 400


@pytest.mark.parametrize(
    ("data", "changes", "said"),
    [
        (b"1\nbad\n", {}, "records 1 to 2, sent as one request.*this is bad"),
        (b"1\nbad\n", {"strategy": "SingleRecord"}, "records 2 to 2"),
        (b"1,2\n3\n", {"join": True, "output_filter": "$[2]"}, "filter .* index 2"),
        (b"\xff,1\n", {"input_filter": "$[1:]"}, "a row of CSV"),
    ],
)
def test_a_record_that_fails_is_named(data: bytes, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidData, match=said):
        run(data, **changes)
