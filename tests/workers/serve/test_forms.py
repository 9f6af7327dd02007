"""Requests and answers of algorithms that have their own way, and answers that say more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tests.workers.serve.replicas import CENTRES, CSV, JSON, LINES
from tidemill import registry
from tidemill.algorithms.base import Columns
from tidemill.data.batch import Batch, of_text
from tidemill.data.content_type import ContentType
from tidemill.data.text import text_of
from tidemill.errors import InvalidData, UnsupportedType
from tidemill.spec.frame import REQUEST, Frame
from tidemill.workers.serve.answers import Answer, Answers

KMEANS = registry.declaration("kmeans")


class Shouting:
    """Answers words in capitals, one a line or as a bare list."""

    accepts: Sequence[str] = (JSON, LINES)

    def decode(self, body: bytes, content_type: ContentType) -> Batch:
        if content_type.media != JSON:
            raise UnsupportedType("JSON", got=content_type.media, do="Send JSON.")
        found = json.loads(body)
        if not isinstance(found, list):
            raise InvalidData("a list", got=found, do="Send a list.")
        return of_text(text_of(found))

    def encode(self, columns: Columns, batch: Batch, accept: ContentType) -> bytes:
        marks = "!" * int(accept.parameters.get("marks", 1))
        said = [word + marks for word in columns["loud"].tolist()]
        return "\n".join(said).encode() if accept.media == LINES else json.dumps(said).encode()


@dataclass(frozen=True, slots=True)
class Loud:
    largest: int = 100

    def predict(self, batch: Batch) -> Columns:
        assert batch.text is not None
        words = [word.upper() for word in batch.text]
        if any(len(word) > self.largest for word in words):
            raise InvalidData("a short word", got="a long one", do="Shorten it.")
        return {"loud": np.array(words)}


def ask(answers: Answers, *frames: tuple[bytes, str, str]) -> list[Answer]:
    made = [Frame(REQUEST, 1, 0, f"{c}\n{a}\n".encode(), body) for body, c, a in frames]
    return answers(made)


def loud(largest: int = 100) -> Answers:
    return Answers(Loud(largest), replace(KMEANS, dialogue=Shouting(), default_content_type=JSON))


def test_an_algorithm_reads_and_writes_in_its_own_way() -> None:
    [answer] = ask(loud(), (b'["one", "two"]', JSON, ""))
    assert (answer.status, answer.head) == (200, b"application/json\n")
    assert json.loads(answer.body) == ["ONE!", "TWO!"]


def test_accept_chooses_and_its_parameters_arrive() -> None:
    [answer] = ask(loud(), (b'["one"]', JSON, "application/jsonlines;marks=3"))
    assert (answer.head, answer.body) == (b"application/jsonlines\n", b"ONE!!!")


def test_a_request_that_names_no_type_is_of_the_declared_one() -> None:
    [answer] = ask(loud(), (b'["one"]', "", ""))
    assert json.loads(answer.body) == ["ONE!"]


def test_requests_in_one_batch_get_their_own_answers() -> None:
    bodies = [json.dumps([f"w{i}-{j}" for j in range(i)]).encode() for i in range(1, 5)]
    answers = ask(loud(), *((body, JSON, "") for body in bodies))
    for body, answer in zip(bodies, answers, strict=True):
        assert json.loads(answer.body) == [word.upper() + "!" for word in json.loads(body)]


def test_only_the_guilty_are_refused() -> None:
    bodies = [b'["one"]', b'{"no": "list"}', b'["too long a word"]', b'["two"]']
    answers = ask(loud(largest=5), *((body, JSON, "") for body in bodies))
    assert [a.status for a in answers] == [200, 400, 400, 200]
    assert json.loads(answers[3].body) == ["TWO!"]


def test_other_types_are_refused_as_such() -> None:
    sent, wanted = ask(loud(), (b"1,2", CSV, ""), (b'["one"]', JSON, CSV))
    assert (sent.status, wanted.status) == (415, 406)


def test_a_verbose_answer_has_the_further_columns() -> None:
    quiet = replace(
        KMEANS,
        response_columns=("closest_cluster",),
        verbose_columns=("distance_to_cluster",),
    )
    answers = Answers(quiet.model(CENTRES), quiet)
    brief, full = ask(
        answers, (b"1,2,3", CSV, JSON), (b"1,2,3", CSV, "application/json; verbose=true")
    )
    assert set(json.loads(brief.body)["predictions"][0]) == {"closest_cluster"}
    assert set(json.loads(full.body)["predictions"][0]) == {
        "closest_cluster",
        "distance_to_cluster",
    }
