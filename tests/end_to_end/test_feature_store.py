"""The feature store on a real platform: SDK v2, kills between put and Parquet, time travel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow.dataset as ds
import pytest

import tidemill
from tests.end_to_end import processes
from tests.end_to_end.conftest import Platform, start
from tests.end_to_end.conftest import tidemill as command
from tests.end_to_end.test_clients import run

pytestmark = [pytest.mark.slow, pytest.mark.serial]
BUCKET = "sagemaker-features"
DELAY = 0.4


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("home")
    try:
        yield start(home, {"TIDEMILL_OFFLINE_STORE_SECONDS": str(DELAY)})
    finally:
        command("down", "--home", str(home))


@pytest.fixture(scope="module")
def bucket(platform: Platform) -> str:
    platform.connection.client("s3").create_bucket(Bucket=BUCKET)
    return BUCKET


def create(platform: Platform, name: str, **changes: Any) -> str:
    """Where its files will lie on this disk's S3."""
    client = platform.connection.client("sagemaker")
    client.create_feature_group(
        FeatureGroupName=name,
        RecordIdentifierFeatureName="customer",
        EventTimeFeatureName="at",
        FeatureDefinitions=[
            {"FeatureName": "customer", "FeatureType": "String"},
            {"FeatureName": "at", "FeatureType": "String"},
            {"FeatureName": "visits", "FeatureType": "Integral"},
        ],
        OnlineStoreConfig={"EnableOnlineStore": True},
        OfflineStoreConfig={"S3StorageConfig": {"S3Uri": f"s3://{BUCKET}/features"}},
        RoleArn=platform.connection.role(),
        **changes,
    )
    told = client.describe_feature_group(FeatureGroupName=name)
    return str(told["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"])


def put(platform: Platform, name: str, who: str, at: str, visits: int) -> None:
    values = {"customer": who, "at": at, "visits": str(visits)}
    platform.connection.client("sagemaker-featurestore-runtime").put_record(
        FeatureGroupName=name,
        Record=[{"FeatureName": key, "ValueAsString": value} for key, value in values.items()],
    )


def rows(platform: Platform, uri: str, wanted: int) -> list[dict[str, Any]]:
    """What lies there as soon as there are so many, read as files of this disk."""
    folder = platform.home / "s3" / uri.removeprefix("s3://")
    over = time.monotonic() + 20
    while True:
        found = ds.dataset(folder, partitioning="hive").to_table() if folder.exists() else []
        if len(found) >= wanted or time.monotonic() > over:
            return found.to_pylist() if len(found) else []
        time.sleep(0.1)


def test_kills_between_put_and_parquet_lose_nothing_and_write_nothing_twice(
    platform: Platform, bucket: str
) -> None:
    uri = create(platform, "killed")
    for number in range(20):
        put(platform, "killed", f"c{number % 5}", f"2024-01-31T1{number % 4}:00:00Z", number)
        if number % 10 == 9:
            time.sleep(DELAY * number / 12)  # so that kills meet the writing at different points
            assert processes.kill("control plane", platform.home) == 1
    rows(platform, uri, 20)
    time.sleep(2 * DELAY)
    found = rows(platform, uri, 20)
    assert sorted(row["visits"] for row in found) == list(range(20))
    runtime = platform.connection.client("sagemaker-featurestore-runtime")
    newest = runtime.get_record(FeatureGroupName="killed", RecordIdentifierValueAsString="c4")
    assert newest["Record"][2]["ValueAsString"] == "19"  # of 13:00


def test_a_group_is_read_as_it_was_at_any_moment(platform: Platform, bucket: str) -> None:
    uri = create(platform, "travelled")
    for who, at, visits in (
        ("ada", "2024-01-01T00:00:00Z", 1),
        ("bob", "2024-01-01T00:00:00Z", 7),
        ("ada", "2024-01-03T00:00:00Z", 3),
        ("ada", "2024-01-02T00:00:00Z", 2),  # late, but of before
        ("ada", "2024-01-02T00:00:00Z", 22),  # and again
    ):
        put(platform, "travelled", who, at, visits)
    platform.connection.client("sagemaker-featurestore-runtime").delete_record(
        FeatureGroupName="travelled",
        RecordIdentifierValueAsString="bob",
        EventTime="2024-01-02T00:00:00Z",
    )
    rows(platform, uri, 6)
    group = tidemill.feature_group("travelled", connection=platform.connection)

    def seen(moment: str | float | None) -> dict[str, int]:
        found = group.as_of(moment)
        return dict(zip(found["customer"], found["visits"], strict=True))

    assert seen("2023-12-31") == {}
    assert seen("2024-01-01T12:00:00Z") == {"ada": 1, "bob": 7}
    assert seen(1_704_153_600.0) == {"ada": 22}  # 2024-01-02
    assert seen(None) == {"ada": 3}
    labels = pd.DataFrame(
        {
            "who": ["ada", "bob", "ada", "bob", "cy"],
            "when": ["2024-01-02T12:00:00Z", "2024-01-01T12:00:00Z", "2024-01-01T00:00:00Z"]
            + ["2024-01-05T00:00:00Z"] * 2,
            "bought": [True, False, True, False, True],
        },
        index=[5, 4, 3, 2, 1],
    )
    joined = group.join(labels, at="when", on="who")
    assert [*joined.columns] == ["who", "when", "bought", "visits"]
    assert [*joined.index] == [5, 4, 3, 2, 1]
    assert joined["visits"].fillna(-1).tolist() == [22, 7, 1, -1, -1]
    assert len(group.history()) == 6


def test_the_sagemaker_sdk_ingests_frames_unchanged(platform: Platform, bucket: str) -> None:
    assert "ada visited 3 times" in run("sagemaker_feature_store.py", platform)
