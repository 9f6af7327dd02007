"""Metrics of multi-model endpoints, from what replicas write down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tidemill.control.plan import fleet
from tidemill.control.shelves import Shelves
from tidemill.control.verbs import Verbs
from tidemill.spec.home import Home, WorkerHome
from tidemill.spec.meters import Latency
from tidemill.spec.model import MULTI, SINGLE, Container
from tidemill.spec.shelf_counts import ShelfCounts
from tidemill.store.metrics import MetricStore, Series
from tidemill.store.sql import SqlStore

REGION, NOON = "us-east-1", 1_700_000_000.0 // 60 * 60
ENDPOINTS = "/aws/sagemaker/Endpoints"


class Place:
    """An endpoint of two replicas, which the test writes counts for."""

    def __init__(self, root: Path, mode: str = MULTI) -> None:
        self.home = Home(root)
        root.mkdir()
        self.metrics = MetricStore(self.home.metrics)
        self.store = SqlStore(f"sqlite:///{self.home.database}")
        verbs = Verbs(self.store, account="1" * 12, clock=lambda: NOON, wake=lambda: None)
        container = Container("kmeans", "s3://mill/models/", mode=mode)
        variant = fleet.Deployed(
            "AllTraffic", "m", "kmeans", None, {}, 1.0, 2, containers=(container,)
        )
        replicas = {id: fleet.Replica("AllTraffic", 1) for id in ("r1", "r2")}
        state = fleet.EndpointState(str(root / "e"), "c", 1, (variant,), replicas=replicas)
        document = {"request": {}, "spec": {}, "state": asdict(state)}
        verbs.create("endpoint", REGION, "mill", document, "InService", {})
        self.verbs = verbs
        self.shelves = Shelves(verbs, self.metrics)

    def write(self, replica: str, counts: ShelfCounts) -> None:
        home = WorkerHome(self.home.root / "e" / replica)
        home.root.mkdir(parents=True, exist_ok=True)
        home.shelf.write_bytes(counts.to_json())

    def told(self, name: str, namespace: str = "AWS/SageMaker") -> list[tuple[float, float]]:
        """Total and count of each minute that has any."""
        dimensions = {"EndpointName": "mill", "VariantName": "AllTraffic"}
        series = Series.of(REGION, namespace, name, dimensions)
        found = self.metrics.read(series, NOON, NOON + 7200, 60)
        return [(summary.total, summary.count) for _, summary in found]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    one = Place(tmp_path / "home")
    yield one
    one.metrics.close()
    one.store.close()


def test_hits_and_times_are_counted_once_however_often_control_looks(place: Place) -> None:
    place.write(
        "r1", ShelfCounts("a", 4, 3, 1, Latency(50.0, {400: 1}), loading=Latency(9, {0: 1}))
    )
    place.shelves.tick(NOON)
    place.shelves.tick(NOON + 5)
    again = Shelves(place.verbs, place.metrics)
    place.write(
        "r1", ShelfCounts("a", 6, 5, 1, Latency(50.0, {400: 1}), loading=Latency(9, {0: 1}))
    )
    again.tick(NOON + 10)
    assert place.told("ModelCacheHit") == [(5, 6)]
    assert place.told("ModelLoadingWaitTime") == [(50.0, 1)]
    assert place.told("ModelLoadingTime") == [(9.0, 1)]
    assert place.told("ModelUnloadingTime") == []


def test_replicas_add_up_and_one_that_begins_anew_does_not_count_backwards(place: Place) -> None:
    place.write("r1", ShelfCounts("a", 4, 4, 3))
    place.write("r2", ShelfCounts("b", 2, 0, 1))
    place.shelves.tick(NOON)
    place.write("r2", ShelfCounts("c", 1, 1, 1))
    place.shelves.tick(NOON + 5)
    assert place.told("ModelCacheHit") == [(5, 7)]
    assert place.told("LoadedModelCount", ENDPOINTS) == [(4, 2)]


def test_endpoints_of_one_model_have_no_such_metrics(tmp_path: Path) -> None:
    place = Place(tmp_path / "home", SINGLE)
    place.write("r1", ShelfCounts("a", 4, 4, 3))
    place.shelves.tick(NOON)
    assert place.told("ModelCacheHit") == []
    place.metrics.close()
    place.store.close()
