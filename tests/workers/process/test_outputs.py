"""Directories whose files go to S3."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.workers.places import BUCKET, Place
from tests.workers.process.jobs import made
from tidemill.workers.process.outputs import Outlet


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path.resolve())
    place.put("other", b"")
    (tmp_path / "out").mkdir()
    return place


def outlet(place: Place, prefix: str = "made") -> Outlet:
    uri = f"s3://{BUCKET}/{prefix}"
    return Outlet(place.buckets, uri, place.root / "out", place.root / "record")


def write(place: Place, name: str, text: str) -> None:
    path = place.root / "out" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_all_files_are_sent_at_the_end(place: Place) -> None:
    write(place, "a/b", "1")
    write(place, "c", "2")
    assert outlet(place).finish() == 2
    assert made(place) == {"a/b": b"1", "c": b"2"}


def test_a_bucket_may_be_the_whole_prefix(place: Place) -> None:
    write(place, "a", "1")
    Outlet(place.buckets, f"s3://{BUCKET}", place.root / "out", place.root / "record").finish()
    assert place.buckets.get_bytes(BUCKET, "a") == b"1"


def test_links_and_pipes_stay_behind(place: Place) -> None:
    out = place.root / "out"
    (out / "link").symlink_to(place.root / "s3")
    os.mkfifo(out / "pipe")
    assert outlet(place).finish() == 0
    out.joinpath("link").unlink()
    out.joinpath("pipe").unlink()
    out.rmdir()
    out.symlink_to(place.root / "s3")
    assert outlet(place).finish() == 0


def test_a_file_is_sent_early_only_when_nobody_writes_to_it(place: Place) -> None:
    flow = outlet(place)
    flow.begin()
    write(place, "a", "1")
    flow.look()
    assert made(place) == {}
    write(place, "a", "1, and more")
    flow.look()
    assert made(place) == {}
    flow.look()
    assert made(place) == {"a": b"1, and more"}
    write(place, "a", "changed once more")
    flow.finish()
    assert made(place) == {"a": b"changed once more"}


def test_what_a_program_removes_after_it_was_sent_stays_in_s3(place: Place) -> None:
    flow = outlet(place)
    flow.begin()
    write(place, "a", "1")
    flow.look()
    flow.look()
    (place.root / "out/a").unlink()
    assert flow.finish() == 0
    resumed = outlet(place)  # by a worker that was killed when only the upload was left
    resumed.finish()
    assert made(place) == {"a": b"1"}


def test_what_only_an_earlier_attempt_has_sent_is_taken_back_at_the_end(place: Place) -> None:
    for number in range(2):
        killed = outlet(place)
        killed.begin()
        write(place, f"part-{number}", "1")
        write(place, "same", "1")
        killed.look()
        killed.look()
        (place.root / f"out/part-{number}").unlink()
    again = outlet(place)
    again.begin()
    write(place, "same", "2")
    assert made(place).keys() == {"part-0", "part-1", "same"}
    again.finish()
    assert made(place) == {"same": b"2"}
