from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.router.meter import FORGET_SECONDS, Meters
from tidemill.spec.meters import Counted, from_json
from tidemill.stats.quantiles import Sketch

KEY = ("us-east-1", "mill", "AllTraffic")


def test_a_meter_counts_answers_and_times_them() -> None:
    meter = Meters().of(*KEY, 1)
    for status in (200, 200, 204, 400, 404, 500, 0):
        meter.add(status, 0.001, 0.0001)
    meter.refuse(503)
    meter.refuse(429)
    told = meter.told()
    assert (told.requests, told.errors_4xx, told.errors_5xx, told.model_errors) == (9, 3, 3, 4)
    assert told.model.count == told.overhead.count == 7
    assert told.model.total == pytest.approx(7000.0, rel=1e-3)
    assert Sketch(positive=told.model.buckets).quantile(0.5) == pytest.approx(1000.0, rel=0.011)


def test_no_time_at_all_can_be_counted_too() -> None:
    meter = Meters().of(*KEY, 1)
    meter.add(200, 0.0, 0.0)
    assert sum(meter.told().model.buckets.values()) == 1


def test_requests_are_ascribed_to_the_number_of_replicas_they_found() -> None:
    meters = Meters()
    meter = meters.of(*KEY, 1)
    for _ in range(3):
        meter.add(200, 0.001, 0.001)
    assert meters.of(*KEY, 4) is meter
    for _ in range(5):
        meter.add(200, 0.001, 0.001)
    meters.of(*KEY, 4)
    meter.add(200, 0.001, 0.001)
    assert meter.told().by_replicas == {1: 3, 4: 6}


def test_counts_go_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "meters.json"
    first = Meters(path)
    first.of(*KEY, 2).add(200, 0.5, 0.1)
    first.write(1.0)
    second = Meters(path)
    second.of(*KEY, 2).add(500, 0.25, 0.1)
    second.write(1.0)
    told = from_json(path.read_bytes())
    [counted] = told.counted
    assert told.life == first.told().life == second.told().life
    assert (counted.requests, counted.errors_5xx, counted.model.count) == (2, 1, 2)
    assert counted.model.total == pytest.approx(750_000)


def test_a_file_that_is_damaged_begins_a_new_life(tmp_path: Path) -> None:
    path = tmp_path / "meters.json"
    path.write_text('{"life": 7')
    assert Meters(path).told().counted == ()


def test_the_file_is_written_only_when_something_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "meters.json"
    meters = Meters(path)
    meters.write(1.0)
    assert not path.exists()
    meter = meters.of(*KEY, 1)
    meters.write(2.0)
    written = path.stat().st_ino, path.stat().st_mtime_ns
    meters.write(3.0)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == written
    meter.add(200, 0.1, 0.1)
    meters.write(4.0)
    assert from_json(path.read_bytes()).counted[0].requests == 1
    assert not meters.is_due(4.5)
    assert meters.is_due(5.0)


def test_a_disk_that_takes_nothing_costs_no_counts(tmp_path: Path) -> None:
    path = tmp_path / "away" / "meters.json"
    meters = Meters(path)
    meters.of(*KEY, 1)
    meters.write(1.0)
    path.parent.mkdir()
    meters.write(2.0)
    assert from_json(path.read_bytes()).counted[0].key == (*KEY, "")


def test_variants_without_a_route_are_kept_for_a_while() -> None:
    meters = Meters()
    meters.of(*KEY, 1).add(200, 0.1, 0.1)
    meters.keep(set(), 100.0)
    [counted] = meters.told().counted
    assert (counted.is_routed, counted.replicas, counted.requests) == (False, 0, 1)
    meters.of(*KEY, 1)
    meters.keep({(*KEY, "")}, 101.0)
    assert meters.told().counted[0].is_routed
    meters.keep(set(), 200.0)
    meters.keep(set(), 201.0 + FORGET_SECONDS)
    assert meters.told().counted == ()


def test_what_was_never_asked_has_counted_nothing() -> None:
    assert Meters().of(*KEY, 1).told() == Counted(*KEY, replicas=1)
