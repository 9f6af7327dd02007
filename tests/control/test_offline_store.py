"""The offline store: Parquet as SageMaker lays it out, each record once whatever dies between."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow.dataset as ds
import pytest

from tidemill.control import feature_group
from tidemill.control.offline_store import OfflineStore, OfflineWriting
from tidemill.control.verbs import Verbs
from tidemill.errors import NotFound
from tidemill.storage.bucket import Buckets
from tidemill.store.base import Row
from tidemill.store.features import FeatureRecords, Kept, Write
from tidemill.store.sql import SqlStore

HOUR = 3_600_000_000
REQUEST = {
    "RecordIdentifierFeatureName": "customer",
    "EventTimeFeatureName": "at",
    "FeatureDefinitions": [
        {"FeatureName": "customer", "FeatureType": "String"},
        {"FeatureName": "at", "FeatureType": "Fractional"},
        {"FeatureName": "visits", "FeatureType": "Integral"},
    ],
    "OnlineStoreConfig": {"EnableOnlineStore": True},
    "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://mill/features"}},
}


class Died(Exception):
    """The process was killed here."""


class Dying(Buckets):
    """Dies before the put of that number, or after it has been done."""

    def __init__(self, root: Path, at: int, *, after: bool) -> None:
        super().__init__(root)
        self._left, self._after = at, after

    def put_bytes(self, *args: Any, **more: Any) -> Any:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Died
        done = super().put_bytes(*args, **more)
        if self._left == 0:
            raise Died
        return done


class Stage:
    """A platform's stores in one directory; ``again`` is what the next process finds."""

    def __init__(self, root: Path) -> None:
        self.now = 1_000_000.0
        self.root = root
        self.store = SqlStore(f"sqlite:///{root}/tidemill.db")
        clock: Callable[[], float] = lambda: self.now  # noqa: E731
        self.verbs = Verbs(self.store, account="123456789012", clock=clock, wake=lambda: None)
        self.records = FeatureRecords(root / "features.db", sync=False)
        self.buckets = Buckets(root / "s3")

    def group(self) -> Row:
        return feature_group.create(self.verbs, "us-east-1", "customers-1", REQUEST, {})

    def put(self, row: Row, *events: int) -> None:
        for event in events:
            values = {"customer": "ada", "at": str(event / 1e6), "visits": str(event // HOUR)}
            kept = Kept("ada", event, None, False, orjson.dumps(values))
            self.records.put([Write(row.serial, kept, True, True)], int(self.now * 1e6))

    def again(self) -> None:
        self.records.close()
        self.records = FeatureRecords(self.root / "features.db", sync=False)
        self.now += 100

    def rows(self) -> list[dict[str, Any]]:
        table = ds.dataset(self.root / "s3" / "mill", partitioning="hive").to_table()
        return sorted(table.to_pylist(), key=lambda row: row["at"])

    def close(self) -> None:
        self.records.close()
        self.store.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    found = Stage(tmp_path)
    found.buckets.create("mill")
    yield found
    found.close()


def test_files_lie_by_the_hour_of_events_and_carry_the_newest_of_them(stage: Stage) -> None:
    row = stage.group()
    moment = 1_706_704_200_000_000  # 2024-01-31T12:30:00Z
    stage.put(row, moment, moment - 1_000_000, moment + HOUR)
    OfflineStore(stage.verbs, stage.records, stage.buckets).write(row)
    keys = [one.key for one in stage.buckets.list("mill")]
    base = "features/123456789012/sagemaker/us-east-1/offline-store/customers-1-1000000/data"
    assert [key.rpartition("_")[0] for key in keys] == [
        f"{base}/year=2024/month=01/day=31/hour=12/20240131T123000Z",
        f"{base}/year=2024/month=01/day=31/hour=13/20240131T133000Z",
    ]
    for key in keys:
        token, _, suffix = key.rpartition("_")[2].partition(".")
        assert suffix == "parquet"
        assert len(token) == 16
        assert token.isalnum()
    (first, *_) = rows = stage.rows()
    assert len(rows) == 3
    assert (first["year"], first["month"], first["day"], first["hour"]) == (2024, 1, 31, 12)
    assert first["visits"] == moment // HOUR
    assert first["write_time"].timestamp() == first["api_invocation_time"].timestamp() == 1e6
    assert first["is_deleted"] is False


@pytest.mark.parametrize(("at", "after"), [*itertools.product((1, 2, 3), (False, True))])
def test_each_record_is_there_once_wherever_the_writer_dies(
    stage: Stage, at: int, after: bool
) -> None:
    row = stage.group()
    events = [hour * HOUR + minute for hour in range(3) for minute in range(2)]
    stage.put(row, *events)
    dying = OfflineStore(stage.verbs, stage.records, Dying(stage.root / "s3", at, after=after))
    with pytest.raises(Died):
        dying.write(row)
    stage.again()
    more = [hour * HOUR + 7 for hour in range(3)]
    stage.put(row, *more)
    OfflineStore(stage.verbs, stage.records, stage.buckets).write(row)
    assert [round(one["at"] * 1e6) for one in stage.rows()] == sorted(events + more)
    assert stage.records.waiting() == []


def test_what_comes_to_an_idle_group_is_soon_there_and_what_follows_waits(stage: Stage) -> None:
    row = stage.group()
    writing = _writing(stage, delay=60)
    stage.put(row, 1)
    writing.work(stage.now + 0.5)
    assert list(stage.buckets.list("mill")) == []
    writing.work(stage.now + 1)
    assert len(stage.rows()) == 1
    stage.now += 2
    stage.put(row, 2)
    writing.work(stage.now + 58)
    assert len(stage.rows()) == 1
    writing.work(stage.now + 59)
    assert len(stage.rows()) == 2
    writing.close()


def test_turns_are_taken_beside_the_one_who_asks(stage: Stage) -> None:
    row = stage.group()
    stage.put(row, 1)
    writing = _writing(stage)
    writing.tick(stage.now)
    writing.close()
    assert len(stage.rows()) == 1


def test_a_bucket_that_is_missing_blocks_until_it_is_there(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    row = stage.group()
    stage.put(row, 1)
    writing = _writing(stage)
    writing.work(stage.now)
    told = _told(stage)
    assert told["Status"] == "Blocked"
    assert "mill" in told["BlockedReason"]
    stage.buckets.create("mill")
    writing.work(stage.now + 1)
    assert _told(stage)["Status"] == "Blocked"
    writing.work(stage.now + 20)
    assert _told(stage) == {"Status": "Active"}
    assert len(stage.rows()) == 1
    writing.close()
    stage.close()


def test_features_that_came_later_are_null_in_what_was_before(stage: Stage) -> None:
    row = stage.group()
    stage.put(row, 1)
    city = [{"FeatureName": "city", "FeatureType": "String"}]
    feature_group.add(stage.verbs, "us-east-1", row.name, city)
    store = OfflineStore(stage.verbs, stage.records, stage.buckets)
    store.write(stage.verbs.describe(row.kind, row.region, row.name))
    assert [one["city"] for one in stage.rows()] == [None]


def test_a_deletion_that_was_cut_short_goes_on_and_spares_the_next_of_that_name(
    stage: Stage,
) -> None:
    row = stage.group()
    stage.put(row, 1)
    dying = OfflineStore(stage.verbs, stage.records, Dying(stage.root / "s3", 1, after=True))
    with pytest.raises(Died):
        dying.delete(row)
    stage.again()
    writing = _writing(stage)
    writing.work(stage.now)
    with pytest.raises(NotFound):
        stage.verbs.describe(row.kind, row.region, row.name)
    assert len(stage.rows()) == 1
    fresh = stage.group()
    OfflineStore(stage.verbs, stage.records, stage.buckets).delete(row)  # who came late
    assert stage.verbs.describe(row.kind, row.region, row.name).status == "Created"
    stage.put(fresh, 2)
    assert stage.records.get(fresh.serial, "ada", 0) is not None
    writing.close()


def _writing(stage: Stage, delay: float = 0.0) -> OfflineWriting:
    store = OfflineStore(stage.verbs, stage.records, stage.buckets)
    return OfflineWriting(stage.verbs, stage.records, store, delay=delay)


def _told(stage: Stage) -> Any:
    row = stage.verbs.describe(feature_group.KIND, "us-east-1", "customers-1")
    return row.document["state"]["offline"]
