"""Checkpoints in S3 are those of the directory, and another job goes on from them."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.workers.places import BUCKET, KMEANS, Place, exit_of, job, recordio_bytes, start
from tests.workers.train.test_worker import ROWS, wait_for_progress
from tidemill.spec.channel import Channel
from tidemill.workers.mirror import Mirror


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    for key in ("ck/deeper/x", "ck/..", "ck/mine.txt"):
        place.put(key, b"not a checkpoint")
    return place


def test_what_is_written_and_removed_is_so_in_s3(place: Place) -> None:
    directory = place.root / "here"
    directory.mkdir()
    mirror = Mirror(place.buckets, f"s3://{BUCKET}/ck", directory)
    for name in ("1.checkpoint", "2.checkpoint"):
        (directory / name).write_bytes(name.encode())
        mirror.send(directory / name)
    (directory / "1.checkpoint").unlink()
    mirror.send(directory / "2.checkpoint")
    keys = [found.key for found in place.buckets.list(BUCKET, "ck/")]
    assert keys == ["ck/..", "ck/2.checkpoint", "ck/deeper/x", "ck/mine.txt"]


def test_it_is_restored_into_an_empty_directory_only(place: Place) -> None:
    place.put("ck/7.checkpoint", b"seven")
    mirror = Mirror(place.buckets, f"s3://{BUCKET}/ck/", place.root / "new")
    mirror.restore()
    assert [p.name for p in (place.root / "new").iterdir()] == ["7.checkpoint"]
    place.put("ck/8.checkpoint", b"eight")
    mirror.restore()
    assert [p.name for p in (place.root / "new").iterdir()] == ["7.checkpoint"]


@pytest.mark.serial
def test_another_job_goes_on_from_them(place: Place) -> None:
    channel = Channel("train", place.put("in/rows", recordio_bytes(ROWS)))
    asked = {"k": 3, "feature_dim": 4, "epochs": 3000, "local_lloyd_tol": 0}
    first = replace(job(KMEANS, asked, [channel]), checkpoint_uri=f"s3://{BUCKET}/ck")
    home = place.train_task(first, checkpoint_seconds=0.02)
    process = start("train", home)
    wait_for_progress(home)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    home.root.rename(place.root / "before")
    second = place.train_task(replace(first, name="second"))
    assert start("train", second).wait(timeout=60) == 0
    assert exit_of(second) == {"code": 0}
    assert "Resuming from a checkpoint" in second.log.read_text()
