"""Answers to many requests at once are those that each would get alone."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.workers.serve.replicas import CENTRES, CSV, JSON, LINES, RECORDIO, nearest
from tidemill import registry
from tidemill.algorithms.base import Columns
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.data.batch import Batch
from tidemill.data.recordio.encode import records
from tidemill.spec.frame import REQUEST, Frame
from tidemill.workers.serve.answers import Answer, Answers

NPY, NPZ, PARQUET = "application/x-npy", "application/x-npz", "application/x-parquet"
ARROW = "application/vnd.apache.arrow.stream"
TENSORS = "application/vnd.oip.v2+json"
TABLES = (NPY, NPZ, PARQUET, ARROW)
ROWS = [[1.0, 2.0, 3.0], [9.5, 0.0, 0.25], [0.0, 18.0, -1.0]]
DECLARATION = registry.declaration("kmeans")


def answers() -> Answers:
    return Answers(KMeansModel(CENTRES), DECLARATION)


def frame(body: bytes, content_type: str = CSV, accept: str = "") -> Frame:
    return Frame(REQUEST, 1, 0, f"{content_type}\n{accept}\nattributes".encode(), body)


def one(body: bytes, content_type: str = CSV, accept: str = "") -> Answer:
    [answer] = answers()([frame(body, content_type, accept)])
    return answer


def body_of(rows: Sequence[Sequence[float]], content_type: str) -> bytes:
    if content_type == CSV:
        return "".join(",".join(map(repr, row)) + "\n" for row in rows).encode()
    if content_type == JSON:
        return json.dumps({"instances": [{"features": row} for row in rows]}).encode()
    if content_type == LINES:
        return "".join(json.dumps({"features": row}) + "\n" for row in rows).encode()
    if content_type in TABLES:
        return table(rows, content_type)
    if content_type == TENSORS:
        tensor = {"name": "x", "shape": np.shape(rows), "datatype": "FP32", "data": rows}
        return json.dumps({"id": "q", "inputs": [tensor]}).encode()
    return b"".join(records(np.array(rows, np.float32), None))


def table(rows: Sequence[Sequence[float]], content_type: str) -> bytes:
    """The rows as an .npy file, an .npz, Parquet or an Arrow stream."""
    file, numbers = io.BytesIO(), np.array(rows, np.float32)
    if content_type == NPY:
        np.save(file, numbers)
    elif content_type == NPZ:
        np.savez(file, numbers)
    else:
        columns = pyarrow.table({str(i): numbers[:, i] for i in range(numbers.shape[1])})
        if content_type == PARQUET:
            pyarrow.parquet.write_table(columns, file)
        else:
            with pyarrow.ipc.new_stream(file, columns.schema) as stream:
                stream.write_table(columns)
    return file.getvalue()


@pytest.mark.parametrize("content_type", [CSV, JSON, LINES, RECORDIO])
def test_json_is_answered_whatever_was_sent(content_type: str) -> None:
    answer = one(body_of(ROWS, content_type), content_type, JSON)
    assert (answer.status, answer.head) == (200, b"application/json\n")
    found = json.loads(answer.body)["predictions"]
    said = [(p["closest_cluster"], p["distance_to_cluster"]) for p in found]
    assert np.allclose(said, nearest(ROWS), rtol=1e-6)


def test_csv_and_json_lines_are_answered_in_kind() -> None:
    csv = one(body_of(ROWS[:1], CSV))
    assert (csv.head, csv.body[:4]) == (b"text/csv\n", b"0.0,")
    lines = one(body_of(ROWS, LINES), LINES)
    assert lines.head == b"application/jsonlines\n"
    assert json.loads(lines.body.splitlines()[1])["closest_cluster"] == 1.0


def test_an_unknown_content_type_is_415() -> None:
    answer = one(b"x", "image/png")
    assert answer.status == 415
    assert b"'image/png'" in answer.body
    assert b"text/csv" in answer.body


def test_an_accept_that_cannot_be_met_is_406() -> None:
    answer = one(b"1,2,3\n", CSV, "image/png")
    assert answer.status == 406
    assert b"'image/png'" in answer.body


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"1,2\n", CSV, b"3 features"),
        (b"1,2,3,4\n", CSV, b"4 features"),
        (b"1,two,3\n", CSV, b"'two'"),
        (b"", CSV, b"0 bytes"),
        (b"{", JSON, b"JSON"),
        (b'{"rows": []}', JSON, b"$.instances"),
        (b'{"instances": [{"features": [1, "x", 3]}]}', JSON, b"features[1]"),
        (b"junk", RECORDIO, b"record 1"),
    ],
)
def test_a_bad_body_is_400_and_says_why(body: bytes, content_type: str, words: bytes) -> None:
    answer = one(body, content_type)
    assert answer.status == 400
    assert words in answer.body
    assert answer.head.startswith(b"text/plain")


class Breaks(KMeansModel):
    """Fails on rows that begin with 13."""

    def predict(self, batch: Batch) -> Columns:
        if (batch.dense()[:, 0] == 13).any():
            raise ZeroDivisionError("thirteen")
        return KMeansModel(self.centres).predict(batch)


def test_our_own_fault_is_500_for_the_request_that_met_it_alone() -> None:
    said: list[str] = []
    answer = Answers(Breaks(CENTRES), DECLARATION, said.append)
    found = answer([frame(b"1,2,3\n"), frame(b"13,2,3\n"), frame(b"4,5,6\n")])
    assert [a.status for a in found] == [200, 500, 200]
    assert b"ZeroDivisionError: thirteen" in found[1].body
    assert len(said) == 1
    assert "Traceback" in said[0]


def test_a_frame_without_a_head_is_recordio() -> None:
    body = body_of(ROWS, RECORDIO)
    [answer] = answers()([Frame(REQUEST, 1, 0, b"", body)])
    assert answer.status == 200


GOOD = [
    *[(body_of([row], kind), kind) for row in ROWS for kind in (CSV, JSON, LINES, RECORDIO)],
    *[(body_of(ROWS, kind), kind) for kind in (CSV, JSON, LINES, RECORDIO)],
    *[(body_of(ROWS[:n], kind), kind) for n in (1, 3) for kind in (*TABLES, TENSORS)],
    *[(body_of(ROWS * 30, kind), kind) for kind in (CSV, JSON, LINES)],
    (b"1,2,3", CSV),
    (b"1,2,3\r\n4,5,6\r\n", CSV),
    (b' 1, "2" ,3\n\n', CSV),
    (b'{"instances":[{"data":{"features":{"values":[1,2,3]}}}]}', JSON),
    (b'{"instances":[{"data":{"features":{"keys":[0,2],"shape":[3],"values":[1,3]}}}]}', JSON),
    (b"1,2,3\n", "text/csv; charset=utf-8"),
]
BAD = [
    (b"", CSV),
    (b"\n", CSV),
    (b'"', CSV),
    (b"1,2\n", CSV),
    (b"1,2,3\n1,2\n", CSV),
    (b"1,2,x\n", CSV),
    (b"],[", CSV),
    (b"1e38,2,3", CSV),
    (b'{"instances":[{"features":[1,2,1e308]}]}', JSON),
    (b'{"features":[1,2,1e308]}', LINES),
    (b"{", JSON),
    (b"[]", JSON),
    (b'{"instances":[]}', JSON),
    (b'{"instances":[{"features":[1,2]}]}', JSON),
    (b'{"features":[1,2,3]},{"features":[1,2,3],"x":"', LINES),
    (b"\n", LINES),
    (body_of(ROWS, RECORDIO)[:-1], RECORDIO),
    (b"", RECORDIO),
    (b"x", "image/png"),
    *[(body_of(ROWS, kind)[:-9], kind) for kind in (*TABLES, TENSORS)],
    *[(body_of([[1.0, 2.0]], kind), kind) for kind in (*TABLES, TENSORS)],
    (body_of([[1.0, 2.0, float("nan")]], NPY), NPY),
    (b"", TENSORS),
]


@pytest.mark.parametrize("seed", range(60))
def test_a_batch_is_answered_as_if_each_had_come_alone(seed: int) -> None:
    dice = random.Random(seed)
    pool = GOOD if seed % 3 == 0 else GOOD + BAD
    every = ["", JSON, CSV, LINES, RECORDIO, *TABLES, "image/png", "*/*"]
    accepts = ["", JSON] if seed % 2 else every
    frames = [
        replace(frame(*dice.choice(pool), dice.choice(accepts)), id=i)
        for i in range(dice.randint(2, 40))
    ]
    together = answers()(frames)
    for asked, found in zip(frames, together, strict=True):
        [alone] = answers()([asked])
        assert found.status == alone.status, asked
        assert found.head == alone.head
        binary = (RECORDIO, *TABLES)
        if found.status == 200 and asked.head.split(b"\n")[1].decode() not in binary:
            assert numbers(found.body) == pytest.approx(numbers(alone.body), rel=1e-5, abs=1e-5)
        elif found.status == 200:
            assert len(found.body) == len(alone.body)
        else:
            assert found.body == alone.body


def numbers(body: bytes) -> list[float]:
    return [float(n) for n in re.findall(rb"-?\d+\.?\d*(?:e-?\d+)?", body)]
