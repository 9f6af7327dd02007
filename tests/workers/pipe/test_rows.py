"""A channel in Pipe mode as rows of vectors and of text, read again from any cursor."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.places import Place, csv_bytes, recordio_bytes
from tidemill.data import content_type as types
from tidemill.data.content_type import ContentType, parse
from tidemill.data.cursor import START, Cursor
from tidemill.data.files import NoRows
from tidemill.data.formats import pairs
from tidemill.data.forward import ForwardSource
from tidemill.data.stream import Stream, open_files
from tidemill.errors import Invalid, InvalidData, UnsupportedType
from tidemill.spec.channel import Channel
from tidemill.workers.pipe.rows import Form, PipeRows, Plumbing, open_pipe
from tidemill.workers.pipe.segment import Replay, Series, framed

TABLE = np.random.default_rng(0).normal(size=(3000, 4)).astype(np.float32)
TEXT = ContentType(types.TEXT)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def channel(**settings: Any) -> Channel:
    return Channel("train", "s3://mill/in/", input_mode="Pipe", **settings)


def files(place: Place, *contents: bytes) -> list[Path]:
    directory = place.root / "objects"
    directory.mkdir()
    for i, data in enumerate(contents):
        (directory / str(i)).write_bytes(data)
    return sorted(directory.iterdir())


def opened(
    place: Place,
    asked: Channel,
    paths: Sequence[Path],
    form: Form,
    *,
    index: int = 0,
    hosts: int = 1,
) -> PipeRows:
    plumbing = Plumbing(place.root / "data", place.buckets, index, hosts)
    return open_pipe(asked, paths, form, plumbing, is_dealt=hosts > 1)


def rows(found: PipeRows, pass_: int = 0, start: Cursor = START) -> list[tuple[Any, Cursor]]:
    return [(b.dense().tolist(), cursor) for b, cursor in found.read(pass_, start)]


def lines(found: PipeRows) -> list[str]:
    return [line for batch, _ in found.read(0) for line in batch.text or ()]


@pytest.mark.parametrize("seed", [None, 2])
def test_any_cursor_resumes_the_same_rows(place: Place, seed: int | None) -> None:
    parts = [recordio_bytes(part) for part in np.array_split(TABLE, 7)]
    paths = files(place, *parts)
    form = Form(parse(None), 170)
    whole = rows(opened(place, channel(shuffle_seed=seed), paths, form), 3)
    assert sorted(sum((r for r, _ in whole), [])) == sorted(TABLE.tolist())
    for index in (0, 5, len(whole) - 1):
        again = rows(opened(place, channel(shuffle_seed=seed), paths, form), 3, whole[index][1])
        assert again == whole[index + 1 :]
    if seed is None:
        assert whole == [
            (b.dense().tolist(), c) for b, c in open_files(paths, None, batch_rows=170).read()
        ]


def test_passes_follow_each_other_and_may_end_early(place: Place) -> None:
    before = threading.active_count()
    found = opened(place, channel(), files(place, csv_bytes(TABLE)), Form(parse("text/csv"), 100))
    for pass_ in (0, 1, 0, 7):
        batches: Any = found.read(pass_)
        next(batches)
        assert [p.name for p in (place.root / "data").iterdir()] == [f"train_{pass_}"]
        batches.close()
    assert len(rows(found, 2)) == 30
    assert not list((place.root / "data").iterdir())
    assert threading.active_count() == before


def test_the_share_read_grows_to_one(place: Place) -> None:
    parts = [csv_bytes(part) for part in np.array_split(TABLE, 3)]
    paths = files(place, *parts)
    for wrapper in ("None", "RecordIO"):
        kind = parse("text/csv" if wrapper == "None" else None)
        if wrapper == "RecordIO":
            for path, part in zip(paths, np.array_split(TABLE, 3), strict=True):
                path.write_bytes(recordio_bytes(part[:1])[8:])
        found = opened(place, channel(record_wrapper=wrapper), paths, Form(kind, 100))
        shares = [found.share_read(cursor) for _, cursor in found.read(0)]
        assert shares == sorted(shares)
        assert 0.9 < shares[-1] <= 1


def test_a_host_without_a_share_has_no_rows(place: Place) -> None:
    paths, form = files(place, csv_bytes(TABLE)), Form(parse("text/csv"), 100)
    shares = [opened(place, channel(), paths, form, index=i, hosts=2) for i in range(2)]
    assert [len(rows(found)) for found in shares] == [30, 0]
    assert shares[1].share_read(START) == 1


def test_a_channel_of_empty_objects_is_refused(place: Place) -> None:
    with pytest.raises(NoRows, match="at least one row"):
        opened(place, channel(), files(place, b"", b""), Form(parse("text/csv"), 1))


SAID = [{"source": f"text {i}", "label": i % 3} for i in range(5000)]
WANTED = [f"__label__{said['label']} {said['source']}" for said in SAID]


def augmented(
    place: Place, said: Sequence[object], attributes: Sequence[str] = ("source", "label")
) -> tuple[Channel, list[Path]]:
    paths = files(place, "\n".join(map(json.dumps, said)).encode())
    return channel(
        data_type="AugmentedManifestFile",
        attributes=tuple(attributes),
        record_wrapper="RecordIO",
    ), paths


def test_texts_and_labels_of_an_augmented_manifest_are_lines(place: Place) -> None:
    asked, paths = augmented(place, SAID)
    form = Form(TEXT, 64, is_text=True)
    assert lines(opened(place, asked, paths, form)) == WANTED
    batches = list(opened(place, asked, paths, form).read(0))
    _, cursor = batches[9]
    rest = [
        line for b, _ in opened(place, asked, paths, form).read(0, cursor) for line in b.text or ()
    ]
    assert rest == WANTED[640:]


def test_texts_alone_are_lines(place: Place) -> None:
    asked, paths = augmented(place, SAID[:50], ["source"])
    found = lines(opened(place, asked, paths, Form(TEXT, 7, is_text=True)))
    assert found == [said["source"] for said in SAID[:50]]


def test_a_text_may_be_an_object(place: Place) -> None:
    said = [{"text-ref": place.put("t/1", b"from\nafar"), "label": [1, "x"]}]
    asked, paths = augmented(place, said, ["text-ref", "label"])
    found = lines(opened(place, asked, paths, Form(TEXT, 7, is_text=True)))
    assert found == ["__label__1 __label__x from afar"]


def test_pairs_are_cut_whole_wherever_a_block_ends() -> None:
    frames = [
        b"".join(map(bytes, framed(x, len(x), ""))) for x in (b"a text", b"1", b"another", b"[2]")
    ]

    def stream(count: int, block: int) -> list[str]:
        segment = Series("train_0", lambda: frames[:count])
        sources = [
            ForwardSource("train_0", types.TEXT, 0, lambda: Replay(segment),
                          lambda: Replay(segment), block, format=pairs.format_of(2))
        ]  # fmt: skip
        return [line for batch, _ in Stream(sources, 1).read() for line in batch.text or ()]

    for block in range(1, 80):
        assert stream(4, block) == ["__label__1 a text", "__label__2 another"]
    with pytest.raises(InvalidData, match="train_0: must have 2 records a row; got '1 more'"):
        stream(3, 1000)


@pytest.mark.parametrize(
    ("media", "content", "wanted"),
    [
        ("text/plain", [b"one\ntwo", b"three\n"], ["one", "two", "three"]),
        (
            "application/jsonlines",
            [b'{"source": "good", "label": 1}', b'{"source": "bad"}\n'],
            ["__label__1 good", "bad"],
        ),
    ],
)
def test_text_comes_through_pipes(
    place: Place, media: str, content: list[bytes], wanted: list[str]
) -> None:
    form = Form(parse(media), 2, is_text=True)
    assert lines(opened(place, channel(), files(place, *content), form)) == wanted


@pytest.mark.parametrize(
    ("settings", "form", "message"),
    [
        ({}, Form(ContentType(types.JSON), 1), "ContentType must be one of"),
        ({"record_wrapper": "RecordIO"}, Form(TEXT, 1, is_text=True), "RecordWrapperType must be"),
        (
            {"data_type": "AugmentedManifestFile", "attributes": ("source", "label")},
            Form(TEXT, 1, is_text=True),
            "RecordWrapperType must be RecordIO, or texts and labels would run into each other",
        ),
        (
            {
                "data_type": "AugmentedManifestFile",
                "attributes": ("a", "b", "c"),
                "record_wrapper": "RecordIO",
            },
            Form(TEXT, 1, is_text=True),
            "AttributeNames must be a text, or a text and its label",
        ),
    ],
)
def test_settings_that_make_no_rows_are_refused(
    place: Place, settings: dict[str, Any], form: Form, message: str
) -> None:
    with pytest.raises((Invalid, UnsupportedType), match=message):
        opened(place, channel(**settings), files(place, b"{}"), form)
