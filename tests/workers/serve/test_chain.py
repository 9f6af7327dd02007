"""A pipeline answers as its containers would one after another, asked by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import count

import numpy as np
import pytest

from tests.workers.serve.pipelines import MODELS, TURN
from tests.workers.serve.replicas import CSV, JSON, LINES, RECORDIO, nearest
from tests.workers.serve.test_answers import NPY, TENSORS, body_of
from tidemill import registry
from tidemill.algorithms.linear_learner.model import LinearModel
from tidemill.spec.frame import REQUEST, STREAM, Frame
from tidemill.workers.serve.answers import Answer, Answering, Answers, streamed
from tidemill.workers.serve.chain import Chain

ROWS = [[1.0, 2.0, 3.0, 4.0], [0.0, 7.5, 9.0, 0.5], [0.0, 1.0, 0.0, 0.0]]
ACCEPTS = ("", CSV, RECORDIO, JSON, LINES)


def answers(algorithm: str, accept: str = "") -> Answers:
    return Answers(MODELS[algorithm], registry.declaration(algorithm), accept=accept)


def frame(body: bytes, content_type: str = CSV, accept: str = "", id: int = 1) -> Frame:
    return Frame(REQUEST, id, 0, f"{content_type}\n{accept}\ntrace=7".encode(), body)


def by_hand(containers: Sequence[Answering], asked: Frame) -> Answer:
    """Each asked with what the one before it answered, the last one with the client's Accept."""
    content_type, accept, attributes = asked.head.split(b"\n")
    body = asked.body
    for place, one in enumerate(containers, 1):
        wanted = accept if place == len(containers) else b""
        head = b"\n".join((content_type, wanted, attributes))
        [answer] = one([Frame(REQUEST, 1, 0, head, body)])
        if answer.status != 200:
            return answer
        content_type, body = answer.head.partition(b"\n")[0], answer.body
    return answer


def said(answer: Answer) -> tuple[int, bytes, bytes]:
    return answer.status, answer.head.split(b"\n")[0], answer.body


@pytest.mark.parametrize("then", ["kmeans", "linear-learner"])
@pytest.mark.parametrize("between", ACCEPTS)
@pytest.mark.parametrize("content_type", [CSV, JSON, LINES, RECORDIO, NPY])
def test_a_chain_answers_what_asking_by_hand_does(
    then: str, between: str, content_type: str
) -> None:
    containers = [answers("pca", between), answers(then)]
    chain = Chain({"first": containers[0], "second": containers[1]})
    for accept in ("", CSV, JSON, RECORDIO):
        asked = frame(body_of(ROWS, content_type), content_type, accept)
        [answer] = chain([asked])
        assert said(answer) == said(by_hand(containers, asked))
        assert answer.status == 200, answer.body


def test_the_numbers_are_those_of_both_models() -> None:
    chain = Chain({"a": answers("pca", CSV), "b": answers("kmeans")})
    [answer] = chain([frame(body_of(ROWS, CSV), accept=CSV)])
    found = [tuple(map(float, line.split(b","))) for line in answer.body.splitlines()]
    np.testing.assert_allclose(found, _clusters(), rtol=1e-6)


def test_three_containers_follow_each_other() -> None:
    weights = np.array([100, 1], np.float32)
    linear = LinearModel("regressor", "squared_loss", weights, np.array(0, np.float32))
    last = Answers(linear, registry.declaration("linear-learner"))
    containers = [answers("pca", CSV), answers("kmeans", CSV), last]
    asked = frame(body_of(ROWS, CSV), accept=CSV)
    [answer] = Chain(dict(zip("abc", containers, strict=True)))([asked])
    assert said(answer) == said(by_hand(containers, asked))
    wanted = [100 * cluster + distance for cluster, distance in _clusters()]
    assert list(map(float, answer.body.split())) == pytest.approx(wanted)


def test_what_a_container_says_of_another_ones_answer_is_its_own_refusal() -> None:
    chain = Chain({"a": answers("pca", CSV), "b": answers("pca", CSV), "c": answers("kmeans")})
    [answer] = chain([frame(body_of(ROWS, CSV))])
    assert (answer.status, b"must have 4 features" in answer.body) == (400, True)
    names = [part.split(b"=")[0] for part in answer.head.split(b"\n")[2].split(b";")]
    assert names == [b"a", b"b"]


def test_one_turn_is_answered_as_one_by_one() -> None:
    containers = [answers("pca", CSV), answers("kmeans")]
    chain = Chain({"a": containers[0], "b": containers[1]})
    dice = random.Random(3)
    asked = []
    for id in range(200):
        rows = [[dice.randint(-8, 8) for _ in range(4)] for _ in range(dice.randint(1, 3))]
        content_type = dice.choice([CSV, JSON, LINES, RECORDIO])
        body = dice.choice([b"bad", b"1,2\n", *[body_of(rows, content_type)] * 6])
        asked.append(frame(body, content_type, dice.choice(["", CSV, JSON, "text/html"]), id))
    together = chain(asked)
    alone = [chain([one])[0] for one in asked]
    assert list(map(said, together)) == list(map(said, alone))
    assert list(map(said, together)) == [said(by_hand(containers, one)) for one in asked]
    assert {a.status for a in together} == {200, 400, 406}


def test_every_container_is_asked_once_a_turn() -> None:
    sizes: list[int] = []

    def counted(frames: Sequence[Frame]) -> Sequence[Answer]:
        sizes.append(len(frames))
        return answers("kmeans")(frames)

    bodies = [b"1,2,3,4\n", b"1,2\n", b"5,6,7,8\n"]
    Chain({"a": answers("pca", CSV), "b": counted})([frame(body) for body in bodies])
    assert sizes == [2]  # one request got no further than the first


def test_the_head_tells_which_containers_had_the_request_and_how_long() -> None:
    clock = count(step=0.25).__next__
    chain = Chain({"a": answers("pca", CSV), "b": answers("kmeans")}, clock)
    good, bad = chain([frame(b"1,2,3,4\n", accept=CSV), frame(b"1,2\n")])
    assert good.head == b"text/csv\n\na=250000;b=250000"
    assert bad.head == b"text/plain; charset=utf-8\n\na=250000"


def test_custom_attributes_and_the_target_go_to_every_container() -> None:
    heads: list[bytes] = []

    def told(attributes: bytes) -> Answering:
        def answering(frames: Sequence[Frame]) -> Sequence[Answer]:
            heads.extend(frame.head for frame in frames)
            return [Answer(200, b"x/%d\n%b" % (len(heads), attributes), f.body) for f in frames]

        return answering

    chain = Chain({"a": told(b""), "b": told(b"new"), "c": told(b"")})
    [answer] = chain([Frame(STREAM, 1, 0, b"t\nx/y\nmine\nmodel", b"body")])
    assert heads == [b"t\n\nmine\nmodel", b"x/1\n\nmine\nmodel", b"x/2\nx/y\nnew\nmodel"]
    assert answer.head.split(b"\n")[:2] == [b"x/3", b""]


def test_parts_of_an_answer_are_together_the_answer() -> None:
    chain = Chain({"a": answers("pca", CSV), "b": answers("kmeans")})
    many = frame(body_of(ROWS * 3000, CSV), accept=CSV)
    parts = streamed(chain, many)
    assert parts is not None
    found = list(parts)
    assert len(found) > 1
    assert {part.head.split(b";")[1] for part in found} == {b"b=0"}
    [whole] = chain([many])
    assert b"".join(part.body for part in found) == whole.body
    for wrong, container in ((b"1,2\n", b"a"), (b"", b"a")):
        [refusal] = list(streamed(chain, frame(wrong)) or ())
        assert (refusal.status, refusal.head.split(b"\n")[2][:1]) == (400, container)
    plain = Chain({"a": answers("pca", CSV), "b": lambda frames: answers("kmeans")(frames)})
    assert streamed(plain, many) is None


def test_the_open_inference_protocol_asks_one_model() -> None:
    chain = Chain({"a": answers("pca", CSV), "b": answers("kmeans")})
    asked = [frame(b"{}", f"{TENSORS};model=mill"), frame(b"1,2,3,4\n")]
    assert [answer.status for answer in chain(asked)] == [415, 200]
    assert [answer.status for answer in chain(asked[:1])] == [415]


def test_a_request_without_accept_is_answered_as_the_environment_says() -> None:
    one = answers("pca", LINES)
    for accept, media in (("", LINES), ("*/*", LINES), (CSV, CSV)):
        [answer] = one([frame(b"1,2,3,4\n", CSV, accept)])
        assert answer.head == f"{media}\n".encode()
    [answer] = answers("pca", "text/html")([frame(b"1,2,3,4\n")])
    assert answer.status == 406


def _clusters() -> list[tuple[float, float]]:
    """What k-means says of the projected rows."""
    return nearest((np.array(ROWS) @ TURN).tolist())
