"""The real replica, over its socket."""

from __future__ import annotations

import json
import random
import signal
import threading
from pathlib import Path

import pytest

from tests.workers.places import LINEAR, Place, events, exit_of, start
from tests.workers.serve.replicas import (
    CENTRES,
    CSV,
    JSON,
    Client,
    nearest,
    put_model,
    replica,
    request,
    serve_task,
    wait_until_ready,
)
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.artifact.archive import MODEL, with_manifest
from tidemill.artifact.codec import to_bytes
from tidemill.spec.address import Tcp, parse
from tidemill.spec.frame import HEADER, PING, PONG, pack


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> object:
    shared = Place(tmp_path_factory.mktemp("replica"))
    with replica(shared, put_model(shared)) as socket_path:
        yield socket_path


def test_a_request_is_answered_with_its_id(path: Path) -> None:
    with Client(path) as client:
        client.send(request(b"1,2,3\n", id=77))
        [answer] = client.receive(1)
    assert (answer.id, answer.status, answer.head) == (77, 200, b"text/csv\n")
    cluster, distance = map(float, answer.body.split(b","))
    assert (cluster, distance) == pytest.approx(nearest([[1, 2, 3]])[0], rel=1e-6)


def test_a_ping_is_answered(path: Path) -> None:
    with Client(path) as client:
        client.send(pack(PING, 5, 0, b"", b""), request(b"1,2,3\n", id=6))
        found = {f.id: f.kind for f in client.receive(2)}
    assert found[5] == PONG
    assert 6 in found


def test_a_bad_request_disturbs_no_other(path: Path) -> None:
    bodies = [b"1,2,3\n", b"bad\n", b"1,2\n", b"4,5,6\n"]
    with Client(path) as client:
        client.send(*[request(body, id=i) for i, body in enumerate(bodies)])
        found = {f.id: f.status for f in client.receive(4)}
    assert found == {0: 200, 1: 400, 2: 400, 3: 200}


def test_requests_cut_anywhere_are_put_together(path: Path) -> None:
    dice = random.Random(1)
    data = b"".join(request(b"%d,0,0\n" % i, id=i) for i in range(50))
    with Client(path) as client:
        while data:
            size = dice.randint(1, 200)
            client.send(data[:size])
            data = data[size:]
        answers = {f.id: float(f.body.split(b",")[1]) for f in client.receive(50)}
    assert answers == {i: min(i, abs(i - 10)) for i in range(50)}


def test_a_large_request_and_a_slow_reader(path: Path) -> None:
    rows = 150_000
    body = b"1.5,2.5,3.5\n" * rows
    with Client(path) as client, Client(path) as other:
        frames = [request(body, accept=JSON, id=i) for i in range(3)]
        sender = threading.Thread(target=client.send, args=frames)
        sender.start()
        assert other.ask(b"1,2,3\n").status == 200  # while the first does not read
        found = client.receive(3)
        sender.join()
    assert [len(json.loads(f.body)["predictions"]) for f in found] == [rows] * 3


def test_many_connections_get_their_own_answers(path: Path) -> None:
    wrong: list[object] = []

    def talk(number: int) -> None:
        dice = random.Random(number)
        with Client(path) as client:
            for turn in range(10):
                ids = [number * 1000 + turn * 20 + i for i in range(dice.randint(1, 20))]
                frames = [
                    request(b"%d,0,0\n" % id, accept=dice.choice(["", JSON, CSV]), id=id)
                    for id in ids
                ]
                client.send(*frames)
                for f in client.receive(len(ids)):
                    distance = min(f.id, abs(f.id - 10))
                    if str(float(distance)).encode() not in f.body or f.status != 200:
                        wrong.append(f)

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert wrong == []


def test_a_frame_of_impossible_length_ends_that_connection_alone(path: Path) -> None:
    with Client(path) as client, Client(path) as other:
        client.send(HEADER.pack(2**32 - 1, 1, 1, 0, 0, 0))
        assert client.sock.recv(10) == b""
        assert other.ask(b"1,2,3\n").status == 200


def test_a_client_that_leaves_in_the_middle_is_forgotten(path: Path) -> None:
    for _ in range(5):
        with Client(path) as client:
            client.send(request(b"1,2,3\n") * 100, request(b"1,2,3\n")[:-3])
    with Client(path) as client:
        assert client.ask(b"1,2,3\n").status == 200


def test_it_says_when_it_is_ready_and_ends_well(place: Place) -> None:
    with replica(place, put_model(place)) as socket_path:
        [ready] = events(place.home("r1"), "ready")
        assert ready.message == f"unix:{socket_path}"
    assert exit_of(place.home("r1")) == {"code": 0}
    assert not socket_path.exists()


def test_it_listens_on_tcp_where_the_task_says_so(place: Place) -> None:
    home = serve_task(place, put_model(place), address="tcp:127.0.0.1:0")
    process = start("serve", home)
    wait_until_ready(home)
    [ready] = events(home, "ready")
    where = parse(ready.message)
    assert isinstance(where, Tcp)
    assert where.port > 0
    with Client((where.host, where.port)) as client:
        client.send(*[request(b"1,2,3\n", id=i) for i in range(100)])
        assert {f.status for f in client.receive(100)} == {200}
    process.terminate()
    assert process.wait(timeout=20) == 0, home.log.read_text()


@pytest.mark.serial
def test_sigterm_answers_what_has_come(place: Place) -> None:
    home = serve_task(place, put_model(place))
    process = start("serve", home)
    wait_until_ready(home)
    with Client(place.root / "r.sock") as client:
        count = 3000
        client.send(*[request(b"1,2,3\n", id=i) for i in range(count)])
        process.send_signal(signal.SIGTERM)
        assert {f.status for f in client.receive(count)} == {200}
        assert process.wait(timeout=20) == 0


def test_a_socket_that_a_killed_replica_left_is_taken_over(place: Place) -> None:
    uri = put_model(place)
    home = serve_task(place, uri)
    process = start("serve", home)
    wait_until_ready(home)
    process.kill()
    process.wait()
    assert (place.root / "r.sock").exists()
    home.events.unlink()
    with replica(place, uri) as socket_path, Client(socket_path) as client:
        assert client.ask(b"1,2,3\n").status == 200


@pytest.mark.parametrize(
    ("uri", "image", "words"),
    [
        ("s3://mill/gone.tar.gz", None, "gone.tar.gz"),
        ("s3://mill/junk.tar.gz", None, "a model.tar.gz"),
        ("s3://mill/model.tar.gz", LINEAR, "linear-learner"),
        (None, None, "ModelDataUrl"),
    ],
)
def test_a_model_that_cannot_be_served_says_why(
    place: Place, uri: str | None, image: str | None, words: str
) -> None:
    put_model(place)
    place.put("junk.tar.gz", b"junk")
    home = serve_task(place, uri, **({"image": image} if image else {}))
    assert start("serve", home).wait(timeout=20) == 1
    said = home.failure.read_text()
    assert said.startswith("ClientError: ")
    assert words in said
    assert exit_of(home) == {"code": 1}


def test_loose_files_are_served_too(place: Place) -> None:
    files = with_manifest("kmeans", {}, {MODEL: to_bytes(KMeansModel(CENTRES))})
    for name, data in files.items():
        place.put(f"out/model/{name}", data)
    with replica(place, "s3://mill/out/model/") as socket_path, Client(socket_path) as client:
        assert client.ask(b"1,2,3\n").status == 200
