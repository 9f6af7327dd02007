"""What is kept of an endpoint's variants."""

from __future__ import annotations

from dataclasses import asdict, replace

import orjson
import pytest

from tidemill.control import model
from tidemill.control.plan.endpoint import route
from tidemill.control.plan.fleet import TIMEOUT_VARIABLE, Deployed, begin, from_document
from tidemill.spec.model import DIRECT, MULTI, Container, Model
from tidemill.spec.route import TIMEOUT, RoutingTable, from_json
from tidemill.store.base import Row

ONE, TWO = Container("kmeans", "s3://mill/1", hostname="one"), Container("pca", hostname="two")
PLAIN = Deployed("v", "m", "kmeans", "s3://mill/1", {}, 1.0, 1)


def test_containers_are_read_as_they_were_written() -> None:
    variant = replace(PLAIN, containers=(ONE, TWO), execution=DIRECT)
    state = begin("/home", "c", [variant])
    assert from_document(orjson.loads(orjson.dumps(state.to_document()))) == state


def test_rows_of_before_are_of_one_container() -> None:
    document = begin("/home", "c", [PLAIN]).to_document()
    for name in ("containers", "execution"):
        del document["variants"][0][name]
    [variant] = from_document(document).variants
    assert variant == PLAIN
    assert (variant.targets, variant.multi_model) == ((), False)
    old = asdict(Model("m", "arn", "r", (Container("kmeans", "s3://mill/1"),)))
    del old["execution"]
    for name in ("hostname", "mode", "cache"):
        del old["containers"][0][name]
    row = Row("model", "r", "m", "", 0.0, 0.0, {"spec": old})
    assert model.spec(row).containers == (Container("kmeans", "s3://mill/1"),)


def test_the_routing_table_says_what_a_request_must_name() -> None:
    direct = replace(PLAIN, name="d", containers=(ONE, TWO), execution=DIRECT)
    serial = replace(PLAIN, name="s", containers=(ONE, TWO))
    many = replace(PLAIN, name="m", containers=(replace(ONE, mode=MULTI),))
    made = route("mill", "r", begin("/home", "c", [direct, serial, many]))
    table = from_json(RoutingTable("1", {("r", "mill"): made}).to_json())
    told = [(v.targets, v.multi_model) for v in table.routes["r", "mill"].variants]
    assert told == [(("one", "two"), False), ((), False), ((), True)]


@pytest.mark.parametrize(
    ("seconds", "timeout"), [(["90", "20"], 90), (["", "20"], 20), (["x", "0"], TIMEOUT)]
)
def test_the_slowest_container_says_how_long_all_of_them_may_take(
    seconds: list[str], timeout: float
) -> None:
    environments = [{TIMEOUT_VARIABLE: text} if text else {} for text in seconds]
    containers = tuple(replace(ONE, environment=each) for each in environments)
    assert replace(PLAIN, containers=containers).timeout == timeout
    assert replace(PLAIN, environment=environments[0]).timeout in (timeout, TIMEOUT)
