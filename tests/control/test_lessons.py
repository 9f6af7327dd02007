"""Metrics of endpoints that learn, from the versions that lie on the disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tidemill.control.lessons import NAMESPACE, Lessons
from tidemill.control.plan import fleet
from tidemill.control.verbs import Verbs
from tidemill.spec.home import Home
from tidemill.store.metrics import MetricStore, Series
from tidemill.store.sql import SqlStore

REGION, NOON = "us-east-1", 1_700_000_000.0 // 60 * 60


class Place:
    """An endpoint with a variant that learns, whose versions the test writes."""

    def __init__(self, root: Path) -> None:
        home = Home(root)
        root.mkdir()
        self.metrics = MetricStore(home.metrics)
        self.store = SqlStore(f"sqlite:///{home.database}")
        self.verbs = Verbs(self.store, account="1" * 12, clock=lambda: NOON, wake=lambda: None)
        environment = {"TIDEMILL_LEARN": "true"}
        variant = fleet.Deployed("AllTraffic", "m", "kmeans", None, environment, 1.0, 1)
        state = fleet.EndpointState(str(root / "e"), "c", 3, (variant,))
        document = {"request": {}, "spec": {}, "state": asdict(state)}
        self.verbs.create("endpoint", REGION, "mill", document, "InService", {})
        self.versions = root / "e" / "learning" / "AllTraffic-3" / "versions"

    def write(self, number: int, rows: int, msd: float) -> None:
        place = self.versions / f"{number:06d}"
        place.mkdir(parents=True)
        latest = {"original": {"msd": 9.0}, "current": {"msd": msd}}
        about = {"number": number, "rows": rows, "latest": latest}
        (place / "about.json").write_text(json.dumps(about))

    def told(self, name: str, **more: str) -> list[tuple[float, float]]:
        """Total and count of each minute that has any."""
        dimensions = {"EndpointName": "mill", "VariantName": "AllTraffic", **more}
        series = Series.of(REGION, NAMESPACE, name, dimensions)
        found = self.metrics.read(series, NOON, NOON + 7200, 60)
        return [(summary.total, summary.count) for _, summary in found]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    one = Place(tmp_path / "home")
    yield one
    one.metrics.close()
    one.store.close()


def test_each_version_is_told_of_once(place: Place) -> None:
    lessons = Lessons(place.verbs, place.metrics)
    lessons.tick(NOON)
    assert place.told("RowsLearned") == []
    place.write(1, 20, 8.0)
    lessons.tick(NOON + 60)
    lessons.tick(NOON + 120)
    place.write(2, 50, 4.0)
    lessons = Lessons(place.verbs, place.metrics)  # as after a restart
    lessons.tick(NOON + 180)
    assert place.told("RowsLearned") == [(20.0, 20.0), (30.0, 30.0)]
    assert place.told("Version") == [(1.0, 1.0), (2.0, 1.0)]
    assert place.told("msd", Model="Original") == [(9.0, 1.0), (9.0, 1.0)]
    assert place.told("msd", Model="Current") == [(8.0, 1.0), (4.0, 1.0)]


def test_what_is_damaged_or_gone_is_passed_over(place: Place) -> None:
    place.write(1, 20, 8.0)
    (place.versions / "000001" / "about.json").write_text("{")
    Lessons(place.verbs, place.metrics).tick(NOON)
    assert place.told("RowsLearned") == []
