"""The parts of an answer, joined, are the answer; and nobody waits for a stream to end."""

from __future__ import annotations

import importlib
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.places import Place, start
from tests.workers.serve.replicas import (
    CENTRES,
    CSV,
    JSON,
    LINES,
    RECORDIO,
    Client,
    put_model,
    serve_task,
    wait_until_ready,
)
from tests.workers.serve.replicas import replica as running
from tests.workers.serve.replicas import request as asked
from tests.workers.serve.test_answers import ARROW, NPY, NPZ, PARQUET, TENSORS, body_of
from tests.workers.serve.test_shelf import Bench
from tidemill import registry
from tidemill.algorithms.base import Columns
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.data.batch import Batch, Csr
from tidemill.errors import InvalidData
from tidemill.spec.frame import (
    COUNT,
    HEADER,
    MORE,
    PART,
    PIECE,
    REQUEST,
    RESPONSE,
    STOP,
    STREAM,
    WINDOW,
    Frame,
    pack,
    unpack,
)
from tidemill.workers.serve import parts as room
from tidemill.workers.serve.answers import Answer, Answers
from tidemill.workers.serve.chain import Chain
from tidemill.workers.serve.connection import Connection
from tidemill.workers.serve.direct import Direct
from tidemill.workers.serve.storeroom import Opened
from tidemill.workers.serve.streams import Streams

VECTORS = sorted(set(registry.BUILT_IN) - {"blazingtext"})
WHOLE = (NPY, NPZ, PARQUET, ARROW)
ACCEPTS = (JSON, LINES, CSV, RECORDIO, *WHOLE, "", "application/json;verbose=true")
CASES = [(name, "") for name in VECTORS]
CASES += [("knn", "knn, bytes"), ("linear-learner", "linear-learner, classes")]


def frame(body: bytes, content_type: str = CSV, accept: str = "", target: str = "") -> Frame:
    head = f"{content_type}\n{accept}\n\n{target}".encode()
    return Frame(REQUEST, 1, 0, head, body)


def check(answers: Answers, one: Frame) -> int:
    """That the parts are the answer; how many there were."""
    [whole] = answers([one])
    parts = list(answers.stream(one))
    assert {part.status for part in parts} == {whole.status}, parts[-1]
    assert {part.head for part in parts} == {whole.head}
    assert b"".join(part.body for part in parts) == whole.body
    return len(parts)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case[1] or case[0])
def served(request: Any) -> tuple[Answers, np.ndarray[Any, Any]]:
    """A model of each algorithm in each of its settings, and many rows for it."""
    name, title = request.param
    module = importlib.import_module(f"tests.algorithms.cases.{name.replace('-', '_')}")
    case = module.CASES[title or next(iter(module.CASES))]()
    probe = case.probe.features
    rows = np.nan_to_num(probe.to_dense() if isinstance(probe, Csr) else probe)
    rows = np.tile(rows, (-(-407 // len(rows)), 1))[:407]
    return Answers(case.trained(), case.declaration), rows


def test_parts_are_the_answer_for_every_type(
    served: tuple[Answers, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In slices so small that sums in another order would show."""
    monkeypatch.setattr(room, "FIRST_ROWS", 7)
    monkeypatch.setattr(room, "MOST_ROWS", 7)
    answers, rows = served
    body = body_of(rows, RECORDIO)
    for accept in ACCEPTS:
        parts = check(answers, frame(body, RECORDIO, accept))
        assert (parts > 1) == (accept not in WHOLE), accept


@pytest.mark.parametrize("kind", [CSV, JSON, LINES, NPY, PARQUET, TENSORS])
@pytest.mark.parametrize("count", [1, 4, 5, 99, 100, 101, 1100, 1101])
def test_parts_are_the_answer_whatever_was_sent(kind: str, count: int) -> None:
    rows = (np.arange(3.0 * count).reshape(-1, 3) / 7).astype(np.float32).tolist()
    answers = Answers(KMeansModel(CENTRES), registry.declaration("kmeans"))
    check(answers, frame(body_of(rows, kind), kind, "" if kind != NPY else JSON))


@pytest.mark.parametrize("name", ["words", "classes"])
@pytest.mark.parametrize("accept", [JSON, LINES])
def test_texts_are_answered_in_parts(name: str, accept: str) -> None:
    cases = importlib.import_module("tests.algorithms.cases.blazingtext").CASES
    models = [(make(), make().trained()) for make in cases.values()]
    case, model = next(one for one in models if getattr(one[1], name) is not None)
    lines = [{"source": f"word{i % 7} another", "k": 1 + i % 3} for i in range(350)]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    assert check(Answers(model, case.declaration), frame(body, LINES, accept)) > 1


class Choosy:
    """Answers rows up to the first that it does not like."""

    row_by_row = True

    def predict(self, batch: Batch) -> Columns:
        numbers = batch.dense()[:, 0]
        if (numbers < 0).any():
            raise InvalidData("a row", got=float(numbers.min()), do="Leave it out.")
        if (numbers > 1e6).any():
            raise ZeroDivisionError
        return {"closest_cluster": numbers}


def choosy(*bad: tuple[int, float]) -> list[Answer]:
    rows = np.ones((2000, 1), np.float32)
    for place, value in bad:
        rows[place] = value
    complaints: list[str] = []
    answers = Answers(Choosy(), registry.declaration("kmeans"), complaints.append)
    found = list(answers.stream(frame(body_of(rows.tolist(), CSV), CSV, LINES)))
    assert len(complaints) == sum(part.status == 500 for part in found)
    return found


def test_what_is_wrong_with_a_later_row_ends_the_parts() -> None:
    *parts, last = choosy((1500, -1.0))
    assert {part.status for part in parts} == {200}
    assert len(b"".join(part.body for part in parts).splitlines()) >= 100
    assert (last.status, last.head) == (400, b"text/plain; charset=utf-8\n")
    assert b"Leave it out" in last.body
    *_, last = choosy((1999, 1e7))
    assert (last.status, b"ZeroDivisionError" in last.body) == (500, True)


@pytest.mark.parametrize("bad", [-1.0, 1e7])
def test_what_is_wrong_with_the_first_rows_is_all_there_is(bad: float) -> None:
    [only] = choosy((7, bad))
    assert only.status == (400 if bad < 0 else 500)


@pytest.mark.parametrize(
    "one", [frame(b"x", "image/png"), frame(b"1,2,3\n", CSV, "image/png"), frame(b"1,two,3\n")]
)
def test_a_refusal_is_the_usual_one(one: Frame) -> None:
    answers = Answers(KMeansModel(CENTRES), registry.declaration("kmeans"))
    assert list(answers.stream(one)) == answers([one])


def test_slices_grow_and_shrink_with_what_a_row_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BYTES", 1000)
    parts = choosy()
    sizes = [part.body.count(b"\n") for part in parts]
    assert sizes[0] == room.FIRST_ROWS
    assert all(size * len(parts[0].body) / 100 <= 1000 for size in sizes[1:])
    monkeypatch.setattr(room, "BYTES", 1 << 20)
    assert [part.body.count(b"\n") for part in choosy()] == [100, 1000, 900]


# Whose turn it is


@pytest.fixture
def connection() -> Iterator[Connection]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours)


class Slow:
    """Makes a part each time it is asked."""

    def __init__(self, size: int = 1000) -> None:
        self.size, self.made = size, 0

    def __call__(self, frames: Any) -> list[Answer]:
        raise AssertionError("asked whole")

    def stream(self, frame: Frame) -> Iterator[Answer]:
        for _ in range(int(frame.body)):
            self.made += 1
            yield Answer(200, b"text/csv\n", b"x" * self.size)


def stream(id: int, parts: int) -> Frame:
    return Frame(STREAM, id, 0, b"\n\n\n", b"%d" % parts)


def said(streams: Streams) -> list[tuple[int, int, int]]:
    """Kind, id and bytes of what the next turn says."""
    frames, _ = unpack(streams.step()[1])
    return [(each.kind, each.id, len(each.body)) for each in frames]


def test_streams_take_turns(connection: Connection) -> None:
    streams = Streams(Slow())
    assert streams.take(connection, [stream(1, 2), stream(2, 1)]) == []
    found = []
    while streams.has_work:
        found += said(streams)
    part = 1000
    assert found == [
        (PART, 1, part), (PART, 2, part), (PART, 1, part), (RESPONSE, 2, 0), (RESPONSE, 1, 0),
    ]  # fmt: skip
    assert not streams


@pytest.mark.parametrize("size", [1000, PIECE + 1, 10 * PIECE])
def test_nothing_is_made_that_is_not_asked_for(connection: Connection, size: int) -> None:
    slow = Slow(size)
    streams = Streams(slow)
    streams.take(connection, [stream(1, 1000)])
    sent = 0
    while streams.has_work:
        sent += sum(size for _, _, size in said(streams))
    assert WINDOW <= sent < WINDOW + PIECE
    made = slow.made
    streams.take(connection, [Frame(MORE, 1, 0, b"", COUNT.pack(1000))])
    streams.take(connection, [Frame(MORE, 1, 0, b"", COUNT.pack(WINDOW))])
    while streams.has_work:
        sent += sum(size for _, _, size in said(streams))
    assert slow.made > made or size > WINDOW
    assert sent < 2 * WINDOW + 1000 + PIECE


def test_a_stream_that_is_stopped_ends_at_once(connection: Connection) -> None:
    slow = Slow(WINDOW)
    streams = Streams(slow)
    streams.take(connection, [stream(1, 1000)])
    while streams.has_work:
        said(streams)
    streams.take(connection, [Frame(STOP, 1, 0, b"", b""), Frame(STOP, 2, 0, b"", b"")])
    assert said(streams) == [(RESPONSE, 1, 0)]
    assert (slow.made, len(streams)) == (1, 0)
    streams.take(connection, [Frame(STOP, 1, 0, b"", b""), Frame(MORE, 1, 0, b"", COUNT.pack(1))])
    assert not streams.has_work


def test_a_connection_that_is_gone_takes_its_streams_along(connection: Connection) -> None:
    streams = Streams(Slow())
    streams.take(connection, [stream(1, 2)])
    streams.forget(connection)
    assert not streams
    assert not streams.has_work


def test_who_cannot_answer_in_parts_answers_whole(connection: Connection) -> None:
    streams = Streams(lambda frames: frames)
    [whole] = streams.take(connection, [stream(1, 2)])
    assert (whole.kind, whole.id) == (REQUEST, 1)


def test_a_container_that_is_asked_directly_answers_in_parts() -> None:
    answers = Answers(KMeansModel(CENTRES), registry.declaration("kmeans"))
    direct = Direct({"one": answers}, clock=lambda: 0.0)
    asked = frame(b"1,2,3\n" * 500, CSV, LINES, "one")
    parts = direct.stream(asked)
    assert parts is not None
    found = list(parts)
    assert len(found) > 1
    assert {part.head for part in found} == {b"application/jsonlines\n\none=0"}
    assert b"".join(part.body for part in found) == answers([asked])[0].body
    assert direct.stream(frame(b"1", target="two")) is None


def test_one_of_many_models_answers_in_parts_once_it_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, answers = Bench(tmp_path), Answers(KMeansModel(CENTRES), registry.declaration("kmeans"))
    monkeypatch.setattr(bench.source, "open", lambda *_: Opened(answers, lambda: 100))
    asked = frame(b"1,2,3\n" * 500, CSV, LINES, "a")
    assert bench.shelf.stream(asked) is None
    bench.answer("a")
    parts = bench.shelf.stream(asked)
    assert parts is not None
    assert b"".join(part.body for part in parts) == answers([asked])[0].body
    assert bench.ledger.told().hits == 1


def test_the_last_container_of_a_pipeline_answers_in_parts() -> None:
    kmeans = Answers(KMeansModel(CENTRES), registry.declaration("kmeans"))
    as_it_is = [Answer(200, b"text/csv\n", b"1,2,3\n" * 500)]
    chain = Chain({"first": lambda frames: as_it_is * len(frames), "last": kmeans}, lambda: 0.0)
    asked = frame(b"any", CSV, LINES)
    parts = list(chain.stream(asked) or ())
    assert len(parts) > 1
    [whole] = chain([asked])
    assert b"".join(part.body for part in parts) == whole.body
    assert {part.head for part in parts} == {whole.head}


# The real replica


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = Place(tmp_path_factory.mktemp("replica"))
    with running(place, put_model(place)) as socket_path:
        yield socket_path


def streaming(body: bytes, accept: str = JSON, id: int = 1) -> bytes:
    whole = bytearray(asked(body, CSV, accept, id=id))
    whole[8] = STREAM
    return bytes(whole)


def test_others_are_answered_while_a_stream_goes_on(path: Path) -> None:
    body = b"1.5,2.5,3.5\n" * 20_000
    with Client(path) as client, Client(path) as other:
        client.send(streaming(body))
        assert other.ask(b"1,2,3\n").status == 200  # while the first takes nothing
        client.send(asked(b"1,2,3\n", id=2))
        got: list[Frame] = []
        while not got or (got[-1].kind, got[-1].id) != (RESPONSE, 1):
            found = client.receive(1)
            got += found
            size = sum(len(each.body) for each in found if each.kind == PART)
            client.send(pack(MORE, 1, 0, b"", COUNT.pack(size)))
        assert (RESPONSE, 2) in [(each.kind, each.id) for each in got[:-1]]
        parts = b"".join(each.body for each in got if each.kind == PART)
        client.send(asked(body, CSV, JSON, id=3))
        [whole] = client.receive(1)
        assert parts == whole.body


@pytest.mark.serial
def test_sigterm_lets_a_stream_end(tmp_path: Path) -> None:
    place = Place(tmp_path)
    home = serve_task(place, put_model(place))
    process = start("serve", home)
    wait_until_ready(home)
    with Client(place.root / "r.sock") as client:
        client.send(streaming(b"1.5,2.5,3.5\n" * 20_000))
        got = client.receive(1)
        process.terminate()
        while got[-1].kind != RESPONSE:
            with suppress(ConnectionError):  # it has said all, and ended
                client.send(pack(MORE, 1, 0, b"", COUNT.pack(sum(len(f.body) for f in got))))
            got = client.receive(1)
        assert got[-1].status == 200
        assert process.wait(timeout=20) == 0


def test_a_body_that_is_read_by_nobody_is_not_made(path: Path) -> None:
    with Client(path) as client:
        client.send(streaming(b"1.5,2.5,3.5\n" * 20_000, id=7))
        got = b""
        while len(got) < WINDOW:
            got += client.sock.recv(1 << 18)
        with Client(path) as other:
            for _ in range(20):
                assert other.ask(b"1,2,3\n").status == 200
        client.sock.setblocking(False)
        with suppress(BlockingIOError):
            got += client.sock.recv(1 << 20)
        assert len(got) < WINDOW + 2 * PIECE + 100 * HEADER.size
        client.sock.settimeout(20)
        client.send(pack(STOP, 7, 0, b"", b""))
        frames, used = unpack(got)
        left = got[used:]
        while frames[-1].kind != RESPONSE:
            left += client.sock.recv(1 << 18)
            more, used = unpack(left)
            frames, left = frames + more, left[used:]
        assert frames[-1].id == 7
