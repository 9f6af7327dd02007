"""What answers at an endpoint that learns, without its processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.workers.serve.learning.mills import MILLS, Mill, draw
from tidemill.data import content_type as types
from tidemill.data.batch import to_csr
from tidemill.data.formats import recordio
from tidemill.spec.frame import FEEDBACK, REQUEST, Frame
from tidemill.spec.home import WorkerHome
from tidemill.spec.learning import LABELS, STATUS, Answered, head, pack_answered
from tidemill.workers.serve.answers import Answer
from tidemill.workers.serve.learning import learner as module
from tidemill.workers.serve.learning import log
from tidemill.workers.serve.learning.follower import Follower
from tidemill.workers.serve.learning.learner import Learner

CSV = "text/csv"


@pytest.fixture(autouse=True)
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody leads but who is told to, and versions are looked for when the test says so."""
    monkeypatch.setattr(Follower, "start", lambda self: None)


def made(mill: Mill) -> Learner:
    task = {"learning": str(mill.places.root), "replica": "r1"}
    said: list[str] = []
    return Learner(WorkerHome(mill.model.parent), task, mill.opened(), "", said.append)


@pytest.fixture
def mill(tmp_path: Path) -> Mill:
    return Mill(tmp_path, "linear-learner")


@pytest.fixture
def learner(mill: Mill) -> Iterator[Learner]:
    one = made(mill)
    yield one
    one.close()


def tell(learner: Learner, body: bytes, content_type: str = CSV, id: int = 1) -> Answer:
    [answer] = learner([Frame(FEEDBACK, 9, 0, head(content_type, id, again=False), body)])
    return answer


def status(learner: Learner) -> dict[str, object]:
    found: dict[str, object] = json.loads(tell(learner, b"", STATUS).body)
    return found


def test_feedback_and_requests_of_one_turn_are_answered_in_their_order(learner: Learner) -> None:
    def ask(body: bytes) -> Frame:
        return Frame(REQUEST, 9, 0, b"text/csv\napplication/json\n\n", body)

    def label(body: bytes, id: int) -> Frame:
        return Frame(FEEDBACK, 9, 0, head(CSV, id, again=False), body)

    turn = [label(b"1,1,2,3", 1), ask(b"1,2,3"), label(b"7,1,2,3", 2), ask(b"bad"), ask(b"3,2,1")]
    answers = learner(turn)
    assert [one.status for one in answers] == [200, 200, 400, 400, 200]
    assert json.loads(answers[0].body) == {"Accepted": 1, "Version": 0}
    assert answers[1].body.startswith(b'{"predictions"')


def test_a_version_is_taken_between_two_turns(mill: Mill, learner: Learner) -> None:
    question = [Frame(REQUEST, 1, 0, b"text/csv\n\n\n", b"1,-1,0.5")]
    before = learner(question)[0].body
    batch = draw("linear-learner", 60, 5)
    assert batch.labels is not None
    body = recordio.encode(-batch.dense(), batch.labels)
    assert tell(learner, body, types.RECORDIO).status == 200
    assert status(learner)["BytesWaiting"] == learner._log.size > 0
    mill.leader().round()
    assert learner(question)[0].body == before, "nothing was loaded yet"
    learner._follower.look()
    assert learner(question)[0].body != before
    told = status(learner)
    assert (told["Version"], told["RowsLearned"], told["BytesWaiting"]) == (1, 60, 0)


def test_a_replica_that_comes_back_has_the_current_version(mill: Mill, learner: Learner) -> None:
    tell(learner, b"1,1,2,3")
    learner.close()
    mill.leader().round()
    again = made(mill)
    assert status(again)["Version"] == 1
    assert log.names(mill.places.logs) == [again._log.name], "the earlier log is learned"
    again.close()


def test_a_flood_is_refused_and_nothing_of_it_kept(
    mill: Mill, learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 200)
    statuses = [tell(learner, b"1,1,2,3", id=id).status for id in range(1, 30)]
    assert set(statuses) == {200, 429}
    accepted = statuses.count(200)
    mill.leader().round()
    learner._follower.look()
    assert status(learner)["RowsLearned"] == accepted
    assert tell(learner, b"1,1,2,3", id=99).status == 200, "there is room again"


def test_a_long_log_is_gone_on_from_in_another_file(
    mill: Mill, learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_LOG", 100)
    for id in range(1, 10):
        tell(learner, b"1,1,2,3", id=id)
    assert len(log.names(mill.places.logs)) > 1
    mill.leader().round()
    learner._follower.look()
    assert status(learner)["RowsLearned"] == 9
    assert log.names(mill.places.logs) == [learner._log.name]


@pytest.mark.parametrize("name", MILLS)
def test_rows_may_come_in_any_form_of_requests(name: str, tmp_path: Path) -> None:
    mill = Mill(tmp_path, name)
    learner = made(mill)
    batch = draw(name, 6, 1)
    labels = batch.labels
    table = batch.dense() if labels is None else np.column_stack([labels, batch.dense()])
    lines = b"\n".join(b",".join(b"%.6g" % v for v in row) for row in table.tolist())
    sparse = to_csr(batch.dense())
    answered = Answered(
        types.JSON,
        json.dumps({"instances": [{"features": r} for r in batch.dense().tolist()]}).encode(),
        None if labels is None else labels.tolist(),
    )
    tensor = {"name": "features", "shape": [6, 3], "datatype": "FP32"}
    inputs = {"inputs": [{**tensor, "data": batch.dense().ravel().tolist()}]}
    oip = answered._replace(content_type=types.TENSORS, body=json.dumps(inputs).encode())
    for id, (content_type, body) in enumerate(
        [
            (CSV, lines),
            (types.RECORDIO, recordio.encode(batch.dense(), labels)),
            (types.RECORDIO, recordio.encode(sparse, labels)),
            (LABELS, pack_answered([answered])),
            (LABELS, pack_answered([oip])),
        ],
        1,
    ):
        answer = tell(learner, body, content_type, id)
        assert answer.status == 200, answer.body
    mill.leader().round()
    learner._follower.look()
    assert status(learner)["RowsLearned"] == 30
    learner.close()
