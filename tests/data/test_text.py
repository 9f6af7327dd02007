"""Lines of text as rows: whatever the blocks they are read in, and with labels from JSON Lines."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.data import lines
from tidemill.data.cursor import START
from tidemill.data.files import FileSource
from tidemill.data.formats import text
from tidemill.data.stream import Stream, open_files
from tidemill.data.where import Where
from tidemill.errors import InvalidData

FILE = Where("lines.txt")
ENDINGS = st.sampled_from(["\n", "\r\n"])


def rows(data: bytes, where: Where = FILE) -> list[str]:
    found = text.read(np.frombuffer(data, np.uint8), None, where).text
    assert found is not None
    return list(found)


def test_lines_lose_their_endings_and_empty_ones_are_passed_over() -> None:
    assert rows(b"one\r\n\n\r\ntwo words \n\nthree") == ["one", "two words ", "three"]
    assert rows(b"") == rows(b"\n") == rows(b"\r\n\r\n") == []


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\ufeff"), min_size=1)),
    ENDINGS,
)
def test_what_was_written_as_lines_is_read_as_rows(wanted: list[str], ending: str) -> None:
    assert rows("".join(line + ending for line in wanted).encode()) == wanted
    assert rows(ending.join(wanted).encode()) == wanted


def test_a_byte_order_mark_is_no_word_and_utf_16_is_refused() -> None:
    assert rows(b"\xef\xbb\xbfone\n") == ["one"]
    assert rows(b"\xef\xbb\xbfone\n", Where("lines.txt", offset=7)) == ["\ufeffone"]
    with pytest.raises(InvalidData, match=r"lines\.txt: text must be UTF-8"):
        rows("one\n".encode("utf-16"))


@given(st.lists(st.text("ab \n", max_size=9)).map("\n".join), st.integers(1, 40))
def test_blocks_of_any_size_give_the_same_rows(content: str, block: int) -> None:
    data = np.frombuffer(content.encode(), np.uint8)
    found, at, size = [], 0, block
    while at < len(data):
        part = data[at : at + size]
        whole, _ = text.cut(part, at + len(part) == len(data), FILE)
        if whole == 0:
            size *= 2
            continue
        found += rows(part[:whole].tobytes(), Where("lines.txt", offset=at))
        at, size = at + whole, block
    assert found == [line for line in content.split("\n") if line]


def test_a_very_long_line_is_parted_at_a_blank() -> None:
    data = np.frombuffer(b"word " * (text.LONG // 5) + b"unfinished", np.uint8)
    assert text.cut(data, False, FILE)[0] == len(data) - len(b"unfinished")
    assert text.cut(data, True, FILE)[0] == len(data)
    assert rows(b"word " * (text.LONG // 5) + b"x" * 5)[0] == "word " * 3276 + "word"
    one = np.full(2 * text.LONG, ord("x"), np.uint8)
    assert rows(one.tobytes()) == ["x" * len(one)]
    assert text.cut(one, False, FILE)[0] == 0
    one[lines.STEP - 1] = ord("\t")
    assert text.cut(one, False, FILE)[0] == lines.STEP


def test_a_corpus_of_one_line_is_read_in_rows_from_any_cursor(tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(600_000)]
    (tmp_path / "corpus.txt").write_text(" ".join(words))
    stream = open_files([tmp_path], "text/plain", batch_rows=1)
    batches = list(stream.read())
    found = [list(batch.text)[0] for batch, _ in batches if batch.text is not None]
    assert len(found) > 200
    assert max(map(len, found[:-1])) < 20_000
    assert " ".join(found).split() == words
    again = [list(batch.text)[0] for batch, _ in stream.read(0, batches[0][1]) if batch.text]
    assert again == found[1:]


@pytest.mark.parametrize("seed", [None, 3])
def test_files_are_streamed_shuffled_and_resumed(tmp_path: Path, seed: int | None) -> None:
    wanted = [f"line {i}" for i in range(500)]
    (tmp_path / "a.txt").write_text("\n".join(wanted))
    source = FileSource(tmp_path / "a.txt", "a.txt", "text/plain", 0, block=100)
    stream = Stream([source], 7, seed)
    read = [(list(b.text or ()), cursor) for b, cursor in stream.read(1, START)]
    assert sorted(sum((part for part, _ in read), [])) == sorted(wanted)
    for at in (0, 30, len(read) - 1):
        rest = [list(b.text or ()) for b, _ in stream.read(1, read[at][1])]
        assert rest == [part for part, _ in read[at + 1 :]]


def test_compressed_files_are_text_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    ((batch, _),) = open_files([tmp_path], "txt", batch_rows=9, is_compressed=True).read()
    assert list(batch.text or ()) == ["one", "two"]
    assert (len(batch), batch.columns) == (2, 0)


def test_objects_with_a_source_are_rows_with_labels(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"source": "good film", "label": 1}\n\n{"source": "two\\nlines", "label": [1, "x", 3.0]}\n'
        '{"source": "ünlabelled"}\n{"source": "own prefix", "label": "__label__y"}'
    )
    ((batch, _),) = open_files([tmp_path], "jsonlines", batch_rows=9, is_text=True).read()
    assert list(batch.text or ()) == [
        "__label__1 good film",
        "__label__1 __label__x __label__3 two lines",
        "ünlabelled",
        "__label__y own prefix",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", r"row 2: must be an object with a source; got 'list'"),
        ('{"text": "x"}', r"row 2: must be an object with a source; got \['text'\]"),
        ('{"source": 4}', r"row 2: \$.source must be a text; got 4"),
        ('{"source": "x", "label": true}', r"row 2: \$.label must be a number or a word"),
        ('{"source": "x", "label": "two words"}', r"row 2: \$.label must be"),
        ('{"source": "x", "label": [[1]]}', r"row 2: \$.label must be"),
        ('{"source": ', r"row 2: must be one JSON object"),
    ],
)
def test_objects_of_other_forms_are_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"source": "fine", "label": 0}\n' + line)
    with pytest.raises(InvalidData, match=message):
        list(open_files([tmp_path], "jsonlines", batch_rows=9, is_text=True).read())


def test_pairs_of_a_manifests_records_are_rows_with_labels() -> None:
    pairs = [(b"good film", b"1"), (b"bad film", b"[1, 3]"), (b"odd", b"strange\n")]
    batch = text.read_pairs(pairs, FILE)
    assert list(batch.text or ()) == [
        "__label__1 good film",
        "__label__1 __label__3 bad film",
        "__label__strange odd",
    ]


def test_a_request_may_be_lines_of_text() -> None:
    assert list(text.decode(b"one\ntwo").text or ()) == ["one", "two"]
