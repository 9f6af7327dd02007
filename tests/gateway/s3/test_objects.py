"""Objects through unmodified boto3."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway.s3.conftest import client_of

ODD_KEYS = [
    "plain.csv",
    "with space",
    "plus+plus",
    "per%cent%20",
    "ünï/çødé-✓-😀",
    "folder/",
    "folder",
    "folder/inside",
    "folder/inside/deeper",
    "/leading",
    "a//b",
    "a/../b",
    "../../etc/passwd",
    ".",
    "..",
    "./x",
    "x" * 1024,
    "d/" * 512,
    "q?uery&amp;=#frag",
    "quote\"'<tag>",
    "tilde~-_.!*'()",
    "back\\slash",
    "tab\there",
    "trailing ",
]


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: key[:12])
def test_any_key_holds_its_bytes(s3: Any, bucket: str, key: str) -> None:
    body = hashlib.sha256(key.encode()).digest()
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(body)
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": "copy"}]})
    assert [d["Key"] for d in answer["Deleted"]] == [key, "copy"]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_all_the_odd_keys_live_together_in_order(s3: Any, bucket: str, root: Path) -> None:
    for key in ODD_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 5}
    )
    assert [o["Key"] for p in pages for o in p["Contents"]] == sorted(ODD_KEYS)
    for key in ODD_KEYS:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert (root / bucket / "plain.csv").read_bytes() == b"plain.csv"
    assert {p.name for p in root.iterdir()} >= {bucket, ".tidemill"}


def test_a_put_says_what_it_kept(s3: Any, bucket: str) -> None:
    put = s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"grain",
        ContentType="text/csv",
        CacheControl="no-cache",
        ContentEncoding="gzip",
        Metadata={"Miller": "anna", "n": "1"},
        ServerSideEncryption="aws:kms",
        Tagging="a=1&b=x%20y",
    )
    assert put["ETag"] == f'"{hashlib.md5(b"grain").hexdigest()}"'
    assert put["ServerSideEncryption"] == "aws:kms"
    assert put["ChecksumCRC32"]
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"grain"
    assert (got["ContentType"], got["CacheControl"]) == ("text/csv", "no-cache")
    assert got["Metadata"] == {"miller": "anna", "n": "1"}
    assert got["ContentEncoding"] == "gzip"
    assert got["ChecksumCRC32"] == put["ChecksumCRC32"]
    assert got["TagCount"] == 2
    tags = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert tags == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "x y"}]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "c", "Value": ""}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "c", "Value": ""}]
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"] == put["ETag"]
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"miller": "anna", "n": "1"}


@pytest.mark.parametrize("name", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_a_checksum_is_verified_and_given_back(s3: Any, bucket: str, name: str) -> None:
    body = os.urandom(100_000)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm=name)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[f"Checksum{name}"] == put[f"Checksum{name}"]
    assert head["ChecksumType"] == "FULL_OBJECT"
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    wrong = {f"Checksum{name}": put[f"Checksum{name}"]}
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"other", **wrong)
    assert code(error) == "BadDigest"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_a_wrong_md5_is_refused(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    assert code(error) == "BadDigest"
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5="short")
    assert code(error) == "InvalidDigest"
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket=bucket, Key="k")
    assert code(error) == "404"


def test_an_unknown_checksum_says_so(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ChecksumXXHASH64="AAAAAAAAAAA=")
    assert code(error) == "NotImplemented"


@pytest.mark.parametrize(
    ("asked", "wanted", "header"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
    ],
)
def test_a_range_gives_its_bytes(
    s3: Any, bucket: str, asked: str, wanted: bytes, header: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", Range=asked, ChecksumMode="ENABLED")
    assert got["Body"].read() == wanted
    assert got["ContentRange"] == header
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert "ChecksumCRC32" not in got
    head = s3.head_object(Bucket=bucket, Key="k", Range=asked)
    assert head["ContentLength"] == len(wanted)


def test_a_range_beyond_the_end_is_not_satisfiable(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-")
    assert code(error) == "InvalidRange"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 416


def test_reads_keep_their_conditions(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    now = datetime.now(UTC)
    ok = [
        {"IfMatch": etag},
        {"IfMatch": "*"},
        {"IfNoneMatch": '"other"'},
        {"IfModifiedSince": now - timedelta(days=1)},
        {"IfUnmodifiedSince": now + timedelta(days=1)},
        {"IfMatch": etag, "IfUnmodifiedSince": now - timedelta(days=1)},
    ]
    for condition in ok:
        assert s3.get_object(Bucket=bucket, Key="k", **condition)["Body"].read() == b"x"
    for condition in [{"IfMatch": '"other"'}, {"IfUnmodifiedSince": now - timedelta(days=1)}]:
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket=bucket, Key="k", **condition)
        assert code(error) == "PreconditionFailed"
    for condition in [{"IfNoneMatch": etag}, {"IfModifiedSince": now + timedelta(seconds=1)}]:
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket=bucket, Key="k", **condition)
        assert code(error) == "304"


def test_writes_keep_their_conditions(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert code(error) == "PreconditionFailed"
    s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch=etag)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=etag)
    assert code(error) == "PreconditionFailed"
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="none", Body=b"3", IfMatch=etag)
    assert code(error) == "NoSuchKey"
    with pytest.raises(ClientError) as error:
        s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)
    assert code(error) == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"


def test_a_copy_takes_or_replaces_what_is_known(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "1"}, ContentType="text/csv")
    source = {"Bucket": bucket, "Key": "k"}
    s3.copy_object(Bucket=bucket, Key="same", CopySource=source)
    s3.copy_object(
        Bucket=bucket,
        Key="new",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"b": "2"},
    )
    assert s3.head_object(Bucket=bucket, Key="same")["Metadata"] == {"a": "1"}
    assert s3.head_object(Bucket=bucket, Key="same")["ContentType"] == "text/csv"
    assert s3.head_object(Bucket=bucket, Key="new")["Metadata"] == {"b": "2"}
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket=bucket, Key="k", CopySource=source)
    assert code(error) == "InvalidRequest"
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket=bucket, Key="x", CopySource=source, CopySourceIfMatch="other")
    assert code(error) == "PreconditionFailed"
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket=bucket, Key="x", CopySource={"Bucket": bucket, "Key": "none"})
    assert code(error) == "NoSuchKey"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls_work_without_a_client(url: str, bucket: str, version: str) -> None:
    s3 = client_of(url, signature_version=version)
    where = {"Bucket": bucket, "Key": "a b+c/ü"}
    put = s3.generate_presigned_url(
        "put_object", Params={**where, "ContentType": "application/x-www-form-urlencoded"}
    )
    request = urllib.request.Request(put, data=b"by hand", method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    params = {**where, "ResponseContentType": "text/plain"}
    with urllib.request.urlopen(s3.generate_presigned_url("get_object", Params=params)) as answer:
        assert answer.read() == b"by hand"
        assert answer.headers["content-type"] == "text/plain"
    s3.close()


def test_missing_things_are_named(s3: Any, bucket: str) -> None:
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="none")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.get_object(Bucket="nobodys-bucket", Key="none")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.put_object(Bucket="nobodys-bucket", Key="k", Body=b"x" * 3_000_000)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="x" * 1025, Body=b"x")
    assert code(error) == "KeyTooLongError"
    assert s3.delete_object(Bucket=bucket, Key="none")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_a_file_put_there_by_hand_is_an_object(s3: Any, bucket: str, root: Path) -> None:
    (root / bucket / "data").mkdir()
    file = root / bucket / "data" / "train.csv"
    file.write_bytes(b"1,2\n")
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"] == "data/train.csv"
    got = s3.get_object(Bucket=bucket, Key="data/train.csv")
    assert got["Body"].read() == b"1,2\n"
    assert s3.get_object(Bucket=bucket, Key="data/train.csv", IfMatch=got["ETag"])["ETag"]
    file.write_bytes(b"3,4,5\n")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="data/train.csv", IfMatch=got["ETag"])
    assert code(error) == "PreconditionFailed"


def test_attributes_tell_what_is_asked(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc")
    found = s3.get_object_attributes(
        Bucket=bucket, Key="k", ObjectAttributes=["ETag", "ObjectSize", "Checksum"]
    )
    assert found["ObjectSize"] == 3
    assert found["ETag"] == hashlib.md5(b"abc").hexdigest()
    assert found["Checksum"]["ChecksumCRC32"]
