"""A source is unpacked as it was sent, and never outside its directory."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from tests.workers.places import Place
from tests.workers.script.jobs import packed
from tidemill.errors import InvalidData, NotFound, TidemillError
from tidemill.workers.opt_ml import OptMl
from tidemill.workers.script.source import fetch


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def unpacked(place: Place, submitted: str) -> Path:
    home = place.root / "home"
    fetch(submitted, place.buckets, OptMl(home, is_real=False), home / "code")
    return home / "code"


def test_a_tar_gz_a_prefix_and_a_channel_hold_the_same_source(place: Place) -> None:
    files = {"train.py": "1", "lib/a.py": "2", "run.sh": "3"}
    archive = place.put("x/sourcedir.tar.gz", packed(files))
    for name, text in files.items():
        place.put(f"y/src/{name}", text.encode())
        path = place.root / "home/input/data/code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for submitted in (archive, "s3://mill/y/src", "/opt/ml/input/data/code"):
        code = unpacked(place, submitted)
        found = {str(p.relative_to(code)): p.read_text() for p in code.rglob("*") if p.is_file()}
        assert found == files
        assert os.access(code / "run.sh", os.X_OK)


def test_what_is_not_there_or_elsewhere_is_refused(place: Place) -> None:
    place.put("a", b"")
    with pytest.raises(NotFound, match="no/such"):
        unpacked(place, "s3://mill/no/such.tar.gz")
    for outside in ("/etc", "/opt/ml/../../etc", "/opt/ml/code"):
        with pytest.raises(TidemillError, match="sagemaker_submit_directory"):
            unpacked(place, outside)


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil"])
def test_members_stay_inside(place: Place, name: str) -> None:
    with pytest.raises(InvalidData, match="paths inside"):
        unpacked(place, place.put("x.tar.gz", packed({name: "x"})))
    assert not list(place.root.rglob("evil"))


def test_links_and_other_bytes_are_refused(place: Place) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        link = tarfile.TarInfo("data")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    for data in (raw.getvalue(), b"no archive"):
        with pytest.raises(InvalidData, match="x.tar.gz"):
            unpacked(place, place.put("x.tar.gz", data))
