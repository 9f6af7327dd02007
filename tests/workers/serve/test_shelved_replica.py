"""The real replica of many models, over its socket."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.workers.places import BUCKET, KMEANS, Place, start
from tests.workers.serve.replicas import CSV, Client, wait_until_ready
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.artifact.archive import MODEL, pack
from tidemill.artifact.codec import to_bytes
from tidemill.spec import shelf_counts
from tidemill.spec.frame import PONG, REQUEST
from tidemill.spec.frame import pack as frame
from tidemill.spec.home import WorkerHome
from tidemill.spec.model import MULTI
from tidemill.workers.serve.room import MEMORY

COLUMNS = 20_000
MEGABYTES = 4
DEADLY = 1000


def put_model(place: Place, number: int) -> None:
    """Of 160 kB; the distance of the row of zeros is the root of ``COLUMNS`` times the number."""
    model = KMeansModel(np.full((2, COLUMNS), number, np.float32))
    packed = pack("kmeans", {}, {MODEL: to_bytes(model)})
    place.put(f"models/{number}.tar.gz", packed)


@contextmanager
def shelf(place: Place) -> Iterator[WorkerHome]:
    container = {
        "image": KMEANS,
        "model_uri": f"s3://{BUCKET}/models/",
        "environment": {MEMORY: str(MEGABYTES)},
        "mode": MULTI,
    }
    task = {"kind": "serve", "socket": str(place.root / "r.sock"), "containers": [container]}
    home = place.write_task(place.home("r1"), task)
    struck = {f"{DEADLY}.tar.gz": [2, time.time() + 60]}  # by the processes before this one
    (home.root / "opening.json").write_text(json.dumps({"opening": [], "struck": struck}))
    process = start("serve", home)
    try:
        wait_until_ready(home)
        yield home
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0, home.log.read_text()


def ask(number: int, id: int) -> bytes:
    body = b",".join([b"0"] * COLUMNS) + b"\n"
    return frame(REQUEST, id, 0, f"{CSV}\n\n\n{number}.tar.gz".encode(), body)


@pytest.mark.slow
def test_a_replica_answers_for_many_models_in_bounded_memory(tmp_path: Path) -> None:
    place, count = Place(tmp_path), 60
    for number in range(count):
        put_model(place, number)
    with shelf(place) as home:
        with Client(place.root / "r.sock") as client:
            for _ in range(2):
                client.send(*[ask(number, number) for number in range(count)])
                found = {f.id: f for f in client.receive(count) if f.kind != PONG}
                while len(found) < count:
                    found |= {f.id: f for f in client.receive(1) if f.kind != PONG}
                for number, answer in found.items():
                    assert answer.status == 200
                    distance = float(answer.body.split(b",")[1])
                    assert distance == pytest.approx(number * COLUMNS**0.5, rel=1e-5)
            client.send(ask(count, 1))
            [answer] = client.receive(1)
            assert (answer.status, answer.head[-15:]) == (400, b"ValidationError")
            put_model(place, count)
            client.send(ask(count, 1))
            assert client.receive(1)[0].status == 200
            put_model(place, DEADLY)
            client.send(ask(DEADLY, 1))
            [answer] = client.receive(1)
            assert (answer.status, b"ended 2 processes" in answer.body) == (500, True)
        counts = read_counts(home, 2 * count + 3)
        assert counts.models <= MEGABYTES * 2**20 // (8 * COLUMNS)
        assert counts.unloading.count >= counts.loading.count - counts.models
        assert counts.downloading.count == count + 2


def read_counts(home: WorkerHome, requests: int) -> shelf_counts.ShelfCounts:
    """Once so many are written down."""
    deadline = time.monotonic() + 20
    while True:
        if home.shelf.exists():
            counts = shelf_counts.from_json(home.shelf.read_bytes())
            if counts.requests >= requests:
                return counts
        assert time.monotonic() < deadline
        time.sleep(0.02)
