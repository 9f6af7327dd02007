"""A channel read again from any point, shuffled or not, in every format."""

from __future__ import annotations

import gzip
import json
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scipy.sparse

from tidemill.data.batch import Batch, Csr
from tidemill.data.cursor import START, Cursor
from tidemill.data.files import FileSource
from tidemill.data.formats import recordio
from tidemill.data.stream import Stream, from_memory, open_files
from tidemill.errors import InvalidData, UnsupportedType

ROWS, COLUMNS = 500, 3
LABELS = np.arange(ROWS, dtype=np.float32)
TABLE = np.random.default_rng(0).random((ROWS, COLUMNS), np.float32).round(3)
SHARDS = [(0, 201), (201, 202), (202, 460), (460, 500)]


def as_csv(features: Any, labels: Any) -> bytes:
    rows = np.column_stack([labels, features]).astype(float).tolist()
    return "\n".join(",".join(map(repr, row)) for row in rows).encode()


def as_json_lines(features: Any, labels: Any) -> bytes:
    pairs = zip(features.astype(float).tolist(), labels.tolist(), strict=True)
    return b"".join(json.dumps({"features": f, "label": y}).encode() + b"\n" for f, y in pairs)


def as_sparse(features: Any, labels: Any) -> bytes:
    matrix = scipy.sparse.csr_array(features)
    pointers, keys = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
    return recordio.encode(Csr(pointers, keys, matrix.data, COLUMNS), labels)


def write_npy(path: Path, features: Any, labels: Any) -> None:
    table = np.column_stack([labels, features])
    np.save(path, np.asfortranarray(table) if labels[0] > 300 else table)


def write_parquet(path: Path, features: Any, labels: Any) -> None:
    table = np.column_stack([labels, features])
    columns = {str(i): table[:, i] for i in range(COLUMNS + 1)}
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=70)


def write_bytes(encode: Callable[[Any, Any], bytes]) -> Callable[[Path, Any, Any], None]:
    def write(path: Path, features: Any, labels: Any) -> None:
        path.write_bytes(encode(features, labels))

    return write


FORMATS: dict[str, tuple[str, Callable[[Path, Any, Any], None]]] = {
    "pbr": ("application/x-recordio-protobuf", write_bytes(recordio.encode)),
    "sparse": ("application/x-recordio-protobuf", write_bytes(as_sparse)),
    "csv": ("text/csv", write_bytes(as_csv)),
    "jsonl": ("application/jsonlines", write_bytes(as_json_lines)),
    "npy": ("application/x-npy", write_npy),
    "parquet": ("application/x-parquet", write_parquet),
    "csv.gz": ("text/csv", write_bytes(lambda x, y: gzip.compress(as_csv(x, y)))),
}


@pytest.fixture(params=FORMATS)
def channel(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Stream]:
    """Opens the shards of one format with blocks of some rows only."""
    suffix = request.param
    media, write = FORMATS[suffix]
    sources = []
    for number, (start, stop) in enumerate(SHARDS):
        path = tmp_path / f"part-{number}.{suffix}"
        write(path, TABLE[start:stop], LABELS[start:stop])
        is_compressed = suffix.endswith("gz")
        sources.append(FileSource(path, path.name, media, 1, is_compressed, block=400))

    def stream(batch_rows: int, seed: int | None = None, prefetch: int = 0) -> Stream:
        return Stream(sources, batch_rows, seed, prefetch)

    return stream


def table_of(batches: list[tuple[Batch, Cursor]]) -> Any:
    return np.concatenate([np.column_stack([b.labels, b.dense()]) for b, _ in batches])


def same_batches(found: list[tuple[Batch, Cursor]], wanted: list[tuple[Batch, Cursor]]) -> None:
    assert [cursor for _, cursor in found] == [cursor for _, cursor in wanted]
    for (one, _), (other, _) in zip(found, wanted, strict=True):
        assert one.dense().tobytes() == other.dense().tobytes()
        assert one.labels is not None
        assert other.labels is not None
        assert one.labels.tobytes() == other.labels.tobytes()


@pytest.mark.parametrize("batch_rows", [1, 7, 64, 499, 500, 501])
def test_batches_have_exactly_the_rows_asked_for(channel: Any, batch_rows: int) -> None:
    batches = list(channel(batch_rows).read())
    assert all(len(batch) == batch_rows for batch, _ in batches[:-1])
    np.testing.assert_array_equal(table_of(batches), np.column_stack([LABELS, TABLE]))


@pytest.mark.parametrize("seed", [None, 11])
@pytest.mark.parametrize("batch_rows", [3, 64])
def test_any_cursor_resumes_the_same_bytes(channel: Any, batch_rows: int, seed: int | None) -> None:
    stream = channel(batch_rows, seed)
    batches = list(stream.read(2))
    for index in range(0, len(batches), 1 if batch_rows > 9 else 9):
        again = channel(batch_rows, seed)
        same_batches(list(again.read(2, batches[index][1])), batches[index + 1 :])


def test_reading_ahead_changes_nothing(channel: Any) -> None:
    for seed in (None, 5):
        same_batches(list(channel(33, seed, prefetch=2).read(1)), list(channel(33, seed).read(1)))


def test_a_shuffle_is_a_function_of_seed_and_pass(channel: Any) -> None:
    def order(seed: int, pass_: int) -> list[float]:
        found = table_of(list(channel(50, seed).read(pass_)))
        by_label = found[np.argsort(found[:, 0])]
        np.testing.assert_array_equal(by_label, np.column_stack([LABELS, TABLE]))
        labels: list[float] = found[:, 0].tolist()
        return labels

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert order(-(2**63), 3) != LABELS.tolist()


def test_rows_move_far_within_a_shard(channel: Any) -> None:
    moved = []
    for pass_ in range(4):
        labels = table_of(list(channel(50, 1).read(pass_)))[:, 0]
        inner = labels[(labels >= 202) & (labels < 460)]
        moved.append(np.abs(inner - np.sort(inner)).mean())
    assert np.mean(moved) > 40, "a uniform draw moves a row by a third of 258"


def test_memory_is_streamed_and_resumed_like_files() -> None:
    for seed in (None, 3):
        stream = from_memory(TABLE, LABELS, LABELS * 2, batch_rows=48, shuffle_seed=seed)
        batches = list(stream.read(4))
        found = table_of(batches)
        assert (found[:, 0] == LABELS).all() == (seed is None)
        weights = np.concatenate([b.weights for b, _ in batches if b.weights is not None])
        np.testing.assert_array_equal(weights, found[:, 0] * 2)
        for index, (_, cursor) in enumerate(batches):
            same_batches(list(stream.read(4, cursor)), batches[index + 1 :])


def test_float32_in_memory_is_not_copied() -> None:
    batches = from_memory(TABLE, LABELS, batch_rows=64).read()
    assert all(np.shares_memory(batch.dense(), TABLE) for batch, _ in batches)


def test_files_are_found_sorted_and_hidden_ones_passed_over(tmp_path: Path) -> None:
    for name, value in {"b.csv": "2", "a.csv": "1", "sub/c.csv": "3"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{value},{value}\n")
    for name in ("_SUCCESS", ".crc", "sub/_tmp/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("not,numbers\n")
    (tmp_path / "0-empty.csv").touch()
    ((batch, _),) = open_files([tmp_path], "text/csv", batch_rows=10).read()
    assert batch.dense()[:, 0].tolist() == [1, 2, 3]


def test_label_size_of_the_content_type_comes_first(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2,3\n")
    for content_type, width in (("text/csv", 2), ("text/csv;label_size=0", 3)):
        stream = open_files([tmp_path], content_type, batch_rows=10, label_size=1)
        assert [batch.columns for batch, _ in stream.read()] == [width]


@pytest.mark.parametrize("names", [[], ["_SUCCESS"], ["empty.csv"]])
def test_an_empty_channel_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(InvalidData, match="at least one row"):
        open_files([tmp_path], "text/csv", batch_rows=10)


def test_a_channel_of_blank_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n\n")
    with pytest.raises(InvalidData, match=r"at least one row; got 'none in a\.csv'"):
        list(open_files([tmp_path], "text/csv", batch_rows=10).read())


def test_a_missing_file_and_an_unfit_type_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"gone\.csv"):
        open_files([tmp_path / "gone.csv"], "text/csv", batch_rows=10)
    with pytest.raises(UnsupportedType, match="JSON Lines"):
        open_files([tmp_path], "application/json", batch_rows=10)


def test_files_of_other_widths_or_labels_name_both(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2,3\n")
    (tmp_path / "b.csv").write_text("1,2\n")
    with pytest.raises(InvalidData, match=r"b\.csv: must have 3 columns, as a\.csv has; got 2"):
        list(open_files([tmp_path], "text/csv", batch_rows=10).read())
    (tmp_path / "x.pbr").write_bytes(recordio.encode(TABLE, LABELS))
    (tmp_path / "y.pbr").write_bytes(recordio.encode(TABLE))
    paths = [tmp_path / "x.pbr", tmp_path / "y.pbr"]
    with pytest.raises(InvalidData, match=r"y\.pbr: must have 1 labels a row, as x\.pbr has"):
        list(open_files(paths, None, batch_rows=10).read())


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder, line in (("monday", "1,2\n"), ("tuesday", "1,two\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rows.csv").write_text(line)
    files = open_files([tmp_path], "text/csv", batch_rows=10, label_size=0)
    with pytest.raises(InvalidData, match=r"^tuesday/rows\.csv, row 1, column 2"):
        list(files.read())


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_fault_deep_in_a_file_names_its_row(tmp_path: Path, prefetch: int) -> None:
    path = tmp_path / "train.csv"
    rows = [f"{i},{i}" for i in range(1000)]
    for text, words in {
        "7,oops": "train.csv, row 901, column 2: must be a number; got 'oops'",
        "7": "train.csv, row 901: must have 2 columns",
        "nan,7": "train.csv, row 901: label must be a finite number; got nan",
        "7,inf": "train.csv, row 901, feature 1: must be a finite number; got inf",
    }.items():
        rows[900] = text
        path.write_text("\n".join(rows))
        stream = Stream([FileSource(path, path.name, "text/csv", 1, block=300)], 64, None, prefetch)
        with pytest.raises(InvalidData, match=words):
            list(stream.read())


def test_a_recordio_file_cut_short_names_record_and_byte(tmp_path: Path) -> None:
    body = recordio.encode(TABLE, LABELS)
    size = len(body) // ROWS
    path = tmp_path / "train.pbr"
    path.write_bytes(body[: size * 400 + 20])
    stream = Stream(
        [FileSource(path, path.name, "application/x-recordio-protobuf", 0, block=999)], 9
    )
    with pytest.raises(InvalidData, match=rf"train.pbr, record 401 \(byte {size * 400}\)"):
        list(stream.read())


def test_a_file_that_is_not_gzip_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n")
    stream = open_files([tmp_path], "text/csv", batch_rows=1, is_compressed=True)
    with pytest.raises(InvalidData, match=r"a\.csv: must be gzip"):
        list(stream.read())
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"1,2\n" * 999)[:-9])
    with pytest.raises(InvalidData, match=r"a\.csv: must be gzip"):
        list(stream.read())


def test_a_line_longer_than_a_block_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(",".join(str(i + j) for j in range(5000)) for i in range(3)))
    stream = Stream([FileSource(path, path.name, "text/csv", 0, block=100)], 2)
    assert np.concatenate([b.dense()[:, 0] for b, _ in stream.read()]).tolist() == [0, 1, 2]


def test_a_consumer_that_stops_early_leaves_no_thread(channel: Any) -> None:
    before = threading.active_count()
    batches = channel(5, None, prefetch=1).read()
    next(batches)
    assert threading.active_count() == before + 1
    batches.close()
    assert threading.active_count() == before


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(rows: int, seed: int | None) -> int:
        features = np.zeros((rows, 16), np.float32)
        (tmp_path / "a.pbr").write_bytes(recordio.encode(features))
        stream = open_files([tmp_path / "a.pbr"], None, batch_rows=1000, shuffle_seed=seed)
        del features
        tracemalloc.start()
        total = sum(len(batch) for batch, _ in stream.read())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert total == rows
        return most

    for seed in (None, 1):
        assert peak(900_000, seed) < 30e6 < (tmp_path / "a.pbr").stat().st_size / 2


def test_the_end_of_a_pass_resumes_to_nothing(channel: Any) -> None:
    *_, (_, cursor) = channel(100).read()
    assert list(channel(100).read(0, cursor)) == []
    assert cursor != START
