from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.errors import NotReady
from tidemill.stats.summary import Summary
from tidemill.store.metrics import CELL, FINE, KEPT, MetricStore, Series

NOON = 1_700_000_000.0 // 60 * 60
LATENCY = Series.of("r", "AWS/SageMaker", "ModelLatency", {"b": "2", "a": "1"}, "Microseconds")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MetricStore]:
    one = MetricStore(tmp_path / "metrics.db")
    yield one
    one.close()


def put(store: MetricStore, at: float, *values: float, series: Series = LATENCY) -> None:
    store.put(at, [(series, Summary.of(values))])


def test_what_is_put_into_a_period_is_merged(store: MetricStore) -> None:
    put(store, NOON + 1, 1.0)
    put(store, NOON + 59, 3.0, 5.0)
    put(store, NOON + 60, 7.0)
    found = store.read(LATENCY, NOON, NOON + 120, 60)
    assert [(at - NOON, s.count, s.total) for at, s in found] == [(0, 3, 9.0), (60, 1, 7.0)]
    [(at, whole)] = store.read(LATENCY, NOON + 30, NOON + 120, 300)
    assert (at, whole.total) == (NOON, 16.0)  # the start is rounded down to the minute


def test_the_end_is_exclusive_and_fine_periods_start_at_ten_seconds(store: MetricStore) -> None:
    put(store, NOON + 10, 1.0)
    put(store, NOON + 25, 2.0)
    put(store, NOON + 30, 4.0)
    found = store.read(LATENCY, NOON + 10, NOON + 30, 20)
    assert [(at - NOON, s.total) for at, s in found] == [(10, 3.0)]


def test_told_that_there_was_nothing_is_not_the_same_as_not_told(store: MetricStore) -> None:
    store.put(NOON, [(LATENCY, Summary())])
    assert store.read(LATENCY, NOON, NOON + 60, 60) == [(NOON, Summary())]
    assert store.read(LATENCY, NOON + 60, NOON + 120, 60) == []


def test_series_are_found_by_what_they_have(store: MetricStore) -> None:
    other = Series.of("r", "mine", "Temperature", {"a": "9"})
    elsewhere = Series.of("s", "mine", "Temperature", {})
    for series in (LATENCY, other, elsewhere):
        put(store, NOON, 1.0, series=series)
    assert store.series("r") == [LATENCY, other]
    assert store.series("r")[0].unit == "Microseconds"
    assert store.series("r", "mine") == [other]
    assert store.series("r", None, "ModelLatency") == [LATENCY]
    assert store.series("r", dimensions=[("a", None)]) == [LATENCY, other]
    assert store.series("r", dimensions=[("a", "1"), ("b", "2")]) == [LATENCY]
    assert store.series("r", dimensions=[("c", None)]) == []


def test_a_mark_is_set_with_the_values_or_not_at_all(store: MetricStore, tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[Series, Summary]]:
        yield LATENCY, Summary.of([1.0])
        raise RuntimeError

    store.put(NOON, [], mark=("read", "1"))
    with pytest.raises(RuntimeError):
        store.put(NOON, broken(), mark=("read", "2"))
    again = MetricStore(tmp_path / "metrics.db")
    assert again.mark("read") == "1"
    assert again.mark("never") is None
    assert again.read(LATENCY, NOON, NOON + 60, 60) == []
    again.close()
    put(store, NOON, 1.0)  # the id of the series that was rolled back is not remembered
    assert len(store.read(LATENCY, NOON, NOON + 60, 60)) == 1


def test_old_cells_become_minutes_and_very_old_ones_go(store: MetricStore) -> None:
    old = NOON - FINE
    for at in (old, old + CELL, old + 50, NOON):
        put(store, at, 1.0)
    put(store, NOON - KEPT, 1.0, series=Series("r", "mine", "gone"))
    before = store.read(LATENCY, old, NOON + 60, 60)
    store.trim(NOON + 60)
    assert store.read(LATENCY, old, NOON + 60, 60) == before
    assert [at for at, _ in store.read(LATENCY, old, old + 60, 10)] == [old]
    assert store.series("r") == [LATENCY]
    put(store, old + 20, 1.0)  # late, into a minute that has been rolled up
    assert [(at, s.count) for at, s in store.read(LATENCY, old, old + 60, 10)] == [(old, 4)]


def test_what_was_rolled_up_is_known_to_the_next_process(
    store: MetricStore, tmp_path: Path
) -> None:
    put(store, NOON - FINE, 1.0)
    store.trim(NOON + 60)
    again = MetricStore(tmp_path / "metrics.db")
    put(again, NOON - FINE + 30, 1.0)
    assert [s.count for _, s in again.read(LATENCY, NOON - FINE, NOON, 10)] == [2]
    again.close()


def test_threads_may_put_and_read_at_once(store: MetricStore) -> None:
    def work() -> None:
        for n in range(50):
            put(store, NOON + n, 1.0)
            store.read(LATENCY, NOON, NOON + 60, 60)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [s.count for _, s in store.read(LATENCY, NOON, NOON + 60, 60)] == [200]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(NotReady, match=r"metrics\.db"):
        MetricStore(path)
