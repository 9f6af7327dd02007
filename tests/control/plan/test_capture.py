"""Data capture belongs to a fleet: it is written down with it and goes in and out with it."""

from __future__ import annotations

import json
from dataclasses import replace

from tidemill.control.plan.endpoint import plan, route
from tidemill.control.plan.fleet import Deployed, Fleet, Replica, begin, from_document
from tidemill.spec.capture import Capture
from tidemill.spec.endpoint import EndpointStatus

MANY, FEW = Capture(100, "s3://seen/many", csv=("text/csv",)), Capture(1, "s3://seen/few")
ONE = Deployed("main", "m", "kmeans", "s3://b/k", {}, weight=1.0, count=1, current_count=1)


def test_a_state_with_captures_is_the_same_read_back() -> None:
    pending = Fleet("next", 2, (ONE,), FEW)
    state = replace(begin("/home", "config", [ONE], MANY), pending=pending)
    assert from_document(json.loads(json.dumps(state.to_document()))) == state


def test_rows_from_before_there_was_capture_have_none() -> None:
    state = begin("/home", "config", [ONE])
    document = replace(state, pending=Fleet("next", 2, (ONE,))).to_document()
    del document["pending"]["capture"]
    assert "capture" not in document
    read = from_document(document)
    assert read.pending is not None
    assert read.capture is read.pending.capture is None


def test_the_route_has_the_capture_of_the_fleet_in_service() -> None:
    pending = Fleet("next", 2, (ONE,), FEW)
    ready = {
        f"r{n}": Replica("main", n, handle="h", ready=True, address="unix:/s", started=0.0)
        for n in (1, 2)
    }
    state = begin("/home", "config", [ONE], MANY)
    state = replace(state, pending=pending, replicas=ready, made=2)
    assert route("e", "r", state).capture == MANY
    step = plan(EndpointStatus.UPDATING, state, seen={}, now=1.0)
    assert step.status == "InService"
    assert route("e", "r", step.state).capture == FEW
