"""Each fleet's variant learns in a directory of its own, which goes with its last replica."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.control.plan.test_endpoint import alive, variant
from tidemill.control.learning import done_with, place
from tidemill.control.plan.endpoint import route
from tidemill.control.plan.fleet import EndpointState, begin
from tidemill.spec.route import RoutingTable, from_json

LEARN = {"TIDEMILL_LEARN": "true"}


def state(environment: dict[str, str], **more: Any) -> EndpointState:
    one = replace(variant("main", **more), environment=environment)
    return replace(begin("/home", "config", [one]), replicas={"r1": alive()}, made=1)


@pytest.mark.parametrize(
    ("environment", "more", "learns"),
    [
        ({}, {}, False),
        ({"TIDEMILL_LEARN": "false"}, {}, False),
        (LEARN, {}, True),
        (LEARN, {"shadow": True}, False),
        ({"TIDEMILL_LEARN": "perhaps"}, {}, True),  # its replicas will say what is wrong with it
    ],
)
def test_the_router_is_told_who_takes_feedback(
    environment: dict[str, str], more: dict[str, Any], learns: bool
) -> None:
    found = route("mill", "r", state(environment, **more))
    assert [v.learns for v in found.variants] == [learns]
    table = RoutingTable("1" * 12, {("r", "mill"): found})
    assert from_json(table.to_json()) == table


def test_what_was_learned_goes_with_the_last_replica_of_a_fleet_that_is_over() -> None:
    old = state(LEARN)
    learned = place(old, "main", 1)
    assert learned == Path("/home/learning/main-1")
    scaled_to_zero = replace(old, replicas={})
    assert list(done_with(old, scaled_to_zero)) == [], "the fleet may have replicas again"
    newer = {"r2": replace(alive(), generation=2)}
    two = replace(old, generation=2, replicas={**old.replicas, **newer})
    assert list(done_with(two, two)) == []
    assert list(done_with(two, replace(two, replicas=newer))) == [learned]
