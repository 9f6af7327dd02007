"""Feature groups through unmodified boto3: made, refused, told, changed, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway.conftest import ACCOUNT

FEATURES = [
    {"FeatureName": "customer", "FeatureType": "String"},
    {"FeatureName": "at", "FeatureType": "Fractional"},
    {"FeatureName": "visits", "FeatureType": "Integral"},
]
ROLE = "arn:aws:iam::123456789012:role/features"
ONLINE = {"EnableOnlineStore": True}
OFFLINE = {"S3StorageConfig": {"S3Uri": "s3://mill/features/"}}


@pytest.fixture
def create(sagemaker: Any) -> Callable[..., Any]:
    def make(name: str = "customers-1", **changes: Any) -> Any:
        request = {
            "FeatureGroupName": name,
            "RecordIdentifierFeatureName": "customer",
            "EventTimeFeatureName": "at",
            "FeatureDefinitions": FEATURES,
            "OnlineStoreConfig": ONLINE,
            "OfflineStoreConfig": OFFLINE,
            "RoleArn": ROLE,
            **changes,
        }
        return sagemaker.create_feature_group(
            **{key: value for key, value in request.items() if value is not None}
        )

    return make


def refused(call: Callable[..., Any], code: str = "ValidationException", **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    assert error["Code"] == code
    return str(error["Message"])


def test_a_group_tells_what_was_sent_and_where_its_files_lie(
    create: Callable[..., Any], sagemaker: Any, region: str
) -> None:
    arn = create()["FeatureGroupArn"]
    assert arn == f"arn:aws:sagemaker:{region}:{ACCOUNT}:feature-group/customers-1"
    told = sagemaker.describe_feature_group(FeatureGroupName="customers-1")
    assert told["FeatureDefinitions"] == FEATURES
    assert told["OnlineStoreConfig"] == ONLINE
    assert told["FeatureGroupStatus"] == "Created"
    assert told["OfflineStoreStatus"] == {"Status": "Active"}
    assert told["RoleArn"] == ROLE
    assert "LastUpdateStatus" not in told
    created = int(told["CreationTime"].timestamp())
    offline = told["OfflineStoreConfig"]
    assert offline["S3StorageConfig"] == {
        "S3Uri": "s3://mill/features/",
        "ResolvedOutputS3Uri": f"s3://mill/features/{ACCOUNT}/sagemaker/{region}/offline-store/"
        f"customers-1-{created}/data",
    }
    assert offline["DataCatalogConfig"] == {
        "TableName": f"customers_1_{created}",
        "Catalog": "AwsDataCatalog",
        "Database": "sagemaker_featurestore",
    }
    assert sagemaker.describe_feature_group(FeatureGroupName=arn)["FeatureGroupArn"] == arn


def test_a_group_without_an_offline_store_has_none_to_tell_of(
    create: Callable[..., Any], sagemaker: Any
) -> None:
    create(OfflineStoreConfig=None)
    told = sagemaker.describe_feature_group(FeatureGroupName="customers-1")
    assert "OfflineStoreConfig" not in told
    assert told["OfflineStoreStatus"] == {"Status": "Disabled"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RecordIdentifierFeatureName": "nobody"}, "RecordIdentifierFeatureName"),
        ({"EventTimeFeatureName": "never"}, "EventTimeFeatureName"),
        ({"EventTimeFeatureName": "visits"}, "String or Fractional"),
        ({"EventTimeFeatureName": "customer"}, "differ"),
        ({"OnlineStoreConfig": None, "OfflineStoreConfig": None}, "OnlineStoreConfig"),
        ({"OnlineStoreConfig": {}, "OfflineStoreConfig": None}, "OnlineStoreConfig"),
        ({"OnlineStoreConfig": {**ONLINE, "TtlDuration": {"Value": 1}}}, "Unit"),
        ({"OfflineStoreConfig": {**OFFLINE, "TableFormat": "Iceberg"}}, "Iceberg"),
        ({"FeatureDefinitions": [*FEATURES, FEATURES[2]]}, "unique"),
        *(
            (
                {
                    "FeatureDefinitions": [
                        *FEATURES,
                        {"FeatureName": name, "FeatureType": "String"},
                    ]
                },
                "reserved",
            )
            for name in ("is_deleted", "write_time", "api_invocation_time")
        ),
        (
            {"FeatureDefinitions": [{**FEATURES[0], "CollectionType": "List"}, *FEATURES[1:]]},
            "collection",
        ),
        (
            {"FeatureDefinitions": [*FEATURES[:2], {**FEATURES[2], "CollectionType": "Vector"}]},
            "CollectionConfig",
        ),
    ],
)
def test_what_cannot_be_a_group_is_refused(
    create: Callable[..., Any], sagemaker: Any, changes: dict[str, Any], words: str
) -> None:
    assert words in refused(create, **changes)
    assert sagemaker.list_feature_groups()["FeatureGroupSummaries"] == []


def test_a_name_is_taken_once(create: Callable[..., Any]) -> None:
    create()
    assert "already exists" in refused(create, "ResourceInUse")


def test_what_is_not_there_is_said_so(sagemaker: Any) -> None:
    for call in (sagemaker.describe_feature_group, sagemaker.delete_feature_group):
        assert "nobody" in refused(call, "ResourceNotFound", FeatureGroupName="nobody")


def test_lists_filter_sort_and_page(create: Callable[..., Any], sagemaker: Any) -> None:
    for name in ("b-group", "a-group"):
        create(name)
    create("c-online", OfflineStoreConfig=None)

    def names(**asked: Any) -> list[str]:
        found = sagemaker.list_feature_groups(**asked)["FeatureGroupSummaries"]
        return [one["FeatureGroupName"] for one in found]

    assert names() == ["c-online", "a-group", "b-group"]
    assert names(SortBy="Name", SortOrder="Ascending") == ["a-group", "b-group", "c-online"]
    assert names(OfflineStoreStatusEquals="Disabled") == ["c-online"]
    assert names(FeatureGroupStatusEquals="Creating") == []
    assert names(NameContains="group", FeatureGroupStatusEquals="Created") == [
        "a-group",
        "b-group",
    ]
    page = sagemaker.list_feature_groups(MaxResults=2)
    assert names(MaxResults=2, NextToken=page["NextToken"]) == ["b-group"]


def test_features_are_added_and_never_twice(create: Callable[..., Any], sagemaker: Any) -> None:
    create()
    more = [{"FeatureName": "city", "FeatureType": "String"}]
    sagemaker.update_feature_group(FeatureGroupName="customers-1", FeatureAdditions=more)
    told = sagemaker.describe_feature_group(FeatureGroupName="customers-1")
    assert told["FeatureDefinitions"] == [*FEATURES, *more]
    assert told["LastUpdateStatus"] == {"Status": "Successful"}
    update = sagemaker.update_feature_group
    refused(update, FeatureGroupName="customers-1", FeatureAdditions=more)
    refused(update, "ResourceNotFound", FeatureGroupName="nobody", FeatureAdditions=more)


def test_the_time_to_live_is_changed_and_taken_away(
    create: Callable[..., Any], sagemaker: Any
) -> None:
    create()
    hour = {"Unit": "Hours", "Value": 1}
    for duration, told in ((hour, {**ONLINE, "TtlDuration": hour}), ({}, ONLINE)):
        sagemaker.update_feature_group(
            FeatureGroupName="customers-1", OnlineStoreConfig={"TtlDuration": duration}
        )
        found = sagemaker.describe_feature_group(FeatureGroupName="customers-1")
        assert found["OnlineStoreConfig"] == told


def test_features_have_descriptions_and_parameters(
    create: Callable[..., Any], sagemaker: Any
) -> None:
    create()
    named = {"FeatureGroupName": "customers-1", "FeatureName": "visits"}
    told = sagemaker.describe_feature_metadata(**named)
    assert told["FeatureType"] == "Integral"
    assert told["Parameters"] == []
    assert "Description" not in told
    team, unit = {"Key": "team", "Value": "web"}, {"Key": "unit", "Value": "count"}
    sagemaker.update_feature_metadata(
        **named, Description="how often", ParameterAdditions=[team, unit]
    )
    sagemaker.update_feature_metadata(**named, ParameterRemovals=["team"])
    told = sagemaker.describe_feature_metadata(**named)
    assert told["Description"] == "how often"
    assert told["Parameters"] == [unit]
    assert told["LastModifiedTime"] >= told["CreationTime"]
    many = [{"Key": str(i), "Value": "v"} for i in range(25)]
    refused(sagemaker.update_feature_metadata, **named, ParameterAdditions=many)
    named["FeatureName"] = "nothing"
    refused(sagemaker.describe_feature_metadata, "ResourceNotFound", **named)


def test_groups_have_tags_which_go_with_them(create: Callable[..., Any], sagemaker: Any) -> None:
    tag = {"Key": "team", "Value": "web"}
    arn = create(Tags=[tag])["FeatureGroupArn"]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [tag]
    sagemaker.delete_feature_group(FeatureGroupName="customers-1")
    refused(sagemaker.describe_feature_group, "ResourceNotFound", FeatureGroupName="customers-1")
    create()
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []


def test_groups_are_found_by_what_they_are(create: Callable[..., Any], sagemaker: Any) -> None:
    create()
    create("others", Tags=[{"Key": "team", "Value": "web"}])
    expression = {"Filters": [{"Name": "Tags.team", "Operator": "Equals", "Value": "web"}]}
    (found,) = sagemaker.search(Resource="FeatureGroup", SearchExpression=expression)["Results"]
    assert found["FeatureGroup"]["FeatureGroupName"] == "others"
    assert found["FeatureGroup"]["FeatureDefinitions"] == FEATURES
