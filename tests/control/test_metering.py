from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.control.alarm import Alarms, put, set_state, state
from tidemill.control.metering import Metering, Usage
from tidemill.control.reconcile.duty import Duties
from tidemill.control.verbs import Verbs
from tidemill.router.meter import Meters
from tidemill.spec.home import Home
from tidemill.store.base import Row
from tidemill.store.metrics import MetricStore, Series
from tidemill.store.sql import SqlStore

REGION = "us-east-1"
KEY = (REGION, "mill", "AllTraffic")
NOON = 1_700_000_000.0 // 60 * 60
DIMENSIONS = {"EndpointName": "mill", "VariantName": "AllTraffic"}
INVOCATIONS = Series.of(REGION, "AWS/SageMaker", "Invocations", DIMENSIONS)


class Place:
    """A home whose router is a meter, and a control plane of nothing but duties."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.home.run.mkdir(parents=True)
        self.metrics = MetricStore(self.home.metrics)
        store = SqlStore(f"sqlite:///{self.home.database}")
        self.now = NOON
        self.verbs = Verbs(store, account="1" * 12, clock=lambda: self.now, wake=lambda: None)
        self.meters = Meters(self.home.meters)
        self.meter = self.meters.of(*KEY, 2)
        self.metering = Metering(self.home, self.metrics)

    def ask(self, times: int, status: int = 200) -> None:
        for _ in range(times):
            self.meter.add(status, 0.001, 0.0001)
        self.meters.write(0.0)

    def tick(self, at: float) -> None:
        self.now = NOON + at
        self.metering.tick(self.now)

    def restart(self) -> None:
        """Control is killed and comes again."""
        self.metrics.close()
        self.metrics = MetricStore(self.home.metrics)
        self.metering = Metering(self.home, self.metrics)

    def told(self, name: str = "Invocations") -> list[tuple[float, float]]:
        series = Series.of(REGION, "AWS/SageMaker", name, DIMENSIONS)
        found = self.metrics.read(series, NOON, NOON + 7200, 60)
        return [(at - NOON, summary.total) for at, summary in found]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    one = Place(tmp_path / "home")
    yield one
    one.metrics.close()
    one.verbs.store.close()  # type: ignore[attr-defined]


def test_counts_become_metrics(place: Place) -> None:
    place.ask(3)
    place.tick(1)
    place.ask(2)
    place.tick(3)
    place.tick(5)
    assert place.told() == [(0, 5)]
    assert place.told("InvocationsPerInstance") == [(0, 2.5)]


def test_a_control_plane_that_was_away_catches_up_and_counts_nothing_twice(place: Place) -> None:
    place.ask(3)
    place.tick(1)
    place.restart()
    place.tick(2)
    place.ask(4)
    place.restart()
    place.tick(300)
    place.restart()
    place.tick(302)
    assert sum(total for _, total in place.told()) == 7


def test_a_router_that_was_restarted_counts_on(place: Place) -> None:
    place.ask(3)
    place.tick(1)
    place.meters = Meters(place.home.meters)
    place.meter = place.meters.of(*KEY, 2)
    place.ask(1)
    place.tick(2)
    assert place.told() == [(0, 4)]


def test_counts_of_another_life_are_all_new(place: Place) -> None:
    place.ask(3)
    place.tick(1)
    place.home.meters.unlink()
    place.meters = Meters(place.home.meters)
    place.meter = place.meters.of(*KEY, 2)
    place.ask(5)
    place.tick(2)
    assert place.told() == [(0, 8)]


def test_zeroes_are_told_of_variants_in_service_only(place: Place) -> None:
    place.meters.write(0.0)
    for at in range(0, 130, 10):
        place.tick(at)
    assert place.told() == place.told("ConcurrentRequestsPerModel") == [(0, 0), (60, 0), (120, 0)]
    place.meters.keep(set(), 1.0)
    place.meters.write(0.0)
    place.tick(180)
    assert len(place.told()) == 3


def test_meters_that_are_damaged_or_away_are_passed_over(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.tick(0)
    place.ask(1)
    place.tick(1)
    place.home.meters.write_text("{")
    place.tick(2)
    assert "cannot be read" in caplog.text
    place.meters._written = []
    place.ask(1)
    place.tick(3)
    assert place.told() == [(0, 2)]


def test_what_replicas_use_is_told_once_they_are_known(place: Place) -> None:
    replicas = {
        "r1": {"variant": "AllTraffic", "handle": f"{os.getpid()}:1-boot:/home"},
        "r2": {"variant": "AllTraffic", "handle": "999999999:1-boot:/home"},
        "r3": {"variant": "AllTraffic", "handle": ""},
    }
    row = Row(
        "endpoint", REGION, "mill", "InService", NOON, NOON, {"state": {"replicas": replicas}}
    )
    place.verbs.store.insert(row)
    usage = Usage(place.verbs, place.metrics)
    usage.tick(NOON)
    usage.tick(NOON + 60)
    space = "/aws/sagemaker/Endpoints"
    for name in ("CPUUtilization", "MemoryUtilization"):
        [series] = place.metrics.series(REGION, space, name)
        [(at, summary)] = place.metrics.read(series, NOON, NOON + 120, 60)
        assert (at, series.unit, summary.count) == (NOON + 60, "Percent", 1)
        assert summary.total >= 0


# Alarms


def alarm(**more: object) -> dict[str, object]:
    return {
        "AlarmName": "busy",
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocations",
        "Dimensions": [{"Name": n, "Value": v} for n, v in DIMENSIONS.items()],
        "Statistic": "Sum",
        "Period": 10,
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **more,
    }


def test_an_alarm_rings_and_is_silent_again(place: Place) -> None:
    alarms = Alarms(place.verbs, place.metrics)
    assert state(place.verbs, REGION, "busy") is None
    put(place.verbs, REGION, "busy", alarm(), {})
    assert state(place.verbs, REGION, "busy") == "INSUFFICIENT_DATA"
    seen = []
    for at, requests in ((0, 10), (10, 0), (20, 0), (30, 0), (40, 0)):
        place.ask(requests)
        place.tick(at)
        alarms.tick(NOON + at + 3)
        seen.append(state(place.verbs, REGION, "busy"))
    assert seen[1] == "ALARM"
    assert seen[-1] == "OK"
    row = place.verbs.describe("alarm", REGION, "busy")
    assert [c["to"] for c in row.document["state"]["history"]] == ["ALARM", "OK"]


def test_an_alarm_on_nothing_says_so_once(place: Place) -> None:
    put(place.verbs, REGION, "busy", alarm(MetricName="Nothing"), {})
    alarms = Alarms(place.verbs, place.metrics)
    alarms.tick(NOON)
    first = place.verbs.describe("alarm", REGION, "busy")
    alarms.tick(NOON + 5)
    assert place.verbs.describe("alarm", REGION, "busy") == first
    assert first.status == "INSUFFICIENT_DATA"
    assert first.document["state"]["reason"].startswith("Insufficient Data")


def test_one_alarm_that_cannot_be_evaluated_keeps_no_other_back(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    put(place.verbs, REGION, "broken", alarm(ComparisonOperator="Sideways"), {})
    put(place.verbs, REGION, "busy", alarm(), {})
    place.ask(10)
    place.tick(0)
    Alarms(place.verbs, place.metrics).tick(NOON + 13)
    assert state(place.verbs, REGION, "busy") == "ALARM"
    assert "broken" in caplog.text


def test_a_state_that_was_set_stands_until_the_next_evaluation(place: Place) -> None:
    put(place.verbs, REGION, "busy", alarm(TreatMissingData="notBreaching"), {})
    set_state(place.verbs, REGION, "busy", "ALARM", "trying it out")
    assert state(place.verbs, REGION, "busy") == "ALARM"
    Alarms(place.verbs, place.metrics).tick(NOON)
    assert state(place.verbs, REGION, "busy") == "OK"


def test_a_changed_alarm_keeps_its_state_and_history(place: Place) -> None:
    put(place.verbs, REGION, "busy", alarm(), {})
    set_state(place.verbs, REGION, "busy", "ALARM", "trying it out")
    row = put(place.verbs, REGION, "busy", alarm(Threshold=7.0), {})
    assert row.status == "ALARM"
    assert row.document["request"]["Threshold"] == 7.0
    assert json.dumps(row.document)


def test_duties_come_at_their_own_pace_and_one_that_fails_comes_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[tuple[str, float]] = []

    class Slow:
        seconds = 5.0

        def tick(self, now: float) -> None:
            seen.append(("slow", now))

    class Broken:
        seconds = 1.0

        def tick(self, now: float) -> None:
            seen.append(("broken", now))
            raise RuntimeError("no")

    duties = Duties([Broken(), Slow()])
    for at in (0.0, 0.5, 1.0, 5.0):
        duties.tick(NOON + at, at)
    assert [(name, now - NOON) for name, now in seen] == [
        ("broken", 0.0),
        ("slow", 0.0),
        ("broken", 1.0),
        ("broken", 5.0),
        ("slow", 5.0),
    ]
    assert "Broken: this turn failed" in caplog.text
