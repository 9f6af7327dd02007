"""What can never be served is known before a process is started for it."""

from __future__ import annotations

import pytest

from tidemill.control.servable import problem
from tidemill.spec.model import DIRECT, MULTI, Container, Model

ONE = Container("kmeans", "s3://mill/model.tar.gz")
MANY = Container("kmeans", "s3://mill/models/", mode=MULTI)


def model(*containers: Container, execution: str = "Serial") -> Model:
    return Model("mill", "arn", "us-east-1", containers, execution)


@pytest.mark.parametrize("count", [1, 2, 15])
def test_up_to_fifteen_containers_can_be_served(count: int) -> None:
    assert problem(model(*[ONE] * count), is_asynchronous=True) == ""
    assert problem(model(*[ONE] * count, execution=DIRECT)) == ""
    assert problem(model(MANY)) == ""


@pytest.mark.parametrize(
    ("served", "is_asynchronous", "words"),
    [
        (model(), False, "1 to 15 containers; got 0"),
        (model(*[ONE] * 16), False, "1 to 15 containers; got 16"),
        (model(ONE, MANY), False, "a model of one container"),
        (model(ONE, ONE, execution=DIRECT), True, "InvokeEndpointAsync names no model"),
        (model(MANY), True, "InvokeEndpointAsync names no model"),
        (model(ONE, Container("mine/image:1")), False, "mine/image:1"),
    ],
)
def test_what_can_not_is_told(served: Model, is_asynchronous: bool, words: str) -> None:
    said = problem(served, is_asynchronous=is_asynchronous)
    assert said.startswith("ClientError: model 'mill': ")
    assert words in said
