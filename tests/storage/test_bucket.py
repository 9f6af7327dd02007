"""The plain directory keeps the laws of object stores, and what is special about it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tidemill.storage.bucket import Buckets
from tidemill.storage.errors import (
    BehindLink,
    BucketNotEmpty,
    BucketTaken,
    InvalidBucketName,
    KeyTooLong,
    NoSuchBucket,
    NoSuchKey,
)
from tidemill.storage.metadata import Metadata
from tidemill.testing.storage import BUCKET, CHECKS, ODD_KEYS, Store, machine


def make(root: Path) -> Buckets:
    buckets = Buckets(root)
    buckets.create(BUCKET)
    return buckets


@pytest.fixture
def buckets(tmp_path: Path) -> Buckets:
    return make(tmp_path / "s3")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_law(check: Callable[[Store], None], tmp_path: Path) -> None:
    check(make(tmp_path))


TestWalks = machine(
    lambda: make(Path(tempfile.mkdtemp(prefix="tidemill-test-"))),
    lambda buckets: shutil.rmtree(buckets.layout.root),
).TestCase
TestWalks.settings = settings(
    max_examples=30,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_a_plain_key_is_a_plain_file(buckets: Buckets) -> None:
    buckets.put_bytes(BUCKET, "data/train 1.csv", b"1,2\n")
    file = buckets.layout.root / BUCKET / "data" / "train 1.csv"
    assert file.read_bytes() == b"1,2\n"
    assert buckets.path(BUCKET, "data/train 1.csv") == file
    buckets.delete(BUCKET, "data/train 1.csv")
    assert list((buckets.layout.root / BUCKET).iterdir()) == []


def test_nothing_is_written_outside_the_root(tmp_path: Path) -> None:
    buckets = make(tmp_path / "deep" / "s3")
    for key in ODD_KEYS:
        buckets.put_bytes(BUCKET, key, b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["deep"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["s3"]
    assert {p.name for p in (tmp_path / "deep" / "s3").iterdir()} == {BUCKET, ".tidemill"}


@pytest.mark.parametrize("name", ["..", "../x", "", "/", ".tidemill", "a", "A-b", "1.2.3.4", "a\n"])
def test_a_bucket_cannot_be_a_way_out(buckets: Buckets, name: str) -> None:
    for ask in (
        lambda: buckets.create(name),
        lambda: buckets.delete_bucket(name),
        lambda: buckets.put_bytes(name, "k", b""),
        lambda: buckets.get_bytes(name, "k"),
        lambda: buckets.delete(name, "k"),
        lambda: list(buckets.list(name)),
    ):
        with pytest.raises(InvalidBucketName):
            ask()


def test_a_file_changed_by_hand_has_a_new_etag(buckets: Buckets) -> None:
    put = buckets.put_bytes(BUCKET, "k", b"old", Metadata(user={"a": "1"}))
    buckets.path(BUCKET, "k").write_bytes(b"newer")
    changed = buckets.head(BUCKET, "k")
    assert changed.etag != put.etag
    assert changed.etag == buckets.head(BUCKET, "k").etag
    assert changed.size == 5
    assert changed.metadata.user == {}
    assert next(buckets.list(BUCKET)) == changed
    again = buckets.put_bytes(BUCKET, "k", b"again")
    assert buckets.head(BUCKET, "k") == again


def test_files_dropped_in_by_hand_are_objects(buckets: Buckets) -> None:
    top = buckets.layout.root / BUCKET
    (top / "d").mkdir()
    (top / "d" / "x.csv").write_bytes(b"1")
    (top / "empty").mkdir()
    os.mkfifo(top / "pipe")
    (top / "gone").symlink_to(top / "nowhere")
    with open(os.fsencode(top) + b"/\xff", "wb"):
        pass
    assert [info.key for info in buckets.list(BUCKET)] == ["d/x.csv"]
    with pytest.raises(NoSuchKey):
        buckets.get_bytes(BUCKET, "pipe")
    with pytest.raises(BucketNotEmpty):
        buckets.delete_bucket(BUCKET)


def test_linked_directories_are_read_and_never_written(buckets: Buckets, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "x.csv").write_bytes(b"1")
    top = buckets.layout.root / BUCKET
    (top / "linked").symlink_to(data)
    (top / "around").symlink_to(top)
    assert [info.key for info in buckets.list(BUCKET)] == ["linked/x.csv"]
    assert buckets.get_bytes(BUCKET, "linked/x.csv") == b"1"
    with pytest.raises(BehindLink):
        buckets.put_bytes(BUCKET, "linked/x.csv", b"2")
    with pytest.raises(BehindLink):
        buckets.put_bytes(BUCKET, "linked/new", b"2")
    with pytest.raises(BehindLink):
        buckets.delete(BUCKET, "linked/x.csv")
    assert {p.name: p.read_bytes() for p in data.iterdir()} == {"x.csv": b"1"}


def test_a_link_to_a_file_is_replaced_not_followed(buckets: Buckets, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (buckets.layout.root / BUCKET / "k").symlink_to(tmp_path / "mine")
    assert buckets.get_bytes(BUCKET, "k") == b"mine"
    buckets.put_bytes(BUCKET, "k", b"theirs")
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert buckets.get_bytes(BUCKET, "k") == b"theirs"


def test_an_open_object_stays_as_it_was(buckets: Buckets) -> None:
    buckets.put_bytes(BUCKET, "k", b"first")
    with buckets.open(BUCKET, "k") as opened:
        buckets.put_bytes(BUCKET, "k", b"second")
        assert opened.read(0, 5) == b"first"
        buckets.delete(BUCKET, "k")
        assert b"".join(opened.blocks(1, 5)) == b"irst"


def test_a_put_that_fails_leaves_nothing(buckets: Buckets) -> None:
    with pytest.raises(NoSuchBucket):
        buckets.put_bytes("no-such-bucket", "k", b"x")
    with pytest.raises(KeyTooLong):
        buckets.put_bytes(BUCKET, "x" * 1025, b"x")
    assert list(buckets.layout.drafts.iterdir()) == []


def test_a_kill_between_sidecar_and_rename_changes_nothing(buckets: Buckets) -> None:
    before = buckets.put_bytes(BUCKET, "k", b"old", Metadata(user={"a": "1"}))

    class Killed(BaseException):
        pass

    with buckets.draft() as draft:
        draft.write(b"new")

        def die(path: Path) -> None:
            raise Killed

        draft.keep = die  # type: ignore[method-assign]
        with pytest.raises(Killed):
            buckets.commit(draft, BUCKET, "k", Metadata(user={"a": "2"}))
    assert buckets.head(BUCKET, "k") == before
    assert buckets.get_bytes(BUCKET, "k") == b"old"


def test_buckets_come_and_go(buckets: Buckets) -> None:
    with pytest.raises(BucketTaken):
        buckets.create(BUCKET)
    (buckets.layout.root / "by-hand").mkdir()
    (buckets.layout.root / "Not A Bucket").mkdir()
    assert [one.name for one in buckets.buckets()] == ["by-hand", BUCKET]
    buckets.put_bytes(BUCKET, "a//b", b"")
    with pytest.raises(BucketNotEmpty):
        buckets.delete_bucket(BUCKET)
    buckets.delete(BUCKET, "a//b")
    buckets.delete_bucket(BUCKET)
    with pytest.raises(NoSuchBucket):
        buckets.bucket(BUCKET)


def test_a_bucket_made_again_remembers_nothing(buckets: Buckets) -> None:
    buckets.put_bytes(BUCKET, "k", b"x")
    buckets.delete(BUCKET, "k")
    buckets.delete_bucket(BUCKET)
    buckets.create(BUCKET)
    assert list(buckets.list(BUCKET)) == []


def test_drafts_of_the_dead_are_swept_and_no_others(buckets: Buckets) -> None:
    dead = buckets.layout.drafts / "dead"
    dead.write_bytes(b"x")
    young = buckets.layout.drafts / "young"
    young.write_bytes(b"x")
    with buckets.draft() as alive:
        for path in (dead, alive.path):
            os.utime(path, (time.time() - 3600,) * 2)
        buckets.sweep()
        assert set(buckets.layout.drafts.iterdir()) == {young, alive.path}


def test_a_file_is_put_and_stays(buckets: Buckets, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "f").write_bytes(data)
    info = buckets.put_file(BUCKET, "f", tmp_path / "f")
    assert info.etag == hashlib.md5(data).hexdigest()
    assert buckets.get_bytes(BUCKET, "f") == data
    assert (tmp_path / "f").read_bytes() == data


def test_a_prefix_keeps_the_walk_out_of_other_directories(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory in range(20):
        for number in range(3):
            buckets.put_bytes(BUCKET, f"d{directory:02d}/{number}", b"")
    seen: list[bytes] = []
    scandir = os.scandir

    def counted(path: bytes) -> object:
        seen.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    assert len(list(buckets.list(BUCKET, "d07/"))) == 3
    assert len(seen) <= 3
    seen.clear()
    assert [info.key for info in buckets.list(BUCKET, after="d18/1")][0] == "d18/2"
    assert len(seen) <= 4
    seen.clear()
    page = buckets.page(BUCKET, delimiter="/", limit=5)
    assert page.prefixes == [f"d{n:02d}/" for n in range(5)]
    assert len(seen) <= 9


def test_a_large_directory_is_read_once_until_it_changes(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = buckets.layout.root / BUCKET / "d"
    top.mkdir()
    for number in range(2_100):
        (top / f"{number:04d}").touch()
    os.utime(top, (time.time() - 60,) * 2)
    seen: list[bytes] = []
    scandir = os.scandir

    def counted(path: bytes) -> object:
        seen.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    for start in (0, 700, 2_000):
        page = buckets.page(BUCKET, prefix="d/", floor=b"d/%04d" % start, limit=10)
        assert [info.key for info in page.objects] == [f"d/{start + n:04d}" for n in range(10)]
    assert seen.count(os.fsencode(top)) == 1
    (top / "0000a").touch()
    assert buckets.page(BUCKET, prefix="d/", limit=2).objects[1].key == "d/0000a"
    (top / "0000a").unlink()
    assert buckets.page(BUCKET, prefix="d/", limit=2).objects[1].key == "d/0001"
