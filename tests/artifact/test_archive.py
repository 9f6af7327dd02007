"""An artifact is the same bytes for the same model, and opening one is safe."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tidemill.artifact.archive import Manifest, extract, pack, read
from tidemill.artifact.inflate import Limits
from tidemill.errors import InvalidData

FILES = {"model.safetensors": b"\x01" * 700, "notes/words.txt": b"grist"}


def tarball(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return raw.getvalue()


def special(name: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    return member, b""


def test_what_was_packed_is_found_again(tmp_path: Path) -> None:
    manifest = extract(pack("kmeans", {"k": 3, "tol": 0.5}, FILES), tmp_path)
    assert (manifest.algorithm, manifest.hyperparameters) == ("kmeans", {"k": 3, "tol": 0.5})
    assert {name: (tmp_path / name).read_bytes() for name in manifest.files} == FILES


def test_the_order_of_the_files_changes_nothing() -> None:
    assert pack("kmeans", {}, FILES) == pack("kmeans", {}, dict(reversed(FILES.items())))


def test_every_time_in_it_is_zero() -> None:
    packed = pack("kmeans", {}, FILES)
    assert packed[4:8] == bytes(4)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert {(m.mtime, m.uid, m.uname) for m in tar} == {(0, 0, "")}


def test_a_file_is_opened_as_bytes_are(tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(pack("kmeans", {}, FILES))
    assert isinstance(extract(tmp_path / "model.tar.gz", tmp_path / "model"), Manifest)


def test_an_archive_of_another_gzip_opens_too(tmp_path: Path) -> None:
    again = gzip.compress(gzip.decompress(pack("kmeans", {}, FILES)), compresslevel=9)
    assert extract(again, tmp_path).algorithm == "kmeans"


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "a" / "b"
    with pytest.raises(InvalidData, match="paths inside the artifact"):
        extract(tarball((tarfile.TarInfo(name), b"x")), inside)
    assert [p for p in tmp_path.rglob("*evil*") if p.is_file()] == []


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(InvalidData, match="plain files"):
        extract(tarball(special("x", kind)), tmp_path)


def test_a_file_with_holes_is_refused(tmp_path: Path) -> None:
    member = tarfile.TarInfo("model.safetensors")
    member.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "model.safetensors",
        "GNU.sparse.realsize": str(1 << 40),
    }
    bomb = tarball((member, b"1\n0\n0\n".ljust(512, b"\0")))
    with pytest.raises(InvalidData, match="holes"):
        extract(bomb, tmp_path, Limits(bytes=1_000_000))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("model.safetensors", "folder", "x" * 300):
        with pytest.raises(InvalidData, match="an artifact with a file"):
            read(tmp_path, name)


def test_a_file_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="FileExists"):
        extract(tarball((tarfile.TarInfo("x"), b"1"), (tarfile.TarInfo("x"), b"2")), tmp_path)


def test_a_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    bomb = tarball((tarfile.TarInfo("zeros"), bytes(50_000_000)))
    with pytest.raises(InvalidData, match="at most 1000000 bytes"):
        extract(bomb, tmp_path, Limits(bytes=1_000_000))
    assert sum(p.stat().st_size for p in tmp_path.rglob("*")) <= 1_000_000


def test_a_giant_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 32
    bomb = gzip.compress(header.tobuf() + bytes(30_000_000))
    with pytest.raises(InvalidData, match="headers of at most"):
        extract(bomb, tmp_path)


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    many = tarball(*[(tarfile.TarInfo(f"f{i}"), b"") for i in range(20)])
    with pytest.raises(InvalidData, match="at most 10 files"):
        extract(many, tmp_path, Limits(files=10))


def test_an_archive_without_a_manifest_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"manifest\.json.*model_algo-1"):
        extract(tarball((tarfile.TarInfo("model_algo-1"), b"mxnet")), tmp_path)


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    extract(pack("kmeans", {}, FILES), tmp_path)
    manifest = (tmp_path / "manifest.json").read_bytes()
    changed = tarball(
        (tarfile.TarInfo("manifest.json"), manifest),
        (tarfile.TarInfo("model.safetensors"), b"other"),
        (tarfile.TarInfo("notes/words.txt"), b"grist"),
    )
    with pytest.raises(InvalidData, match=r"'model\.safetensors' with SHA-256"):
        extract(changed, tmp_path / "again")


def test_a_manifest_from_the_future_is_refused(tmp_path: Path) -> None:
    text = json.dumps({"algorithm": "kmeans", "format": 2, "files": {}}).encode()
    with pytest.raises(InvalidData, match="format 1; got 2"):
        extract(tarball((tarfile.TarInfo("manifest.json"), text)), tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"algorithm": "a", "files": {"x": 3}}',
        b'{"files": {}, "b": 1}',
    ],
)
def test_a_broken_manifest_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(InvalidData, match="readable manifest"):
        extract(tarball((tarfile.TarInfo("manifest.json"), text)), tmp_path)


def test_a_file_of_a_name_that_no_disk_has_is_missed(tmp_path: Path) -> None:
    files = {"x" * 300: {"sha256": "", "size": 1}, "\ud800": {"sha256": "", "size": 1}}
    text = json.dumps({"algorithm": "kmeans", "files": files}).encode()
    with pytest.raises(InvalidData, match="artifact file"):
        extract(tarball((tarfile.TarInfo("manifest.json"), text)), tmp_path)


def damage(packed: bytes, how: Callable[[bytearray, random.Random], None], seed: int) -> bytes:
    bytes_ = bytearray(packed)
    how(bytes_, random.Random(seed))
    return bytes(bytes_)


def cut(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(len(data) - 8) :]


def flip(data: bytearray, dice: random.Random) -> None:
    data[dice.randrange(10, len(data))] ^= 1 << dice.randrange(8)


@pytest.mark.parametrize("how", [cut, flip])
@pytest.mark.parametrize("seed", range(30))
def test_damage_is_an_error_that_we_raise(
    tmp_path: Path, how: Callable[[bytearray, random.Random], None], seed: int
) -> None:
    noise = random.Random(7).randbytes(3_000)
    packed = pack("kmeans", {"k": 3}, {"model.safetensors": noise})
    try:
        extract(damage(packed, how, seed), tmp_path)
    except InvalidData:
        return
    # A flip may hit nothing but padding; then every file is still what the manifest says.
    assert how is flip
    assert (tmp_path / "model.safetensors").read_bytes() == noise


def test_bytes_that_are_no_archive_are_refused(tmp_path: Path) -> None:
    for junk in (b"", b"junk", gzip.compress(b""), gzip.compress(b"junk" * 500)):
        with pytest.raises(InvalidData):
            extract(junk, tmp_path)
