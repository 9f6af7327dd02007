"""A replica's task says who answers."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.workers.places import KMEANS, Place
from tests.workers.serve.pipelines import container
from tests.workers.serve.replicas import CSV, put_model
from tidemill.errors import InvalidData, NotFound
from tidemill.spec.frame import REQUEST, Frame
from tidemill.spec.model import DIRECT, Container
from tidemill.workers.serve.answers import Answer, Answers
from tidemill.workers.serve.choose import choose

ROW = b"1,2,3,4\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def chosen(place: Place, *containers: Container, **more: Any) -> tuple[Any, str]:
    first = containers[0]
    task = {"image": first.image, "model_uri": first.model_uri, "environment": {}}
    several = {"containers": [asdict(each) for each in containers]}
    return choose(place.home(), place.buckets, {**task, **several, **more}, print)


def ask(answering: Any, body: bytes = ROW, target: str = "") -> Answer:
    [answer] = answering([Frame(REQUEST, 1, 0, f"{CSV}\n{CSV}\n\n{target}".encode(), body)])
    assert isinstance(answer, Answer)
    return answer


def test_one_container_answers_by_itself(place: Place) -> None:
    answering, said = chosen(place, container(place, "kmeans"))
    assert isinstance(answering, Answers)
    assert said == "K-Means from s3://mill/kmeans/model.tar.gz"
    assert ask(answering, b"1,2,3\n").head == b"text/csv\n"


def test_a_task_of_before_names_its_one_container(place: Place) -> None:
    task = {"image": KMEANS, "model_uri": put_model(place), "containers": []}
    answering, _ = choose(place.home(), place.buckets, task, print)
    assert ask(answering, b"1,2,3\n").status == 200


def test_several_containers_answer_in_turn_each_from_a_directory_of_its_own(place: Place) -> None:
    steps = [container(place, "pca", accept=CSV), container(place, "kmeans")]
    answering, said = chosen(place, *steps)
    assert said.count(" from s3://mill/") == 2
    answer = ask(answering)
    assert (answer.status, answer.head.count(b"container-")) == (200, 2)
    assert [path.name for path in sorted(place.home().model.iterdir())] == [
        "container-1",
        "container-2",
    ]


def test_or_each_when_it_is_named(place: Place) -> None:
    steps = [container(place, "pca", "turn"), container(place, "kmeans", "cluster")]
    answering, _ = chosen(place, *steps, execution=DIRECT)
    projected = ask(answering, target="turn")
    assert projected.body == b"5.0,6.0,3.0\n"
    assert ask(answering, projected.body, "cluster").status == 200
    assert ask(answering, target="cluster").status == 400


def test_one_artifact_that_is_missing_or_of_another_algorithm_ends_the_replica(
    place: Place,
) -> None:
    good = container(place, "pca")
    with pytest.raises(NotFound):
        chosen(place, good, replace(good, model_uri="s3://mill/none/model.tar.gz"))
    with pytest.raises(InvalidData):
        chosen(place, good, replace(good, image=KMEANS))
