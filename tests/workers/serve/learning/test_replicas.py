"""Real replicas that learn: nothing accepted is lost or counted twice, whatever is killed."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.places import LINEAR, Place, start
from tests.workers.serve.learning.mills import draw, trained
from tests.workers.serve.replicas import Client, wait_until_ready
from tidemill.errors import Invalid, NotFound
from tidemill.spec.frame import FEEDBACK
from tidemill.spec.frame import pack as frame
from tidemill.spec.home import WorkerHome
from tidemill.spec.learning import LABELS, STATUS, Answered, head, pack_answered
from tidemill.storage.bucket import Buckets
from tidemill.workers.serve.choose import choose

CSV = "text/csv"


@dataclass
class Variant:
    """Replicas of one variant, each a process. environment: of their container"""

    place: Place
    environment: dict[str, str]
    image: str = "linear-learner"
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    told: int = 0

    def home(self, name: str) -> WorkerHome:
        task = {
            "kind": "serve",
            "endpoint": "mill",
            "variant": "AllTraffic",
            "replica": name,
            "image": self.image,
            "model_uri": "s3://mill/model.tar.gz",
            "environment": {"TIDEMILL_LEARN": "true", **self.environment},
            "socket": str(self.place.root / f"{name}.sock"),
            "learning": str(self.place.root / "learning" / "AllTraffic-1"),
        }
        return self.place.write_task(self.place.home(name), task)

    def start(self, name: str) -> WorkerHome:
        home = self.home(name)
        home.events.unlink(missing_ok=True)
        self.processes[name] = start("serve", home)
        return home

    def up(self, *names: str) -> None:
        for home in [self.start(name) for name in names]:
            wait_until_ready(home)

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def is_up(self, name: str) -> bool:
        events = self.place.home(name).events
        return events.exists() and '"ready"' in events.read_text()

    def client(self, name: str) -> Client:
        return Client(self.place.root / f"{name}.sock")

    def feed(self, client: Client, rows: bytes, content_type: str = CSV) -> tuple[int, bytes]:
        self.told += 1
        about = head(content_type, self.told, again=False)
        client.send(frame(FEEDBACK, 7, 0, about, rows))
        [answer] = client.receive(1)
        return answer.status, answer.body

    def status(self, client: Client) -> dict[str, Any]:
        status, body = self.feed(client, b"", STATUS)
        assert status == 200
        found: dict[str, Any] = json.loads(body)
        return found

    def wait(self, name: str, rows: int) -> dict[str, Any]:
        """Until so many rows are learned, and nothing waits."""
        deadline = time.monotonic() + 20
        with self.client(name) as client:
            while True:
                found = self.status(client)
                if found["RowsLearned"] >= rows and not found["BytesWaiting"]:
                    return found
                assert time.monotonic() < deadline, (found, self.place.home(name).log.read_text())
                time.sleep(0.02)


@pytest.fixture
def variant(tmp_path: Path) -> Iterator[Variant]:
    place = Place(tmp_path)
    place.put("model.tar.gz", trained("linear-learner"))
    one = Variant(place, {"TIDEMILL_LEARN_SECONDS": "0.1"})
    yield one
    for process in one.processes.values():
        process.terminate()
    for name, process in one.processes.items():
        assert process.wait(timeout=20) == 0, place.home(name).log.read_text()


def labelled_rows(count: int, seed: int) -> bytes:
    """Of another concept than the model was trained on: all labels are the other way round."""
    batch = draw("linear-learner", count, seed)
    assert batch.labels is not None
    table = np.column_stack([1 - batch.labels, batch.dense()])
    return b"".join(b",".join(b"%.6g" % v for v in row) + b"\n" for row in table.tolist())


@pytest.mark.serial
def test_replicas_learn_through_kills(variant: Variant) -> None:
    """Two replicas are told in turn; the one that leads is killed amid it, and comes back."""
    variant.environment["TIDEMILL_LEARN_OUTPUT"] = "s3://mill/learned"
    variant.up("r1", "r2")
    question = b"2,-2,1\n"
    accepted = 0
    with variant.client("r2") as client:
        before = client.ask(question, CSV).body
        for seed in range(40):
            rows = labelled_rows(10, seed)
            for name in ("r1", "r2"):
                if not variant.is_up(name):
                    continue
                with variant.client(name) as one:
                    status, body = variant.feed(one, rows)
                    assert (status, json.loads(body)["Accepted"]) == (200, 10)
                    accepted += 10
            if seed in (5, 15, 30):
                variant.wait("r2", 1)
            if seed in (15, 30):
                variant.kill("r1")
                variant.start("r1")
    wait_until_ready(variant.place.home("r1"))
    found = [variant.wait(name, accepted) for name in ("r1", "r2")]
    assert [one["RowsLearned"] for one in found] == [accepted, accepted]
    assert found[0]["Version"] == found[1]["Version"] > 1
    losses = found[0]["ProgressiveValidation"]
    name = "binary_classification_cross_entropy_objective"
    assert losses["Current"][name] < losses["Original"][name]
    with variant.client("r1") as first, variant.client("r2") as second:
        after = first.ask(question, CSV).body
        assert after == second.ask(question, CSV).body != before
    _serves_the_same(variant, found[0]["Version"], question, after)


def _serves_the_same(variant: Variant, version: int, question: bytes, wanted: bytes) -> None:
    """The artifact of a version can be deployed: it answers as the endpoint does."""
    key = f"learned/mill/AllTraffic-1/version-{version:06d}/model.tar.gz"
    packed = variant.place.buckets.get_bytes("mill", key)
    variant.place.put("model.tar.gz", packed)
    other = Variant(Place(variant.place.root / "other"), {})
    (variant.place.root / "other").mkdir()
    (variant.place.root / "other" / "s3").symlink_to(variant.place.root / "s3")
    other.up("r9")
    with other.client("r9") as client:
        assert client.ask(question, CSV).body == wanted
        status = other.status(client)
    assert (status["Version"], status["RowsLearned"]) == (0, 0), "a fleet begins with its own"
    other.processes["r9"].terminate()
    assert other.processes["r9"].wait(timeout=20) == 0


@pytest.mark.serial
def test_feedback_is_checked_before_it_is_accepted(variant: Variant) -> None:
    variant.up("r1")
    answered = [Answered(CSV, b"1,2,3\n4,5,6\n", [1, 0]), Answered(CSV, b"1,1,1", [True])]
    with variant.client("r1") as client:
        assert json.loads(variant.feed(client, pack_answered(answered), LABELS)[1])["Accepted"] == 3
        for body, content_type, words in (
            (b"7,1,2,3\n", CSV, "must be 0 or 1"),
            (b"1,1,2\n", CSV, "must have 3 features"),
            (b"1,nan,2,3\n", CSV, "finite"),
            (b"one", CSV, "one"),
            (pack_answered([Answered(CSV, b"1,2,3", None)]), LABELS, "Add Label"),
            (pack_answered([Answered(CSV, b"1,2,3", [1, 0])]), LABELS, "got '2 labels'"),
            (b"rubbish", LABELS, "Send it again"),
        ):
            status, said = variant.feed(client, body, content_type)
            assert (status, words in said.decode()) == (400, True), said
    assert variant.wait("r1", 3)["RowsLearned"] == 3


@pytest.mark.parametrize(
    ("image", "trained_as", "environment", "words"),
    [
        ("linear-learner", "linear-learner", {}, "state.safetensors"),
        (LINEAR, "kmeans", {}, "a model of linear-learner"),
        ("linear-learner", "", {"TIDEMILL_LEARN_SECONDS": "soon"}, "TIDEMILL_LEARN_SECONDS"),
        (
            "randomcutforest",
            "randomcutforest",
            {"TIDEMILL_LEARN_HALF_LIFE": "90"},
            "older rows can count less",
        ),
        ("linear-learner", "", {"TIDEMILL_LEARN": "perhaps"}, "true or false"),
        ("linear-learner", "", {"TIDEMILL_LEARN_OUTPUT": "s3://nowhere/x"}, "nowhere"),
        ("pca", "", {}, "factorization-machines, kmeans, linear-learner, randomcutforest"),
    ],
)
def test_what_can_not_learn_says_why(
    image: str, trained_as: str, environment: dict[str, str], words: str, tmp_path: Path
) -> None:
    place = Place(tmp_path)
    has_state = "state" not in words
    place.put("model.tar.gz", trained(trained_as, state=has_state) if trained_as else b"")
    home = Variant(place, environment, image).home("r1")
    with pytest.raises((Invalid, NotFound), match=words):
        choose(home, Buckets(tmp_path / "s3"), json.loads(home.task.read_text()), print)
