"""The routing table is followed; a broken one changes nothing."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from tidemill.router.table import RoutesFile
from tidemill.spec.route import Route, RoutingTable, Variant, from_json


def test_a_table_is_read_once_for_each_change(tmp_path: Path) -> None:
    path = tmp_path / "routes.json"
    file = RoutesFile(path)
    assert file.changed() is None
    route = Route("e", "us-east-1", ())
    path.write_text(RoutingTable("1", {("us-east-1", "e"): route}).to_json())
    table = file.changed()
    assert table is not None
    assert table.routes == {("us-east-1", "e"): route}
    assert file.changed() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"account": "1"}', '{"routes": [{}]}', "\0"])
def test_a_table_that_cannot_be_read_is_reported_and_left(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "routes.json"
    path.write_text(text)
    with caplog.at_level(logging.ERROR):
        assert RoutesFile(path).changed() is None
    assert "the routes in use stand" in caplog.text


def test_a_table_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    variant = Variant("v", 1.0, {"r1": "tcp:h:1"}, timeout=5.0, routing="RANDOM")
    table = RoutingTable("1", {("us-east-1", "e"): Route("e", "us-east-1", (variant,))})
    document = json.loads(table.to_json())
    assert from_json(json.dumps(document)) == table
    [route] = document["routes"]
    route["unheard_of"] = route["variants"][0]["unheard_of"] = 1
    assert from_json(json.dumps(document)) == table
    old = {"name": "v", "weight": 1.0, "replicas": {"r1": "tcp:h:1"}}
    route["variants"] = [old]
    assert from_json(json.dumps(document)).routes["us-east-1", "e"].variants[0].timeout == 60.0
