"""Bytes that come once are cut into the blocks, and read as the rows, of a file's."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_stream import FORMATS, LABELS, ROWS, TABLE, table_of
from tidemill.data.cursor import Cursor
from tidemill.data.files import FileSource, format_of
from tidemill.data.formats import recordio
from tidemill.data.forward import ForwardShard, ForwardSource, Inflow
from tidemill.data.shard import ByteShard, Shard
from tidemill.data.stream import Stream
from tidemill.errors import InvalidData

CSV, RECORDIO = "text/csv", "application/x-recordio-protobuf"


class Drip:
    """Gives its bytes in bits of these sizes, over and over."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data, self._sizes, self._turn = io.BytesIO(data), sizes, 0

    def readinto(self, view: memoryview) -> int:
        self._turn += 1
        size = self._sizes[self._turn % len(self._sizes)]
        return self._data.readinto(view[:size])


def source(data: bytes, media: str, sizes: list[int], block: int = 0, label_size: int = 1) -> Any:
    def flow() -> Inflow:
        return Drip(data, sizes)

    return ForwardSource("in the pipe", media, label_size, flow, flow, block)


def blocks(shard: Shard) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while (stop := shard.cut(at)) > at:
        found.append((stop, shard.read(at, stop).dense().tobytes()))
        at = stop
    return found


def csv_of(values: list[list[int]]) -> bytes:
    return b"".join(b",".join(b"%d" % v for v in row) + b"\n" for row in values)


ROWS_OF_TWO = st.lists(st.tuples(st.integers(-9, 10**6), st.integers(0, 9)).map(list), max_size=60)


@settings(deadline=None)
@given(
    ROWS_OF_TWO,
    st.sampled_from([CSV, RECORDIO]),
    st.integers(1, 90),
    st.lists(st.integers(1, 70), min_size=1, max_size=5),
    st.booleans(),
)
def test_blocks_are_those_of_a_file(
    rows: list[list[int]], media: str, block: int, sizes: list[int], ends_early: bool
) -> None:
    table = np.array(rows, np.float32).reshape(-1, 2)
    data = csv_of(rows) if media == CSV else recordio.encode(table[:, 1:], table[:, 0])
    if ends_early and media == CSV:
        data = data.removesuffix(b"\n")
    format_ = format_of(media, 1)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        wanted = blocks(ByteShard(file, "a file", format_, block))
    found = ForwardShard(Drip(data, sizes), "a pipe", format_, block, lambda: Drip(data, sizes))
    assert blocks(found) == wanted


@pytest.mark.parametrize("last", [b"", b"3,4"])
def test_a_block_that_ends_with_the_bytes_is_seen_to_be_the_last(last: bytes) -> None:
    data = b"1,2\n" + last
    for block in (len(data) - 1, len(data), len(data) + 1):
        shard = source(data, CSV, [2], block).open(False)
        assert shard.cut(0) == (len(data) if block >= len(data) else 4)


def test_less_may_be_read_than_was_cut() -> None:
    table = TABLE[:9]
    data = recordio.encode(table)
    shard = source(data, RECORDIO, [77]).open(False)
    assert shard.cut(0) == len(data)
    part = shard.read(0, len(data) // 9 * 4)
    assert part.dense().tolist() == table[:4].tolist()
    assert shard.read(0, len(data)).dense().tolist() == table.tolist()


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "csv.gz"])
def test_every_format_comes_through_and_resumes_from_any_cursor(tmp_path: Path, name: str) -> None:
    media, write = FORMATS[name]
    write(tmp_path / "rows.npy", TABLE, LABELS)
    data = (tmp_path / "rows.npy").read_bytes()

    def batches(start: Cursor = Cursor()) -> list[tuple[Any, Cursor]]:  # noqa: B008
        return list(Stream([source(data, media, [4096, 1], 999)], 33).read(0, start))

    whole = batches()
    np.testing.assert_array_equal(table_of(whole), np.column_stack([LABELS, TABLE]))
    for index in (0, 1, 7, len(whole) - 1):
        rest = batches(whole[index][1])
        assert [c for _, c in rest] == [c for _, c in whole[index + 1 :]]
        if rest:
            np.testing.assert_array_equal(table_of(rest), table_of(whole[index + 1 :]))


def test_bytes_that_were_never_looked_at_are_passed_over() -> None:
    data = csv_of([[i, i % 7] for i in range(500)])
    at = data.index(b"400,1\n")
    shard = source(data, CSV, [100], 64).open(False)
    assert shard.cut(at) > at
    assert shard.read(at, at + 6).labels.tolist() == [400]
    assert shard.cut(len(data)) == len(data)
    assert shard.cut(10**9) == 10**9


def test_what_lies_behind_is_read_again() -> None:
    data = csv_of([[i, i % 7] for i in range(500)])
    shard = source(data, CSV, [100], 64).open(False)
    forward = blocks(shard)
    assert blocks(shard) == forward


@pytest.mark.parametrize("resumed", [False, True])
def test_a_fault_is_named_as_in_a_file(tmp_path: Path, resumed: bool) -> None:
    lines = [b"%d,%d" % (i, i) for i in range(1000)]
    good = b"\n".join(lines)
    for text in (b"7,oops", b"7", b"nan,7", b"7,inf"):
        lines[900] = text
        data = b"\n".join(lines)
        path = tmp_path / "in the pipe"
        path.write_bytes(data)
        file = FileSource(path, path.name, CSV, 1, block=300)
        start = Cursor()
        if resumed:
            start = list(Stream([source(good, CSV, [77], 300)], 64).read())[8][1]
        with pytest.raises(InvalidData) as wanted:
            list(Stream([file], 64).read(0, start))
        with pytest.raises(InvalidData) as found:
            list(Stream([source(data, CSV, [77], 300)], 64).read(0, start))
        assert str(found.value) == str(wanted.value)
        assert "row 901" in str(found.value)


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_a_record_cut_short_is_named(cut: int) -> None:
    body = recordio.encode(TABLE, LABELS)
    with pytest.raises(InvalidData, match=rf"in the pipe, record {ROWS} "):
        list(Stream([source(body[:-cut], RECORDIO, [5000], 999)], 33).read())


def test_no_line_end_in_sight_is_said_not_waited_for() -> None:
    class Endless:
        def readinto(self, view: memoryview) -> int:
            view[:] = bytes(len(view))
            return len(view)

    shard = ForwardShard(Endless(), "a pipe", format_of(CSV, 0), 1 << 20, Endless)
    with pytest.raises(InvalidData, match="a pipe: a line or record must be shorter"):
        shard.cut(0)


def test_damaged_files_are_refused_though_they_came_through_a_pipe() -> None:
    for media, word in (("application/x-npy", "npy"), ("application/x-parquet", "Parquet")):
        with pytest.raises(InvalidData, match=f"in the pipe.*{word}"):
            list(Stream([source(b"neither", media, [3])], 33).read())
