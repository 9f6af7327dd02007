"""A real replica for the tests, and a client that speaks frames."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.workers.places import KMEANS, Place, start
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.artifact.archive import MODEL, pack
from tidemill.artifact.codec import to_bytes
from tidemill.spec.frame import REQUEST, Frame, unpack
from tidemill.spec.frame import pack as frame
from tidemill.spec.home import WorkerHome

CENTRES = np.array([[0, 0, 0], [10, 0, 0], [0, 20, 0]], np.float32)
CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
RECORDIO = "application/x-recordio-protobuf"


def put_model(place: Place) -> str:
    packed = pack("kmeans", {"k": 3}, {MODEL: to_bytes(KMeansModel(CENTRES))})
    return place.put("model.tar.gz", packed)


def serve_task(place: Place, model_uri: str | None, image: str = KMEANS, **more: str) -> WorkerHome:
    task = {
        "kind": "serve",
        "endpoint": "mill",
        "region": "us-east-1",
        "variant": "AllTraffic",
        "replica": "r1",
        "image": image,
        "model_uri": model_uri,
        "environment": {},
        "socket": str(place.root / "r.sock"),
        **more,
    }
    return place.write_task(place.home("r1"), task)


@contextmanager
def replica(place: Place, model_uri: str) -> Iterator[Path]:
    """The socket of a running replica; it ends with SIGTERM and must end well."""
    home = serve_task(place, model_uri)
    process = start("serve", home)
    try:
        wait_until_ready(home)
        yield place.root / "r.sock"
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0, home.log.read_text()


def wait_until_ready(home: WorkerHome) -> None:
    deadline = time.monotonic() + 20
    while not (home.events.exists() and '"ready"' in home.events.read_text()):
        assert time.monotonic() < deadline, home.log.read_text()
        assert not home.exit.exists(), home.log.read_text()
        time.sleep(0.01)


def request(body: bytes, content_type: str = CSV, accept: str = "", *, id: int = 1) -> bytes:
    return frame(REQUEST, id, 0, f"{content_type}\n{accept}\n".encode(), body)


class Client:
    """One connection, to a socket's path or to a host and a port."""

    def __init__(self, where: Path | tuple[str, int]) -> None:
        over_tcp = isinstance(where, tuple)
        self.sock = socket.socket(socket.AF_INET if over_tcp else socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(where if over_tcp else str(where))
        self._buffer = bytearray()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    def send(self, *frames: bytes) -> None:
        self.sock.sendall(b"".join(frames))

    def receive(self, count: int) -> list[Frame]:
        found: list[Frame] = []
        while len(found) < count:
            piece = self.sock.recv(1 << 18)
            assert piece, "the replica closed the connection"
            self._buffer += piece
            frames, used = unpack(self._buffer)
            del self._buffer[:used]
            found += frames
        return found

    def ask(self, body: bytes, content_type: str = CSV, accept: str = "") -> Frame:
        self.send(request(body, content_type, accept))
        return self.receive(1)[0]


def nearest(rows: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """What k-means answers: (closest_cluster, distance_to_cluster) of each row."""
    distances = np.linalg.norm(np.array(rows)[:, None] - CENTRES, axis=2)
    return [(float(d.argmin()), float(d.min())) for d in distances]
