"""The feature store's runtime through unmodified boto3: put, get, delete, in batches, expiring."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from tests.gateway.resources.test_feature_group import FEATURES, OFFLINE, ONLINE

GROUP = "customers"
NAMED = {"FeatureGroupName": GROUP}
LISTS = [
    {"FeatureName": "tags", "FeatureType": "String", "CollectionType": "Set"},
    {
        "FeatureName": "place",
        "FeatureType": "Fractional",
        "CollectionType": "Vector",
        "CollectionConfig": {"VectorConfig": {"Dimension": 2}},
    },
]


@pytest.fixture
def runtime(client: Callable[..., Any]) -> Any:
    return client("sagemaker-featurestore-runtime")


@pytest.fixture
def group(sagemaker: Any) -> Callable[..., str]:
    def make(name: str = GROUP, **changes: Any) -> str:
        request = {"OnlineStoreConfig": ONLINE, "FeatureDefinitions": [*FEATURES, *LISTS]}
        made = sagemaker.create_feature_group(
            FeatureGroupName=name,
            RecordIdentifierFeatureName="customer",
            EventTimeFeatureName="at",
            **{key: value for key, value in {**request, **changes}.items() if value is not None},
        )
        return str(made["FeatureGroupArn"])

    return make


def record(who: str = "ada", at: float = 1.0, **more: str | list[str]) -> list[dict[str, Any]]:
    values: dict[str, Any] = {"customer": who, "at": str(at), **more}
    return [
        {
            "FeatureName": name,
            "ValueAsString" if isinstance(value, str) else "ValueAsStringList": value,
        }
        for name, value in values.items()
    ]


def refused(call: Callable[..., Any], code: str = "ValidationError", **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return str(error["Message"])


def got(runtime: Any, who: str = "ada", **more: Any) -> Any:
    answer = runtime.get_record(**NAMED, RecordIdentifierValueAsString=who, **more)
    return answer.get("Record")


def test_a_record_comes_back_as_it_was_put(runtime: Any, group: Callable[..., str]) -> None:
    arn = group()
    sent = record(visits="7", tags=["a", "b"], place=["0.5", "1e3"])
    runtime.put_record(**NAMED, Record=sent)
    assert got(runtime) == sent
    assert got(runtime, FeatureNames=["visits"]) == record(visits="7")[2:]
    answer = runtime.get_record(FeatureGroupName=arn, RecordIdentifierValueAsString="ada")
    assert answer["Record"] == sent
    assert "ExpiresAt" not in answer


def test_names_of_any_letters_are_identifiers(runtime: Any, group: Callable[..., str]) -> None:
    group()
    for who in ("a b/c?d=e&f", "näme", "%2F+"):
        runtime.put_record(**NAMED, Record=record(who))
        assert got(runtime, who) == record(who)


def test_nobody_has_no_record(runtime: Any, group: Callable[..., str]) -> None:
    group()
    assert got(runtime, "nobody") is None


def test_the_newest_event_wins_whatever_comes_last(runtime: Any, group: Callable[..., str]) -> None:
    group()
    for at, visits in ((2, "2"), (1, "1"), (3, "3"), (3, "4"), (2.5, "5")):
        runtime.put_record(**NAMED, Record=record(at=at, visits=visits))
    assert got(runtime) == record(at=3, visits="4")


@pytest.mark.parametrize(
    "wrong",
    [
        record(visits="1.0"),
        record(visits="x"),
        record(visits=str(2**63)),
        record(visits="1_0"),
        record(nothing="1"),
        record(visits=["1"]),
        record(tags="a"),
        record(place=["1"]),
        record(place=["1", "nan"]),
        record()[:1],
        record()[1:],
        [*record(), *record()],
        record(who=""),
        record(who="x" * 2049),
        record(at=-1),
        record(tags=["x" * 100_000] * 2 + ["y" * 300_000]),
    ],
)
def test_what_is_no_record_of_the_group_is_refused(
    runtime: Any, group: Callable[..., str], wrong: list[dict[str, Any]]
) -> None:
    group()
    assert refused(runtime.put_record, **NAMED, Record=wrong)
    assert runtime.list_records(**NAMED)["RecordIdentifiers"] == []


@pytest.mark.parametrize("moment", ["2024-01-31", "2024-01-31 12:00:00Z", "2024-13-01T00:00:00Z"])
def test_event_times_of_text_are_iso_8601(
    runtime: Any, group: Callable[..., str], moment: str
) -> None:
    group(FeatureDefinitions=[FEATURES[0], {"FeatureName": "at", "FeatureType": "String"}])
    for good in ("2024-01-31T12:00:00Z", "2024-01-31T12:00:00.123Z"):
        sent = [
            {"FeatureName": "customer", "ValueAsString": "ada"},
            {"FeatureName": "at", "ValueAsString": good},
        ]
        runtime.put_record(**NAMED, Record=sent)
        assert got(runtime) == sent
    sent[1]["ValueAsString"] = moment
    refused(runtime.put_record, **NAMED, Record=sent)


def test_what_is_deleted_softly_stays_deleted_for_older_records(
    runtime: Any, group: Callable[..., str]
) -> None:
    group()
    runtime.put_record(**NAMED, Record=record(at=5))
    one = {"RecordIdentifierValueAsString": "ada"}
    runtime.delete_record(**NAMED, **one, EventTime="5")
    assert got(runtime) == record(at=5)  # not later than the record
    runtime.delete_record(**NAMED, **one, EventTime="7")
    assert got(runtime) is None
    assert runtime.list_records(**NAMED)["RecordIdentifiers"] == []
    assert runtime.list_records(**NAMED, IncludeSoftDeletedRecords=True)["RecordIdentifiers"] == [
        "ada"
    ]
    runtime.put_record(**NAMED, Record=record(at=6))
    assert got(runtime) is None
    runtime.put_record(**NAMED, Record=record(at=8))
    assert got(runtime) == record(at=8)


def test_what_is_deleted_for_good_leaves_nothing(runtime: Any, group: Callable[..., str]) -> None:
    group()
    runtime.put_record(**NAMED, Record=record(at=5))
    gone = {"RecordIdentifierValueAsString": "ada", "DeletionMode": "HardDelete"}
    assert "EventTime" in refused(runtime.delete_record, **NAMED, **gone, EventTime="5")
    runtime.delete_record(**NAMED, **gone, EventTime="6")
    runtime.put_record(**NAMED, Record=record(at=1))
    assert got(runtime) == record(at=1)


def test_records_expire_after_their_event(runtime: Any, group: Callable[..., str]) -> None:
    group(OnlineStoreConfig={**ONLINE, "TtlDuration": {"Unit": "Hours", "Value": 1}})
    now = int(time.time())
    runtime.put_record(**NAMED, Record=record("old", at=now - 3_601))
    assert got(runtime, "old") is None
    runtime.put_record(**NAMED, Record=record("old", at=now - 3_700, visits="1"))
    runtime.put_record(
        **NAMED,
        Record=record("kept", at=now - 3_601),
        TtlDuration={"Unit": "Days", "Value": 1},
    )
    asked = {"RecordIdentifierValueAsString": "kept", "ExpirationTimeResponse": "Enabled"}
    answer = runtime.get_record(**NAMED, **asked)
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 3_601 + 86_400))
    assert answer["ExpiresAt"] == ends
    assert runtime.list_records(**NAMED)["RecordIdentifiers"] == ["kept"]


def test_numbers_beyond_all_bounds_are_borne(runtime: Any, group: Callable[..., str]) -> None:
    group()
    one = {"RecordIdentifierValueAsString": "ada"}
    for moment in ("1e999999", "1e99999999999", "-1", "nan", "9" * 300_000, "253402300800"):
        wrong = [*record()[:1], {"FeatureName": "at", "ValueAsString": moment}]
        refused(runtime.put_record, **NAMED, Record=wrong)
        if len(moment) < 1_000:
            refused(runtime.delete_record, **NAMED, **one, EventTime=moment)
    long = {"Unit": "Weeks", "Value": 2**31 - 1}
    runtime.put_record(**NAMED, Record=record(at=253402300799), TtlDuration=long)
    asked = runtime.get_record(**NAMED, **one, ExpirationTimeResponse="Enabled")
    assert asked["ExpiresAt"].startswith("9999-12-31")
    runtime.put_record(**NAMED, Record=record("bob", at=1e-320))
    assert got(runtime, "bob")


def test_groups_that_are_not_there_are_said_so(runtime: Any) -> None:
    one = {"RecordIdentifierValueAsString": "ada"}
    words = "can't find a FeatureGroup with name customers"
    assert words in refused(runtime.put_record, **NAMED, Record=record())
    assert words in refused(runtime.delete_record, **NAMED, **one, EventTime="1")
    assert words in refused(runtime.get_record, "ResourceNotFound", **NAMED, **one)
    assert words in refused(runtime.list_records, "ResourceNotFound", **NAMED)


def test_a_store_that_is_off_is_said_so(runtime: Any, group: Callable[..., str]) -> None:
    group(OnlineStoreConfig=None, OfflineStoreConfig=OFFLINE)
    runtime.put_record(**NAMED, Record=record())
    assert "online" in refused(
        runtime.put_record, **NAMED, Record=record(), TargetStores=["OnlineStore"]
    )
    assert "online" in refused(runtime.get_record, **NAMED, RecordIdentifierValueAsString="ada")
    group("b")
    assert "offline" in refused(
        runtime.put_record, FeatureGroupName="b", Record=record(), TargetStores=["OfflineStore"]
    )


def test_batches_read_over_groups_and_tell_what_fails(
    runtime: Any, group: Callable[..., str]
) -> None:
    group()
    group("others")
    runtime.put_record(**NAMED, Record=record("ada", visits="1"))
    runtime.put_record(FeatureGroupName="others", Record=record("bob"))
    answer = runtime.batch_get_record(
        Identifiers=[
            {**NAMED, "RecordIdentifiersValueAsString": ["ada", "x"], "FeatureNames": ["visits"]},
            {"FeatureGroupName": "others", "RecordIdentifiersValueAsString": ["bob"]},
            {"FeatureGroupName": "nobody", "RecordIdentifiersValueAsString": ["ada"]},
        ]
    )
    told = [
        (one["FeatureGroupName"], one["RecordIdentifierValueAsString"], one["Record"])
        for one in answer["Records"]
    ]
    assert told == [
        (GROUP, "ada", record(visits="1")[2:]),
        ("others", "bob", record("bob")),
    ]
    assert [one["ErrorCode"] for one in answer["Errors"]] == ["ResourceNotFound"]
    assert answer["UnprocessedIdentifiers"] == []


def test_batches_write_what_is_right_and_tell_the_rest(
    runtime: Any, group: Callable[..., str]
) -> None:
    group()
    wrong = {**NAMED, "Record": record("bob", visits="x")}
    entries = [{**NAMED, "Record": record("ada")}, wrong, {**NAMED, "Record": record("cy")}]
    answer = runtime.batch_write_record(Entries=entries)
    assert [one["Entry"] for one in answer["Errors"]] == [wrong]
    assert answer["Errors"][0]["ErrorCode"] == "ValidationError"
    assert answer["UnprocessedEntries"] == []
    assert runtime.list_records(**NAMED)["RecordIdentifiers"] == ["ada", "cy"]


def test_identifiers_are_listed_page_by_page(runtime: Any, group: Callable[..., str]) -> None:
    group()
    for who in ("c", "a", "b"):
        runtime.put_record(**NAMED, Record=record(who))
    first = runtime.list_records(**NAMED, MaxResults=2)
    assert first["RecordIdentifiers"] == ["a", "b"]
    rest = runtime.list_records(**NAMED, MaxResults=2, NextToken=first["NextToken"])
    assert rest["RecordIdentifiers"] == ["c"]
    assert "NextToken" not in rest
    refused(runtime.list_records, **NAMED, NextToken="forged")


def test_single_features_change_where_the_store_can(
    runtime: Any, group: Callable[..., str]
) -> None:
    group(OnlineStoreConfig={**ONLINE, "StorageType": "Standard_V2"})
    one = {**NAMED, "RecordIdentifierValueAsString": "ada"}
    visits = record(visits="9")[2:]
    refused(runtime.update_record, "ResourceNotFound", **one, Features=visits)
    runtime.put_record(**NAMED, Record=record(at=5, visits="1", tags=["a"]))
    runtime.update_record(**one, Features=visits)
    assert got(runtime) == record(at=5, visits="9", tags=["a"])
    older = record(at=4)[1:]
    refused(runtime.update_record, "ConflictException", **one, Features=older)
    runtime.update_record(**one, Features=record(at=6, visits="10")[1:])
    assert got(runtime) == record(at=6, visits="10", tags=["a"])
    group("plain")
    one["FeatureGroupName"] = "plain"
    refused(runtime.update_record, **one, Features=visits)


def test_a_deleted_group_leaves_its_records_in_the_offline_store_alone(
    runtime: Any, group: Callable[..., str], client: Callable[..., Any], sagemaker: Any, region: str
) -> None:
    s3, bucket = client("s3"), f"mill-{region}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    offline = {"S3StorageConfig": {"S3Uri": f"s3://{bucket}/f"}}
    group(OfflineStoreConfig=offline)
    runtime.put_record(**NAMED, Record=record(at=1_706_702_400.5, visits="3", tags=["b", "a"]))
    runtime.delete_record(**NAMED, RecordIdentifierValueAsString="ada", EventTime="1706702401")
    sagemaker.delete_feature_group(**NAMED)
    refused(runtime.put_record, **NAMED, Record=record())
    (found,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    folder, _, name = found["Key"].rpartition("/")
    assert folder.endswith("/data/year=2024/month=01/day=31/hour=12")
    assert name.startswith("20240131T120001Z_")
    body = s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
    rows = pq.read_table(io.BytesIO(body)).to_pylist()
    assert [row["is_deleted"] for row in rows] == [False, True]
    assert [row["visits"] for row in rows] == [3, None]
    assert [row["tags"] for row in rows] == [["b", "a"], None]
    assert [row["at"] for row in rows] == [1_706_702_400.5, 1_706_702_401.0]
    assert all(row["api_invocation_time"] <= row["write_time"] for row in rows)
    group()
    assert got(runtime) is None


def test_a_group_stays_until_its_records_can_be_written(
    runtime: Any, group: Callable[..., str], client: Callable[..., Any], sagemaker: Any, region: str
) -> None:
    group(OfflineStoreConfig={"S3StorageConfig": {"S3Uri": f"s3://later-{region}/f"}})
    runtime.put_record(**NAMED, Record=record())
    sagemaker.delete_feature_group(**NAMED)
    told = sagemaker.describe_feature_group(**NAMED)
    assert told["FeatureGroupStatus"] == "DeleteFailed"
    assert f"later-{region}" in told["FailureReason"]
    client("s3").create_bucket(
        Bucket=f"later-{region}", CreateBucketConfiguration={"LocationConstraint": region}
    )
    sagemaker.delete_feature_group(**NAMED)
    assert client("s3").list_objects_v2(Bucket=f"later-{region}")["KeyCount"] == 1
    assert sagemaker.list_feature_groups()["FeatureGroupSummaries"] == []
