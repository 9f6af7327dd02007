"""What a program leaves is uploaded whole, and nothing else."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.workers.places import BUCKET, Place
from tests.workers.script.jobs import members
from tidemill.workers.script.results import is_empty, upload


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.put("a", b"")
    return place


def write(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def test_files_of_all_hosts_are_merged_at_the_root_of_the_archive(place: Place) -> None:
    first = write(place.root / "1", {"model.pt": "one", "code/inference.py": "x"})
    second = write(place.root / "2", {"model.pt": "two", "rank-1": "y"})
    (first / "model.pt").chmod(0o755)
    uri = upload(place.buckets, [first, second], "s3://mill/out/model", compress=True)
    assert uri == "s3://mill/out/model.tar.gz"
    data = place.buckets.get_bytes(BUCKET, "out/model.tar.gz")
    assert members(data) == {"model.pt": b"one", "code/inference.py": b"x", "rank-1": b"y"}
    with tarfile.open(place.buckets.path(BUCKET, "out/model.tar.gz")) as tar:
        assert {m.name: oct(m.mode) for m in tar}["model.pt"] == "0o755"
    upload(place.buckets, [first, second], "s3://mill/again", compress=True)
    assert place.buckets.get_bytes(BUCKET, "again.tar.gz") == data


def test_links_are_followed_and_those_that_lead_nowhere_are_told(place: Place) -> None:
    directory = write(place.root / "1", {"blobs/1": "weights"})
    (directory / "model.pt").symlink_to("blobs/1")
    (directory / "gone").symlink_to("/no/such/file")
    (directory / "all").symlink_to("/")
    whole = place.root / "2"
    whole.symlink_to("/")
    left: list[str] = []
    uri = "s3://mill/out/model"
    upload(place.buckets, [directory, whole], uri, compress=True, skipped=left.append)
    found = members(place.buckets.get_bytes(BUCKET, "out/model.tar.gz"))
    assert (found["model.pt"], left) == (b"weights", ["all", "gone", "2"])
    assert set(found) == {"blobs/1", "model.pt"}


def test_without_compression_files_lie_loose_and_an_empty_model_is_an_archive(
    place: Place,
) -> None:
    directory = write(place.root / "1", {"a/b": "1"})
    uri = upload(place.buckets, [directory], "s3://mill/out/model", compress=False)
    assert uri == "s3://mill/out/model/"
    assert place.buckets.get_bytes(BUCKET, "out/model/a/b") == b"1"
    empty = place.root / "2"
    assert is_empty([empty])
    assert not is_empty([empty, directory])
    upload(place.buckets, [empty], "s3://mill/none", compress=True)
    assert members(place.buckets.get_bytes(BUCKET, "none.tar.gz")) == {}
