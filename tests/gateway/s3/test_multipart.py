"""Uploads in parts through unmodified boto3."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

MIB = 1 << 20


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def start(s3: Any, bucket: str, parts: list[bytes], **about: Any) -> tuple[str, list[Any]]:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", **about)["UploadId"]
    done = []
    for number, body in enumerate(parts, 1):
        answer = s3.upload_part(
            Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, Body=body
        )
        done.append({"PartNumber": number, "ETag": answer["ETag"]})
    return upload, done


def finish(s3: Any, bucket: str, upload: str, parts: list[Any], **more: Any) -> Any:
    return s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts}, **more
    )


def test_a_large_file_goes_up_and_comes_down(s3: Any, bucket: str, tmp_path: Path) -> None:
    data = random.Random(0).randbytes(20 * MIB + 17)
    (tmp_path / "up").write_bytes(data)
    s3.upload_file(str(tmp_path / "up"), bucket, "big/file", ExtraArgs={"Metadata": {"a": "b"}})
    head = s3.head_object(Bucket=bucket, Key="big/file", ChecksumMode="ENABLED")
    assert head["ETag"].endswith('-3"')
    assert head["Metadata"] == {"a": "b"}
    s3.download_file(bucket, "big/file", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == data
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_the_etag_is_the_md5_of_the_parts(s3: Any, bucket: str) -> None:
    parts = [b"a" * (5 * MIB), b"b" * 10]
    upload, done = start(s3, bucket, parts)
    listed = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)["Parts"]
    assert [(p["PartNumber"], p["Size"]) for p in listed] == [(1, 5 * MIB), (2, 10)]
    assert s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["UploadId"] == upload
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    assert finish(s3, bucket, upload, done)["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    second = s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert (second["Body"].read(), second["PartsCount"]) == (b"b" * 10, 2)


@pytest.mark.parametrize("name", ["CRC32", "CRC32C", "CRC64NVME"])
def test_a_full_checksum_is_joined_from_the_parts(s3: Any, bucket: str, name: str) -> None:
    parts = [os.urandom(5 * MIB), os.urandom(1234)]
    whole = s3.put_object(Bucket=bucket, Key="whole", Body=b"".join(parts), ChecksumAlgorithm=name)[
        f"Checksum{name}"
    ]
    about = {"ChecksumAlgorithm": name, "ChecksumType": "FULL_OBJECT"}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", **about)["UploadId"]
    done = []
    for number, body in enumerate(parts, 1):
        answer = s3.upload_part(
            Bucket=bucket,
            Key="k",
            UploadId=upload,
            PartNumber=number,
            Body=body,
            ChecksumAlgorithm=name,
        )
        done.append({"PartNumber": number, "ETag": answer["ETag"]})
    with pytest.raises(ClientError) as error:
        finish(s3, bucket, upload, done, **{f"Checksum{name}": "AAAA" + whole[4:]})
    assert code(error) == "BadDigest"
    answer = finish(s3, bucket, upload, done, **{f"Checksum{name}": whole})
    assert answer[f"Checksum{name}"] == whole
    assert answer["ChecksumType"] == "FULL_OBJECT"


def test_parts_must_be_there_in_order_and_large(s3: Any, bucket: str) -> None:
    upload, done = start(s3, bucket, [b"small", b"small too"])
    with pytest.raises(ClientError) as error:
        finish(s3, bucket, upload, done)
    assert code(error) == "EntityTooSmall"
    with pytest.raises(ClientError) as error:
        finish(s3, bucket, upload, done[::-1])
    assert code(error) == "InvalidPartOrder"
    with pytest.raises(ClientError) as error:
        finish(s3, bucket, upload, [{"PartNumber": 3, "ETag": "x"}])
    assert code(error) == "InvalidPart"
    with pytest.raises(ClientError) as error:
        finish(s3, bucket, upload, [{"PartNumber": 1, "ETag": done[1]["ETag"]}])
    assert code(error) == "InvalidPart"
    finish(s3, bucket, upload, done[1:])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"small too"


def test_an_aborted_upload_is_gone(s3: Any, bucket: str) -> None:
    upload, done = start(s3, bucket, [b"x"])
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    for attempt in (
        lambda: finish(s3, bucket, upload, done),
        lambda: s3.list_parts(Bucket=bucket, Key="k", UploadId=upload),
        lambda: s3.list_parts(Bucket=bucket, Key="k", UploadId="../../x"),
    ):
        with pytest.raises(ClientError) as error:
            attempt()
        assert code(error) == "NoSuchUpload"


def test_a_part_may_be_copied(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part_copy(
        Bucket=bucket,
        Key="k",
        UploadId=upload,
        PartNumber=1,
        CopySource={"Bucket": bucket, "Key": "source"},
        CopySourceRange="bytes=2-4",
    )["CopyPartResult"]
    finish(s3, bucket, upload, [{"PartNumber": 1, "ETag": part["ETag"]}])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"234"


def test_a_part_replaced_counts_as_the_last_one_sent(s3: Any, bucket: str) -> None:
    upload, _ = start(s3, bucket, [b"old"])
    answer = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"new")
    finish(s3, bucket, upload, [{"PartNumber": 1, "ETag": answer["ETag"]}])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"new"
