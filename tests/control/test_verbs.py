"""The verbs, said once for every noun."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tidemill.control import endpoint_config, model
from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, NotFound
from tidemill.spec.endpoint_config import EndpointConfig, ProductionVariant
from tidemill.spec.model import Container, Model
from tidemill.store.base import Query, Row
from tidemill.store.sql import SqlStore

REGION = "us-east-1"


class Bench:
    """Verbs with a clock that ticks by itself, and a count of the times they woke the loop."""

    def __init__(self, path: Path) -> None:
        self.time, self.woken = 0.0, 0
        self.store = SqlStore(f"sqlite:///{path}/tidemill.db")
        self.verbs = Verbs(self.store, account="123456789012", clock=self.clock, wake=self.wake)

    def clock(self) -> float:
        self.time += 1.0
        return self.time

    def wake(self) -> None:
        self.woken += 1

    def make(self, name: str = "a", tags: dict[str, str] | None = None) -> Row:
        return self.verbs.create("model", REGION, name, {"n": 0}, "there", tags)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.store.close()


def test_a_thing_is_created_described_and_listed(bench: Bench) -> None:
    row = bench.make()
    assert (row.created, row.modified, row.status) == (1.0, 1.0, "there")
    assert bench.verbs.describe("model", REGION, "a") == row
    assert list(bench.verbs.list(Query("model", REGION)).rows) == [row]
    assert bench.woken == 1
    with pytest.raises(Conflict, match="model name that is free in us-east-1; got 'a'"):
        bench.make()


def test_what_is_not_there_is_named(bench: Bench) -> None:
    with pytest.raises(NotFound, match="training job in us-east-1; got 'x'"):
        bench.verbs.describe("training_job", REGION, "x")
    with pytest.raises(NotFound):
        bench.verbs.change("model", REGION, "x", lambda row: row)
    with pytest.raises(NotFound):
        bench.verbs.delete("model", REGION, "x")


def test_a_change_is_made_on_the_newest_revision(bench: Bench) -> None:
    bench.make()
    tries = []

    def change(row: Row) -> Row:
        if not tries:  # somebody is faster the first time
            bench.store.update(replace(row, document={"n": 10}))
        tries.append(row.document["n"])
        return replace(row, document={"n": row.document["n"] + 1})

    row = bench.verbs.change("model", REGION, "a", change)
    assert (tries, row.document["n"]) == ([0, 10], 11)
    assert row.modified > row.created


def test_no_change_writes_nothing(bench: Bench) -> None:
    row = bench.make()
    assert bench.verbs.change("model", REGION, "a", lambda r: r) == row
    assert bench.verbs.describe("model", REGION, "a") == row
    assert bench.woken == 1


def test_a_refusal_leaves_the_row_untouched(bench: Bench) -> None:
    row = bench.make()

    def refuse(_: Row) -> Row:
        raise Conflict("x", got="y", do="z")

    with pytest.raises(Conflict, match="x"):
        bench.verbs.change("model", REGION, "a", refuse)
    with pytest.raises(Conflict, match="x"):
        bench.verbs.delete("model", REGION, "a", lambda r: None if refuse(r) else None)
    assert bench.verbs.describe("model", REGION, "a") == row


def test_many_changes_at_once_are_all_made(bench: Bench) -> None:
    bench.make()

    def add() -> None:
        for _ in range(5):
            bench.verbs.change(
                "model", REGION, "a", lambda r: replace(r, document={"n": r.document["n"] + 1})
            )

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.verbs.describe("model", REGION, "a").document == {"n": 20}


def test_tags_live_and_die_with_their_thing(bench: Bench) -> None:
    bench.make(tags={"b": "1", "a": "2"})
    arn = bench.verbs.arn("model", REGION, "a")
    assert arn == "arn:aws:sagemaker:us-east-1:123456789012:model/a"
    bench.verbs.add_tags(arn, {"c": "3", "b": "4"})
    assert list(bench.verbs.tags(arn).items()) == [("b", "4"), ("a", "2"), ("c", "3")]
    assert list(bench.verbs.delete_tags(arn, ["a", "none"])) == ["b", "c"]
    bench.verbs.delete("model", REGION, "a")
    bench.make()
    assert bench.verbs.tags(arn) == {}


def test_tags_added_at_once_are_all_kept(bench: Bench) -> None:
    bench.make()
    arn = bench.verbs.arn("model", REGION, "a")
    threads = [
        threading.Thread(target=bench.verbs.add_tags, args=(arn, {str(i): ""})) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(bench.verbs.tags(arn)) == {str(i) for i in range(8)}


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "x",
        "arn:aws:sagemaker:us-east-1:123456789012:model/b",
        "arn:aws:sagemaker:us-east-1:123456789012:model",
        "arn:aws:sagemaker:us-east-1:210987654321:model/a",
        "arn:aws:sagemaker:eu-west-1:123456789012:model/a",
        "arn:aws:s3:us-east-1:123456789012:model/a",
    ],
)
def test_an_arn_of_nothing_has_no_tags(bench: Bench, arn: str) -> None:
    bench.make()
    with pytest.raises(NotFound, match="this ARN"):
        bench.verbs.tags(arn)
    with pytest.raises(NotFound, match="this ARN"):
        bench.verbs.add_tags(arn, {"k": "v"})


def test_a_model_and_a_config_are_read_back_as_written(bench: Bench) -> None:
    made = Model("m", "arn", REGION, (Container("i", "s3://b/k", {"a": "b"}), Container("j")))
    row = model.create(bench.verbs, made, {"ModelName": "m"}, {})
    assert model.spec(bench.verbs.describe("model", REGION, "m")) == made
    assert row.document["request"] == {"ModelName": "m"}
    config = EndpointConfig("c", "arn", REGION, (ProductionVariant("v", "m", 2, 0.5),))
    endpoint_config.create(bench.verbs, config, {}, {})
    assert endpoint_config.spec(bench.verbs.describe("endpoint_config", REGION, "c")) == config
    model.delete(bench.verbs, REGION, "m")
    endpoint_config.delete(bench.verbs, REGION, "c")
    with pytest.raises(NotFound):
        model.delete(bench.verbs, REGION, "m")


def test_a_config_needs_its_models(bench: Bench) -> None:
    config = EndpointConfig("c", "arn", REGION, (ProductionVariant("v", "none"),))
    with pytest.raises(NotFound, match="a model in us-east-1; got 'none'"):
        endpoint_config.create(bench.verbs, config, {}, {})


def test_what_is_put_is_made_or_changed_whoever_is_faster(bench: Bench) -> None:
    verbs, store = bench.verbs, bench.store

    def made() -> Row:
        return Row("model", REGION, "a", "there", 1.0, 1.0, {"n": 0})

    def changed(row: Row) -> Row:
        return replace(row, document={"n": row.document["n"] + 1})

    def taken() -> Row:
        bench.make()
        return made()

    def put(make: Callable[[], Row]) -> Row:
        return verbs.put("model", REGION, "a", make=make, change=changed, arn=lambda _: "own")

    assert put(taken).document == {"n": 1}, "somebody else made it first"
    assert put(made).document == {"n": 2}
    verbs.delete("model", REGION, "a")
    assert put(made).document == {"n": 0}
    assert verbs.delete("model", REGION, "a", arn=lambda _: "own").document == {"n": 0}
    assert store.get("model", REGION, "a") is None
