from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.control.plan.metering import concurrency, idle, since
from tidemill.router.meter import Meters
from tidemill.spec.meters import Counted, from_json
from tidemill.stats.summary import Summary

KEY = ("us-east-1", "mill", "AllTraffic")
DIMENSIONS = (("EndpointName", "mill"), ("VariantName", "AllTraffic"))


def found(before: Counted | None, now: Counted) -> dict[str, Summary]:
    told = list(since(before, now))
    assert {series.dimensions for series, _ in told} <= {DIMENSIONS}
    assert {series.namespace for series, _ in told} <= {"AWS/SageMaker"}
    return {series.name: summary for series, summary in told}


def snapshot(meters: Meters) -> Counted:
    [counted] = meters.told().counted
    # The meter goes on counting in its own.
    model = replace(counted.model, buckets=dict(counted.model.buckets))
    return replace(counted, model=model, by_replicas=dict(counted.by_replicas))


def test_each_request_is_one_value_of_each_metric() -> None:
    meters = Meters()
    meter = meters.of(*KEY, 4)
    for status in (200, 200, 400, 500):
        meter.add(status, 0.002, 0.0005)
    told = found(None, snapshot(meters))
    assert (told["Invocations"].count, told["Invocations"].total) == (4, 4)
    assert told["InvocationsPerInstance"].total == 1.0
    assert told["InvocationsPerInstance"].high == 0.25
    for name in ("Invocation4XXErrors", "Invocation5XXErrors"):
        assert (told[name].mean, told[name].low, told[name].high) == (0.25, 0, 1)
    assert told["InvocationModelErrors"].total == 2
    assert told["ModelLatency"].mean == pytest.approx(2000, rel=0.001)
    assert told["OverheadLatency"].quantile(0.99) == pytest.approx(500, rel=0.01)


def test_only_what_is_new_is_told() -> None:
    meters = Meters()
    meter = meters.of(*KEY, 1)
    for _ in range(10):
        meter.add(200, 0.001, 0.001)
    before = snapshot(meters)
    assert found(before, before) == {}
    meter.add(200, 0.1, 0.001)
    meter.add(200, 0.2, 0.001)
    told = found(before, snapshot(meters))
    latency = told["ModelLatency"]
    assert (told["Invocations"].count, latency.count) == (2, 2)
    assert latency.low == pytest.approx(100_000, rel=0.01)
    assert latency.high == pytest.approx(200_000, rel=0.01)
    assert latency.total == pytest.approx(300_000, rel=1e-6)
    assert told["Invocation5XXErrors"].high == 0.0


def test_counts_that_began_anew_are_all_new() -> None:
    meters = Meters()
    meters.of(*KEY, 1).add(200, 0.001, 0.001)
    now = snapshot(meters)
    assert found(Counted(*KEY, requests=100), now)["Invocations"].count == 1


def test_silence_is_told_as_zero() -> None:
    counted = Counted(*KEY, under_way=3, replicas=2)
    told = {series.name: summary for series, summary in idle(counted)}
    assert told == {"Invocations": Summary(), "InvocationsPerInstance": Summary()}
    series, summary = concurrency(counted)
    assert (series.name, summary.mean) == ("ConcurrentRequestsPerModel", 1.5)


def test_each_of_several_containers_has_metrics_of_its_own() -> None:
    meters = Meters()
    meter = meters.of(*KEY, 1)
    for status, trail in ((200, b"a=500;b=100"), (400, b"a=500"), (500, b"a=500;b=300")):
        meter.add(status, 0.001, 0.001)
        meter.passed(trail, status)
    before = snapshot(meters)
    told: dict[str, dict[str, Summary]] = {}
    for series, summary in since(None, before):
        name = dict(series.dimensions).get("ContainerName", "")
        told.setdefault(name, {})[series.name] = summary
    assert sorted(told) == ["", "a", "b"]
    first, second = told["a"], told["b"]
    assert (first["Invocations"].total, second["Invocations"].total) == (3, 2)
    assert (first["Invocation4XXErrors"].total, first["Invocation5XXErrors"].total) == (1, 0)
    assert (second["Invocation4XXErrors"].total, second["Invocation5XXErrors"].total) == (0, 1)
    assert second["ContainerLatency"].mean == pytest.approx(200, rel=0.001)
    assert "ContainerLatency" not in told[""]
    written = meters.told()
    assert from_json(written.to_json()) == written
    meter.passed(b"a=1;b;c=x;=;;d=" + b"9" * 20, 200)
    assert {s.name for s, _ in since(before, snapshot(meters))} == set()  # no request, no metrics


def test_requests_to_a_fleet_are_those_of_its_variant_too() -> None:
    meters = Meters()
    meters.of(*KEY, 2, "newer").add(500, 0.001, 0.001)
    told = list(since(None, snapshot(meters)))
    fleet = (("EndpointConfigName", "newer"), *DIMENSIONS)
    for dimensions in (DIMENSIONS, fleet):
        mine = {series.name: found for series, found in told if series.dimensions == dimensions}
        assert (mine["Invocations"].total, mine["Invocation5XXErrors"].total) == (1, 1)
        assert mine["ModelLatency"].count == 1
    assert {series.dimensions for series, _ in told} == {DIMENSIONS, fleet}
    idling = {series.dimensions for series, _ in idle(snapshot(meters))}
    assert idling == {DIMENSIONS, fleet}


def test_while_an_update_moves_the_traffic_all_of_it_is_told_together() -> None:
    meters = Meters()
    for config, requests in (("old", 3), ("new", 2)):
        for _ in range(requests):
            meters.of("us-east-1", "mill", "main", 1, config).add(200, 0.001, 0.001)
    meters.of("us-east-1", "mill", "dark", 1, "new").add(500, 0.001, 0.001)
    meters.of("us-east-1", "mill", "dark", 1, "new").is_shadow = True
    told = [one for counted in meters.told().counted for one in since(None, counted)]
    together = [
        found.total
        for series, found in told
        if (series.name, series.dimensions) == ("Invocations", DIMENSIONS)
    ]
    assert together == [3, 2]  # and none of the shadow's
    alone = Meters()
    alone.of("us-east-1", "mill", "main", 1).add(200, 0.001, 0.001)
    names = {dict(series.dimensions)["VariantName"] for series, _ in since(None, snapshot(alone))}
    assert names == {"main"}


def test_copies_that_a_shadow_had_no_room_for_are_told() -> None:
    [(series, found)] = since(Counted(*KEY, lost=2), Counted(*KEY, lost=5))
    assert (series.name, found.total) == ("ShadowCopiesLost", 3)


def test_waiting_for_a_first_replica_is_told_though_no_request_has_ended_yet() -> None:
    meters = Meters()
    meter = meters.of(*KEY, 0)
    meter.setup.add(0.25)
    told = found(None, snapshot(meters))
    assert list(told) == ["ModelSetupTime"]
    assert told["ModelSetupTime"].mean == pytest.approx(250_000, rel=1e-6)
