"""Uploads in parts, below the wire."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from tidemill.storage.bucket import Buckets
from tidemill.storage.errors import InvalidPart, NoSuchUpload
from tidemill.storage.metadata import Metadata
from tidemill.storage.multipart import SMALLEST_PART, Upload, Uploads


@pytest.fixture
def buckets(tmp_path: Path) -> Buckets:
    buckets = Buckets(tmp_path)
    buckets.create("mill")
    return buckets


def put(buckets: Buckets, uploads: Uploads, upload: Upload, number: int, data: bytes) -> str:
    with buckets.draft() as draft:
        draft.write(data)
        return uploads.put_part("mill", upload, number, draft).etag


def test_parts_become_one_object_with_what_was_said_at_the_start(buckets: Buckets) -> None:
    uploads = Uploads(buckets)
    upload = uploads.create("mill", "a//b", Metadata("text/csv", user={"a": "1"}))
    bodies = {1: b"a" * SMALLEST_PART, 7: b"b"}
    parts = [(n, put(buckets, uploads, upload, n, body)) for n, body in bodies.items()]
    info = uploads.complete("mill", upload, parts)
    assert buckets.get_bytes("mill", "a//b") == b"".join(bodies.values())
    digest = hashlib.md5(b"".join(hashlib.md5(b).digest() for b in bodies.values()))
    assert info.etag == f"{digest.hexdigest()}-2"
    assert info.metadata.parts == (SMALLEST_PART, 1)
    assert info.metadata.user == {"a": "1"}
    assert buckets.head("mill", "a//b") == info
    assert uploads.list("mill") == []
    with pytest.raises(NoSuchUpload):
        uploads.find("mill", "a//b", upload.id)


def test_an_upload_outlives_the_process(buckets: Buckets) -> None:
    upload = Uploads(buckets).create("mill", "k", Metadata())
    etag = put(buckets, Uploads(buckets), upload, 1, b"x")
    again = Uploads(Buckets(buckets.layout.root))
    assert again.find("mill", "k", upload.id) == upload
    again.complete("mill", upload, [(1, etag)])
    assert buckets.get_bytes("mill", "k") == b"x"


def test_a_failed_completion_can_be_tried_again(buckets: Buckets) -> None:
    uploads = Uploads(buckets)
    upload = uploads.create("mill", "k", Metadata())
    etag = put(buckets, uploads, upload, 1, b"x")
    with pytest.raises(InvalidPart, match="part 2"):
        uploads.complete("mill", upload, [(1, etag), (2, etag)])
    uploads.complete("mill", upload, [(1, etag)])


def test_uploads_left_for_a_week_are_swept(buckets: Buckets) -> None:
    uploads = Uploads(buckets)
    old, new = (uploads.create("mill", key, Metadata()) for key in ("old", "new"))
    week = time.time() - 8 * 86_400
    os.utime(buckets.layout.uploads("mill") / old.id, (week, week))
    uploads.sweep()
    assert [upload.id for upload in uploads.list("mill")] == [new.id]


def test_listed_by_key_and_time(buckets: Buckets) -> None:
    uploads = Uploads(buckets)
    made = [uploads.create("mill", key, Metadata()) for key in ("b", "a", "é", "a")]
    assert [u.key for u in uploads.list("mill")] == ["a", "a", "b", "é"]
    assert [u.id for u in uploads.list("mill", "a")] == [made[1].id, made[3].id]
