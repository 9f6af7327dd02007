"""A directory and a prefix are kept the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.places import BUCKET, Place
from tidemill.workers.synced import Synced


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.put("other", b"")
    return place


def synced(place: Place, name: str = "here") -> Synced:
    return Synced(place.buckets, "s3://mill/ckpt", place.root / name, pause=0.01)


def keys(place: Place) -> list[str]:
    return [o.key.removeprefix("ckpt/") for o in place.buckets.list(BUCKET, "ckpt/")]


def test_what_is_written_appears_and_what_is_removed_goes(place: Place) -> None:
    here = synced(place)
    assert here.restore() == 0
    (place.root / "here/deep").mkdir()
    (place.root / "here/deep/1").write_text("one")
    (place.root / "here/2").write_text("two")
    here.look()
    assert keys(place) == ["2", "deep/1"]
    (place.root / "here/2").unlink()
    (place.root / "here/deep/1").write_text("other")
    here.look()
    assert keys(place) == ["deep/1"]
    assert place.buckets.get_bytes(BUCKET, "ckpt/deep/1") == b"other"


def test_objects_come_back_at_the_start_and_not_over_what_is_there(place: Place) -> None:
    place.put("ckpt/a/1", b"one")
    place.put("ckpt/../evil", b"")
    assert synced(place).restore() == 1
    assert (place.root / "here/a/1").read_bytes() == b"one"
    (place.root / "here/a/1").write_text("newer")
    assert synced(place).restore() == 0
    assert (place.root / "here/a/1").read_text() == "newer"


def test_what_other_hosts_keep_under_the_prefix_is_left_alone(place: Place) -> None:
    first, second = synced(place), synced(place, "there")
    for each in (first, second):
        each.restore()
    (place.root / "here/1").touch()
    (place.root / "there/2").touch()
    first.look()
    second.look()
    first.look()
    assert keys(place) == ["1", "2"]


def test_it_looks_by_itself_and_a_last_time_at_the_end(place: Place) -> None:
    here = synced(place)
    here.restore()
    here.start()
    (place.root / "here/1").touch()
    while not keys(place):
        pass
    (place.root / "here/2").touch()
    here.close()
    assert keys(place) == ["1", "2"]
