"""Buckets through unmodified boto3."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway.s3.server import ACCOUNT


def test_a_bucket_comes_and_goes(s3: Any) -> None:
    with pytest.raises(ClientError) as error:
        s3.head_bucket(Bucket="come-and-go")
    assert error.value.response["Error"]["Code"] == "404"
    s3.create_bucket(
        Bucket="come-and-go", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    assert s3.head_bucket(Bucket="come-and-go", ExpectedBucketOwner=ACCOUNT)["BucketRegion"]
    assert s3.get_bucket_location(Bucket="come-and-go")["LocationConstraint"] == "eu-west-1"
    assert "come-and-go" in [one["Name"] for one in s3.list_buckets()["Buckets"]]
    with pytest.raises(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(
            Bucket="come-and-go", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
    s3.put_object(Bucket="come-and-go", Key="k", Body=b"")
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket="come-and-go")
    assert error.value.response["Error"]["Code"] == "BucketNotEmpty"
    s3.delete_object(Bucket="come-and-go", Key="k")
    s3.delete_bucket(Bucket="come-and-go")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket="come-and-go")


def test_a_bucket_of_another_account_is_refused(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket=bucket, ExpectedBucketOwner="999999999999")
    assert error.value.response["Error"]["Code"] == "AccessDenied"


@pytest.mark.parametrize("name", ["Upper", "under_score", "10.0.0.1", "a..b"])
def test_a_bad_name_is_refused(s3: Any, name: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.create_bucket(Bucket=name)
    assert error.value.response["Error"]["Code"] == "InvalidBucketName"


def test_buckets_list_in_pages(s3: Any) -> None:
    for number in range(3):
        s3.create_bucket(Bucket=f"paged-{number}")
    pages = s3.get_paginator("list_buckets").paginate(
        Prefix="paged-", PaginationConfig={"PageSize": 2}
    )
    names = [[one["Name"] for one in page["Buckets"]] for page in pages]
    assert names == [["paged-0", "paged-1"], ["paged-2"]]


def test_settings_answer_as_when_nothing_was_set(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Grantee"]["ID"] == ACCOUNT
    asked = {
        s3.get_bucket_policy: "NoSuchBucketPolicy",
        s3.get_bucket_tagging: "NoSuchTagSet",
        s3.get_bucket_lifecycle_configuration: "NoSuchLifecycleConfiguration",
        s3.get_bucket_encryption: "ServerSideEncryptionConfigurationNotFoundError",
        s3.get_public_access_block: "NoSuchPublicAccessBlockConfiguration",
    }
    for ask, wanted in asked.items():
        with pytest.raises(ClientError) as error:
            ask(Bucket=bucket)
        assert error.value.response["Error"]["Code"] == wanted
    with pytest.raises(ClientError) as error:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert error.value.response["Error"]["Code"] == "NotImplemented"
