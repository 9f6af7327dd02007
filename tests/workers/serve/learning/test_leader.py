"""Versions are made of what replicas were told: once each, and the same however often it dies."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.workers.serve.learning.mills import MILLS, Mill, draw
from tidemill.artifact import archive
from tidemill.artifact.codec import to_bytes
from tidemill.data.batch import Batch, concatenate
from tidemill.training.together import go_on
from tidemill.workers.serve.learning import log
from tidemill.workers.serve.learning.leader import Leader
from tidemill.workers.serve.learning.version import Versions

NAMES = pytest.mark.parametrize("name", MILLS)


class Killed(BaseException):
    """From one moment to the next."""


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    one = Mill(tmp_path, "kmeans")
    yield one
    one.close()


@NAMES
def test_versions_are_what_hosts_would_learn_by_hand(name: str, tmp_path: Path) -> None:
    mill = Mill(tmp_path, name)
    leader, opened = mill.leader(), mill.opened()
    state = opened.state
    for seed in (1, 2):
        parts = [draw(name, 30, seed), draw(name, 7, seed + 10)]
        for batch in parts[0].split(4):
            mill.tell("r1", batch)
        mill.tell("r2", parts[1])
        assert leader.round()
        state = go_on(opened.algorithm, state, parts)
    assert mill.versions.read(2, archive.STATE) == to_bytes(state)
    model = to_bytes(opened.algorithm.finalize(state))
    assert mill.versions.read(2, archive.MODEL) == model
    assert mill.versions.about(2).rows == 74
    assert mill.published == [1, 2]
    assert not leader.round(), "nothing was told since"
    mill.close()


@NAMES
def test_rows_are_predicted_before_they_are_learned_from(name: str, tmp_path: Path) -> None:
    mill = Mill(tmp_path, name)
    leader, opened = mill.leader(), mill.opened()
    batches = [draw(name, 20, seed) for seed in (1, 2, 3)]
    for batch in batches:
        mill.tell("r1", batch)
        leader.round()
    about = mill.versions.about(3)
    evaluation = opened.algorithm.evaluate(opened.model, concatenate(batches))
    if evaluation is not None:
        first = evaluation.measures()[0]
        assert about.original[first.name] == pytest.approx(first.value)
        assert about.current.keys() == about.original.keys()
    else:
        scores = opened.model.predict(concatenate(batches))["score"]
        assert about.original == {"mean_score": pytest.approx(scores.mean())}
    assert about.latest.keys() == {"original", "current"}
    mill.close()


@NAMES
def test_killed_anywhere_the_same_versions_come_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes over makes the very version that was begun, whatever has come since."""
    whole, broken = (Mill(tmp_path / place, name) for place in ("whole", "broken"))
    opened = whole.opened()
    leader = whole.leader(opened)
    steps = [
        (Leader, "_learned"),
        (Leader, "_validated"),
        (Versions, "write"),
        (Versions, "_in_place"),
    ]
    monkeypatch.setattr(time, "time_ns", lambda: 7)  # of which logs have their names
    for number in range(4):
        for mill in (whole, broken):
            mill.tell("r1", draw(name, 9, number))
            mill.tell("r2", draw(name, 5, 20 + number))
        leader.round()
        kind, step = steps[number]
        with monkeypatch.context() as deadly:
            deadly.setattr(kind, step, _die)
            with pytest.raises(Killed):
                broken.leader(opened).round()
        late = draw(name, 3, 40 + number)
        for mill in (whole, broken):
            mill.tell("r1", late)  # while nobody leads; it is of the next version
        broken.leader(opened).round()
        assert broken.files() == whole.files()
    whole.close()
    broken.close()


def _die(*_: object, **__: object) -> None:
    raise Killed


def test_feedback_that_two_replicas_have_counts_once(mill: Mill) -> None:
    leader = mill.leader()
    first = mill.tell("r1", draw("kmeans", 5, 1))
    leader.round()
    mill.tell("r2", draw("kmeans", 5, 1), first, again=True)  # r1 died before it had answered
    mill.tell("r2", draw("kmeans", 2, 2))
    leader.round()
    assert mill.versions.about(2).rows == 7
    second = mill.tell("r2", draw("kmeans", 4, 3), 99, again=True)
    leader = mill.leader()  # another one, by what is written
    leader.round()
    mill.tell("r1", draw("kmeans", 4, 3), second)  # found only now
    leader.round()
    assert mill.versions.about(4).rows == 11


def test_logs_go_once_they_are_learned_and_closed(mill: Mill) -> None:
    leader = mill.leader()
    mill.tell("r1", draw("kmeans", 5, 1))
    leader.round()
    assert len(log.names(mill.places.logs)) == 1, "r1 may go on with it"
    mill.end("r1")
    mill.tell("r1", draw("kmeans", 3, 2))
    mill.end("r1")
    assert mill.leader().round()
    assert log.names(mill.places.logs) == []
    mill.tell("r1", draw("kmeans", 3, 3))
    leader = mill.leader()
    leader.round()
    about = mill.versions.about(3)
    assert about.rows == 11
    assert len(about.absorbed) == 1, "nothing is kept of logs that are gone"


def test_what_a_killed_replica_left_of_a_record_is_passed_over(mill: Mill) -> None:
    mill.tell("r1", draw("kmeans", 5, 1))
    [name] = log.names(mill.places.logs)
    with log.path_of(mill.places.logs, name).open("ab") as file:
        file.write(b"\x40\0\0\0half a record")
    mill.end("r1")
    mill.leader().round()
    assert mill.versions.about(1).rows == 5
    assert log.names(mill.places.logs) == []


def test_a_part_that_can_not_be_learned_does_not_end_learning(tmp_path: Path) -> None:
    mill = Mill(tmp_path, "linear-learner")
    leader = mill.leader()
    mill.tell("r1", draw("linear-learner", 5, 1))
    mill.tell("r2", Batch(np.ones((2, 3), np.float32), np.array([7, 8], np.float32)))
    leader.round()
    about = mill.versions.about(1)
    assert (about.rows, about.refused) == (5, 2)
    assert "labels of a binary_classifier must be 0 or 1" in about.reason
    mill.tell("r2", Batch(np.ones((2, 3), np.float32), np.array([7, 8], np.float32)))
    leader.round()
    assert mill.versions.about(2).refused == 4
    assert mill.versions.read(2, archive.STATE) == mill.versions.read(1, archive.STATE)
    mill.tell("r1", draw("linear-learner", 5, 2))
    leader.round()
    assert mill.versions.about(3).rows == 10
    mill.close()


def test_old_versions_go(mill: Mill) -> None:
    leader = mill.leader()
    for seed in range(5):
        mill.tell("r1", draw("kmeans", 2, seed))
        leader.round()
    assert sorted(p.name for p in mill.places.versions.iterdir()) == ["000003", "000004", "000005"]


def test_a_new_fleet_begins_with_its_own_artifact(mill: Mill) -> None:
    mill.tell("r1", draw("kmeans", 5, 1))
    mill.leader().round()
    shutil.rmtree(mill.places.root)
    assert mill.leader().version == 0
