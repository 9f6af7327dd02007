"""Listings through unmodified boto3."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

KEYS = ["a", "a/1", "a/2", "a/b/3", "b", "b.txt", "c/4", "c/5/6", "d", "z z+z", "é/7"]


@pytest.fixture
def filled(s3: Any, bucket: str) -> str:
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def keys(page: dict[str, Any]) -> list[str]:
    return [entry["Key"] for entry in page.get("Contents", [])]


def prefixes(page: dict[str, Any]) -> list[str]:
    return [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_cover_every_key_once(s3: Any, filled: str, operation: str, size: int) -> None:
    pages = list(
        s3.get_paginator(operation).paginate(Bucket=filled, PaginationConfig={"PageSize": size})
    )
    assert [key for page in pages for key in keys(page)] == KEYS
    assert all(len(keys(page)) <= size for page in pages)


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_delimiter_folds_folders(s3: Any, filled: str, operation: str, size: int) -> None:
    paginator = s3.get_paginator(operation)
    pages = list(
        paginator.paginate(Bucket=filled, Delimiter="/", PaginationConfig={"PageSize": size})
    )
    assert [key for page in pages for key in keys(page)] == ["a", "b", "b.txt", "d", "z z+z"]
    assert [one for page in pages for one in prefixes(page)] == ["a/", "c/", "é/"]
    below = s3.list_objects_v2(Bucket=filled, Delimiter="/", Prefix="a/")
    assert (keys(below), prefixes(below)) == (["a/1", "a/2"], ["a/b/"])


def test_start_after_and_prefix_narrow(s3: Any, filled: str) -> None:
    assert keys(s3.list_objects_v2(Bucket=filled, StartAfter="b")) == KEYS[5:]
    assert keys(s3.list_objects_v2(Bucket=filled, Prefix="a/", StartAfter="a/1")) == KEYS[2:4]
    assert keys(s3.list_objects_v2(Bucket=filled, Prefix="nothing")) == []
    assert s3.list_objects_v2(Bucket=filled, MaxKeys=0)["KeyCount"] == 0
    page = s3.list_objects_v2(Bucket=filled, MaxKeys=2)
    assert (page["KeyCount"], page["IsTruncated"]) == (2, True)


def test_a_token_that_nobody_issued_is_refused(s3: Any, filled: str) -> None:
    for token in ("made-up", "", "AAAA"):
        with pytest.raises(ClientError) as error:
            s3.list_objects_v2(Bucket=filled, ContinuationToken=token)
        assert error.value.response["Error"]["Code"] == "InvalidArgument"


def test_versions_are_the_objects_themselves(s3: Any, filled: str) -> None:
    found = s3.list_object_versions(Bucket=filled)["Versions"]
    assert [one["Key"] for one in found] == KEYS
    assert {one["VersionId"] for one in found} == {"null"}
