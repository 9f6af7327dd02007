"""Metrics of runs: every point, summaries beside them, and bounds."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import NotReady
from tidemill.store import run_metrics
from tidemill.store.run_metrics import Point, RunMetric, RunMetrics

ARN = "arn:aws:sagemaker:us-east-1:123456789012:experiment-trial-component/a"
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunMetrics]:
    one = RunMetrics(tmp_path / "runs.db")
    yield one
    one.close()


def test_points_come_back_and_survive(store: RunMetrics, tmp_path: Path) -> None:
    told = [Point("loss", 2.5, 10.0, 1), Point("gain", 1.0, 11.0), Point("loss", 1.5, 12.0, 2)]
    assert store.put(ARN, told) == []
    again = RunMetrics(tmp_path / "runs.db")
    assert again.points(ARN, "loss") == [told[0], told[2]]
    assert again.points(ARN, "loss", 11.0, 12.0) == [told[2]]
    assert again.points(ARN, "gain") == [told[1]]
    assert again.points("other", "loss") == []
    assert [m.name for m in again.summaries(ARN)] == ["loss", "gain"]
    again.close()


@given(VALUES, VALUES)
def test_summaries_are_those_of_all_points(first: list[float], more: list[float]) -> None:
    values = first + more
    told = RunMetric.of(Point("m", values[0], 0.0))
    for at, value in enumerate(values[1:], 1):
        told = told.and_then(Point("m", value, float(at)))
    assert (told.count, told.low, told.high) == (len(values), min(values), max(values))
    assert told.last == values[-1]
    assert told.mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert told.deviation == pytest.approx(statistics.pstdev(values), rel=1e-6, abs=1e-3)


def test_summaries_go_on_over_calls(store: RunMetrics) -> None:
    for at, value in enumerate([4.0, 2.0, 6.0]):
        store.put(ARN, [Point("loss", value, 10.0 - at)])
    (told,) = store.summaries(ARN)
    assert (told.count, told.mean, told.low, told.high) == (3, 4.0, 2.0, 6.0)
    assert (told.last, told.at) == (4.0, 10.0)  # the latest by time, not by arrival


def test_what_is_replaced_or_deleted_is_gone(store: RunMetrics) -> None:
    store.put(ARN, [Point("loss", 1.0, 1.0)])
    store.put("other", [Point("loss", 7.0, 1.0)])
    store.replace(ARN, [Point("gain", 2.0, 2.0)])
    assert [m.name for m in store.summaries(ARN)] == ["gain"]
    store.delete(ARN)
    assert store.summaries(ARN) == []
    assert store.points(ARN, "gain") == []
    assert [p.value for p in store.points("other", "loss")] == [7.0]


def test_there_is_room_for_so_many(store: RunMetrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_metrics, "MOST_METRICS", 2)
    monkeypatch.setattr(run_metrics, "MOST_POINTS", 3)
    assert store.put(ARN, [Point(name, 1.0, 1.0) for name in "abca"]) == [2]
    assert store.put(ARN, [Point("a", 1.0, 1.0)] * 2) == [1]
    assert {m.name: m.count for m in store.summaries(ARN)} == {"a": 3, "b": 1}


def test_a_damaged_file_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(b"no database, but long enough to be read as the head of one" * 20)
    with pytest.raises(NotReady, match="runs.db"):
        RunMetrics(path)
