"""What comes through a channel's pipe: objects, records, manifest entries, dealt and shuffled."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.places import Place
from tidemill.data.recordio.frames import joined, scan
from tidemill.data.where import Where
from tidemill.errors import InvalidData, NotFound
from tidemill.spec.channel import Channel
from tidemill.storage.bucket import Buckets
from tidemill.workers.pipe import augmented
from tidemill.workers.pipe.contents import WHOLE, Share, contents
from tidemill.workers.pipe.segment import Segment, framed

MAGIC = bytes.fromhex("0a23d7ce")
NOWHERE = Buckets(Path("/nonexistent"))


def payload(segment: Segment) -> bytes:
    parts = []
    for piece in segment.pieces():
        if not isinstance(piece, bytes):
            piece.seek(0)
            piece = piece.read()
        parts.append(piece)
    return b"".join(parts)


def records(data: bytes) -> list[bytes]:
    array = np.frombuffer(data, np.uint8)
    whole, starts, lengths, _ = joined(array, scan(array, at_end=True, where=Where()))
    return [whole[s : s + n].tobytes() for s, n in zip(starts, lengths, strict=True)]


def stored(directory: Path, objects: Sequence[bytes], *, packed: bool = False) -> list[Path]:
    paths = [directory / f"{i:04d}" for i in range(len(objects))]
    for path, data in zip(paths, objects, strict=True):
        path.write_bytes(gzip.compress(data) if packed else data)
    return paths


def channel(**settings: Any) -> Channel:
    return Channel("train", "s3://mill/in/", input_mode="Pipe", **settings)


def sent(
    paths: Sequence[Path],
    epoch: int = 0,
    *,
    share: Share = WHOLE,
    **settings: Any,
) -> list[bytes]:
    is_compressed = settings.get("compression") == "Gzip"
    found = contents(channel(**settings), paths, NOWHERE, is_compressed=is_compressed, share=share)
    return [payload(segment) for segment in found.segments(epoch)]


OBJECTS = st.lists(
    st.lists(st.one_of(st.binary(min_size=1, max_size=9), st.just(MAGIC)), min_size=1).map(
        b"".join
    ),
    max_size=9,
)


@settings(deadline=None)
@given(OBJECTS, st.booleans())
def test_any_objects_wrapped_are_records_that_read_back(objects: list[bytes], packed: bool) -> None:
    with TemporaryDirectory() as directory:
        paths = stored(Path(directory), objects, packed=packed)
        compression = "Gzip" if packed else "None"
        found = sent(paths, record_wrapper="RecordIO", compression=compression)
        assert len(found) == bool(objects)
        assert [r for data in found for r in records(data)] == objects
        assert sent(paths, compression=compression) == objects


def test_a_record_has_a_largest_size() -> None:
    with pytest.raises(InvalidData, match="big.bin: a RecordIO record must have at most 536870911"):
        next(framed(b"", 1 << 29, "big.bin"))


def test_hidden_objects_and_those_without_a_byte_are_passed_over(tmp_path: Path) -> None:
    for name, data in {"_SUCCESS": b"x", ".crc": b"x", "a": b"", "b": b"row"}.items():
        (tmp_path / name).write_bytes(data)
    paths = sorted(tmp_path.iterdir())
    for wrapper, wanted in (("None", [b"row"]), ("RecordIO", [b"\x03\0\0\0row\0"])):
        found = sent(paths, record_wrapper=wrapper)
        assert [data.removeprefix(MAGIC) for data in found] == wanted


def test_an_object_that_is_not_gzip_is_named(tmp_path: Path) -> None:
    paths = stored(tmp_path, [b"plain", b"text"])
    for wrapper in ("None", "RecordIO"):
        with pytest.raises(InvalidData, match="0000: must be gzip-compressed"):
            sent(paths, compression="Gzip", record_wrapper=wrapper)
    gone = tmp_path / "0000"
    what = contents(channel(record_wrapper="RecordIO"), paths, NOWHERE, is_compressed=False)
    gone.unlink()
    with pytest.raises(NotFound, match="a readable object 0000"):
        payload(what.segments(0)[0])


NAMES = [b"%d" % i for i in range(10, 33)]


def test_the_order_of_objects_is_drawn_anew_for_every_epoch(tmp_path: Path) -> None:
    paths = stored(tmp_path, NAMES)
    assert sent(paths, 3) == NAMES
    orders = [tuple(sent(paths, epoch, shuffle_seed=5)) for epoch in range(4)]
    assert all(sorted(order) == NAMES for order in orders)
    assert len({*orders, tuple(sent(paths, 0, shuffle_seed=6)), tuple(NAMES)}) == 6
    assert tuple(sent(paths, 2, shuffle_seed=5)) == orders[2]
    wrapped = sent(paths, 2, shuffle_seed=5, record_wrapper="RecordIO")
    assert records(wrapped[0]) == list(orders[2])


@pytest.mark.parametrize("hosts", [1, 2, 3, 30])
@pytest.mark.parametrize("seed", [None, 9])
def test_hosts_share_an_epochs_objects_equally_and_none_twice(
    tmp_path: Path, hosts: int, seed: int | None
) -> None:
    paths = stored(tmp_path, NAMES)
    seen = []
    for epoch in range(3):
        shares = [
            sent(paths, epoch, share=Share(i, hosts), shuffle_seed=seed) for i in range(hosts)
        ]
        assert Counter(sum(shares, [])) == Counter(NAMES)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        seen.append(tuple(sorted(shares[0])))
    assert (len(set(seen)) > 1) == (seed is not None and hosts > 1)


def manifest(directory: Path, lines: Sequence[object]) -> Path:
    path = directory / "list.json"
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return path


VALUES = st.one_of(
    st.text(max_size=9), st.integers(-(2**53), 2**53), st.booleans(), st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers(0, 9)), st.dictionaries(st.text(max_size=3), st.integers(0, 9)),
)  # fmt: skip
LINES = st.lists(
    st.fixed_dictionaries({"source": VALUES, "label": VALUES, "label-metadata": st.just({})})
)


@settings(deadline=None)
@given(LINES, st.integers(0, 3), st.sampled_from(["\n", "\r\n", "\n\n \n"]), st.integers(1, 40))
def test_any_attributes_are_sent_in_order_line_by_line(
    lines: list[dict[str, Any]], seed: int, ending: str, block: int
) -> None:
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(augmented, "BLOCK", block)
        path = Path(directory, "list.json")
        path.write_bytes("".join(json.dumps(line) + ending for line in lines).encode())
        attributes = ("label", "source")
        common: dict[str, Any] = {"data_type": "AugmentedManifestFile", "attributes": attributes}
        plain = sent([path], **common)
        wrapped = sent([path], **common, record_wrapper="RecordIO")
        assert b"".join(plain) == b"".join(text(line[a]) for line in lines for a in attributes)
        assert [r for data in wrapped for r in records(data)] == plain
        drawn = sent([path], 4, **common, shuffle_seed=seed)
        assert Counter(zip(drawn[::2], drawn[1::2], strict=True)) == Counter(
            zip(plain[::2], plain[1::2], strict=True)
        )


def text(value: object) -> bytes:
    """A string is sent as it is, anything else as its JSON."""
    import orjson

    return value.encode() if isinstance(value, str) else orjson.dumps(value)


@pytest.mark.parametrize("packed", [False, True])
def test_references_are_sent_as_the_bytes_of_their_objects(tmp_path: Path, packed: bool) -> None:
    place = Place(tmp_path)
    pictures = [b"cat picture", b"dog"]
    lines = [
        {"image-ref": place.put(f"in/{i}", gzip.compress(p) if packed else p), "label": i}
        for i, p in enumerate(pictures)
    ]
    common: dict[str, Any] = {
        "data_type": "AugmentedManifestFile",
        "attributes": ("image-ref", "label"),
        "compression": "Gzip" if packed else "None",
    }

    def segments(**more: Any) -> Sequence[Segment]:
        asked = channel(**common, **more)
        path = manifest(tmp_path, lines)
        return contents(asked, [path], place.buckets, is_compressed=packed).segments(0)

    assert [payload(s) for s in segments()] == [b"cat picture", b"0", b"dog", b"1"]
    (wrapped,) = segments(record_wrapper="RecordIO")
    assert wrapped.name == "train_0"
    assert records(payload(wrapped)) == [b"cat picture", b"0", b"dog", b"1"]
    assert [s.name for s in segments()[1:3]] == [
        "list.json, line 1, label", "s3://mill/in/1 (list.json, line 2, image-ref)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "list.json, line 2: must be a JSON object"),
        ("[1]", r"line 2: must be a JSON object; got \[1\]"),
        ('{"x-ref": "s3://mill/a"}', r"line 2: must have the attribute 'y'.*got \['x-ref'\]"),
        ('{"x-ref": 7, "y": 1}', "line 2, x-ref: must be the S3 URI"),
        ('{"x-ref": "mill/a", "y": 1}', "line 2, x-ref: .*got 'mill/a'"),
        ('{"x-ref": "s3://mill/gone", "y": 1}', "line 2, x-ref: .*got 's3://mill/gone'"),
        ('{"x-ref": "s3://other/gone", "y": 1}', "line 2, x-ref: .*got 's3://other/gone'"),
        ('{"x-ref": "s3://mill/", "y": 1}', "line 2, x-ref: .*got 's3://mill/'"),
    ],
)
def test_a_line_that_cannot_be_sent_is_named(tmp_path: Path, line: str, message: str) -> None:
    place = Place(tmp_path)
    good = {"x-ref": place.put("a", b"a"), "y": 1}
    path = manifest(tmp_path, [good, line])
    asked = channel(data_type="AugmentedManifestFile", attributes=("x-ref", "y"))
    segments = contents(asked, [path], place.buckets, is_compressed=False).segments(0)
    assert len(segments) == 4
    with pytest.raises(InvalidData, match=message):
        list(map(payload, segments))


def test_a_manifest_of_blank_lines_has_nothing(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(" \n\n\r\n")
    for wrapper in ("None", "RecordIO"):
        common: dict[str, Any] = {"data_type": "AugmentedManifestFile", "attributes": ("a",)}
        assert sent([path], record_wrapper=wrapper, **common) == []


def test_a_manifest_is_json_lines_not_one_endless_line(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    with path.open("wb") as file:
        file.truncate(80 << 20)
    asked = channel(data_type="AugmentedManifestFile", attributes=("a",))
    with pytest.raises(InvalidData, match=r"list\.json: a line or record must be shorter"):
        contents(asked, [path], NOWHERE, is_compressed=False)
