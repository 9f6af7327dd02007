"""Arrays, Parquet and Arrow streams: rows in, columns out, and what is refused."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tidemill.data import answer
from tidemill.data import content_type as types
from tidemill.data.request import decode
from tidemill.errors import InvalidData

ROWS = np.array([[1, 2.5, 0], [3, -4, 7]], np.float32)


def npy(table: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, table)
    return file.getvalue()


def npz(*tables: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, *tables)
    return file.getvalue()


def columns_of(table: Any) -> Any:
    return pyarrow.table({f"c{i}": np.asarray(table)[:, i] for i in range(np.shape(table)[1])})


def parquet(table: Any, **how: Any) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(
        table if isinstance(table, pyarrow.Table) else columns_of(table), file, **how
    )
    return file.getvalue()


def stream(table: Any, compression: str | None = None) -> bytes:
    found = table if isinstance(table, pyarrow.Table) else columns_of(table)
    sink = pyarrow.BufferOutputStream()
    options = pyarrow.ipc.IpcWriteOptions(compression=compression)
    with pyarrow.ipc.new_stream(sink, found.schema, options=options) as writer:
        for batch in found.to_batches(max_chunksize=2):
            writer.write_batch(batch)
    return bytes(sink.getvalue())


WRITERS: dict[str, Callable[[Any], bytes]] = {
    types.NPY: npy,
    types.NPZ: npz,
    types.PARQUET: parquet,
    types.ARROW: stream,
}


@given(
    st.sampled_from(list(WRITERS)),
    st.sampled_from(["f4", "f8", "i8", "i2", "u1", "?", "f2"]).flatmap(
        lambda kind: arrays.arrays(
            np.dtype(kind),
            st.tuples(st.integers(1, 7), st.integers(1, 4)),
            elements=st.integers(0, 1) if kind == "?" else st.integers(0, 100),
        )
    ),
)
@settings(deadline=None)
def test_rows_of_any_kind_of_number_arrive(media: str, table: Any) -> None:
    found = decode(WRITERS[media](table), media)
    assert found.dense().dtype == np.float32
    assert found.dense().tolist() == table.astype(np.float32).tolist()


@pytest.mark.parametrize("media", list(WRITERS))
def test_damaged_bytes_are_refused_as_such(media: str) -> None:
    body = WRITERS[media](ROWS)

    @given(st.integers(0, len(body) - 1), st.binary(max_size=6), st.integers(0, 6))
    @settings(deadline=None, max_examples=150)
    def check(at: int, noise: bytes, cut: int) -> None:
        damaged = body[:at] + noise + body[at + cut :]
        try:
            batch = decode(damaged, media)
        except InvalidData as error:
            assert len(str(error)) < 700  # noqa: PT017 - either end is fine
        else:
            assert batch.dense().shape[1] < 1000

    check()


@pytest.mark.parametrize("media", list(WRITERS))
def test_a_body_cut_short_is_refused(media: str) -> None:
    body = WRITERS[media](np.ones((40, 5), np.float32))
    with pytest.raises(InvalidData, match="request body"):
        decode(body[: len(body) // 2], media)
    with pytest.raises(InvalidData, match="request body"):
        decode(b"", media)


@pytest.mark.parametrize("media", list(WRITERS))
def test_missing_numbers_and_infinities_name_their_place(media: str) -> None:
    for wrong in (np.nan, np.inf):
        table = ROWS.copy()
        table[1, 2] = wrong
        with pytest.raises(InvalidData, match="row 2, feature 3: must be a finite number"):
            decode(WRITERS[media](table), media)
        assert wrong == np.inf or np.isnan(
            decode(WRITERS[media](table), media, allows_missing=True).dense()[1, 2]
        )


@pytest.mark.parametrize("write", [parquet, stream])
@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pyarrow.array(["a", "b"]), "string"),
        (pyarrow.array(["a", "b"]).dictionary_encode(), "dictionary"),
        (pyarrow.array([[1.0], [2.0]]), "list"),
        (pyarrow.array([{"x": 1.0}, {"x": 2.0}]), "struct|x"),
    ],
)
def test_a_column_that_is_no_number_is_named(
    write: Callable[[Any], bytes], column: Any, words: str
) -> None:
    table = pyarrow.table({"fine": [1.0, 2.0], "odd": column})
    media = types.PARQUET if write is parquet else types.ARROW
    with pytest.raises(InvalidData, match=f"column '(odd|x)': must be numbers.*({words})"):
        decode(write(table), media)


def test_a_dictionary_of_numbers_is_no_column_of_numbers() -> None:
    table = pyarrow.table({"odd": pyarrow.array([1.0, 2.0]).dictionary_encode()})
    with pytest.raises(InvalidData, match="column 'odd': must be numbers.*dictionary"):
        decode(stream(table), types.ARROW)


def test_an_arrow_stream_that_is_compressed_is_refused() -> None:
    with pytest.raises(InvalidData, match="must not be compressed"):
        decode(stream(ROWS, "zstd"), types.ARROW)


def test_nulls_are_missing_numbers() -> None:
    table = pyarrow.table({"a": [1.0, None], "b": [1, 2]})
    for media, body in ((types.PARQUET, parquet(table)), (types.ARROW, stream(table))):
        with pytest.raises(InvalidData, match="row 2, feature 1: must be a finite number"):
            decode(body, media)
        assert np.isnan(decode(body, media, allows_missing=True).dense()[1, 0])


def bomb_npz() -> bytes:
    return npz(np.zeros((1, 40_000_000), np.float32))


def bomb_parquet() -> bytes:
    ones = pyarrow.array(np.zeros(20_000_000, np.float32))
    return parquet(pyarrow.table({"a": ones}), use_dictionary=True)


def wide_stream() -> bytes:
    bits = pyarrow.array(np.zeros(20_000_000, np.bool_))
    return stream_whole(pyarrow.table({"a": bits}))


def stream_whole(table: Any) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    ("make", "media"),
    [(bomb_npz, types.NPZ), (bomb_parquet, types.PARQUET), (wide_stream, types.ARROW)],
)
def test_few_bytes_that_claim_very_many_numbers_are_refused(
    make: Callable[[], bytes], media: str
) -> None:
    body = make()
    before = pyarrow.total_allocated_bytes()
    tracemalloc.start()
    with pytest.raises(InvalidData, match="must hold at most 16777216 numbers"):
        decode(body, media)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    assert pyarrow.total_allocated_bytes() - before < 1 << 20


def test_an_array_that_claims_more_than_it_has_is_refused() -> None:
    head = npy(ROWS).split(b"(2, 3)")
    assert len(head) == 2
    padded = head[1].replace(b" " * 9, b"", 1)
    body = head[0] + b"(2000000000, 3)" + padded
    with pytest.raises(InvalidData, match="must have 24000000000 bytes"):
        decode(body, types.NPY)


def test_an_npz_with_several_arrays_or_none_says_so() -> None:
    with pytest.raises(InvalidData, match="must hold one array"):
        decode(npz(ROWS, ROWS), types.NPZ)
    file = io.BytesIO()
    zipfile.ZipFile(file, "w").close()
    with pytest.raises(InvalidData, match="must hold one array"):
        decode(file.getvalue(), types.NPZ)


COLUMNS = {
    "score": np.array([[0.5, 0.25], [1, 2], [0, 1]], np.float32),
    "predicted_label": np.array([1, 0, 2]),
    "word": np.array(["a", "bc", "d"]),
}


def read(body: bytes, media: str) -> dict[str, Any]:
    if media == types.NPY:
        table = np.load(io.BytesIO(body))
        return {name: table[name] for name in table.dtype.names}
    if media == types.NPZ:
        with np.load(io.BytesIO(body)) as found:
            return {name: found[name] for name in found.files}
    source = pyarrow.BufferReader(body)
    found = (
        pyarrow.parquet.read_table(source)
        if media == types.PARQUET
        else pyarrow.ipc.open_stream(source).read_all()
    )
    return {name: np.array(found[name].to_pylist()) for name in found.schema.names}


@pytest.mark.parametrize("media", list(WRITERS))
def test_an_answer_reads_back_by_its_names(media: str) -> None:
    for columns in (COLUMNS, {n: a[:1] for n, a in COLUMNS.items()}):
        body, said = answer.encode(columns, media)
        assert said == media
        assert body == answer.encode(columns, media)[0]
        found = read(body, media)
        assert list(found) == list(columns)
        for name, column in columns.items():
            np.testing.assert_array_equal(found[name], column)


def test_numbers_keep_their_types() -> None:
    for media in (types.NPY, types.NPZ):
        found = read(answer.encode(COLUMNS, media)[0], media)
        assert {n: a.dtype for n, a in found.items()} == {n: a.dtype for n, a in COLUMNS.items()}
    found = pyarrow.ipc.open_stream(answer.encode(COLUMNS, types.ARROW)[0]).read_all().schema
    assert [str(kind) for kind in found.types] == [
        "fixed_size_list<item: float>[2]",
        "int64",
        "string",
    ]


def test_texts_kept_as_objects_are_written_as_texts() -> None:
    columns = {"label": np.array(["x", "yz"], object)}
    for media in WRITERS:
        assert read(answer.encode(columns, media)[0], media)["label"].tolist() == ["x", "yz"]


@pytest.mark.parametrize("rows", [0, 1, 63, 64, 300])
def test_many_rows_are_written_as_few_are(rows: int) -> None:
    dice = np.random.default_rng(rows)
    columns = {
        "score": dice.normal(size=rows).astype(np.float32),
        "label": dice.integers(-5, 5, rows),
        "wide": dice.normal(size=(rows, 3)),
        "narrow": dice.normal(size=(rows, 1)).astype(np.float32),
        "sure": dice.random(rows) > 0.5,
    }
    for media in (types.JSON, types.JSON_LINES, types.CSV):
        whole = answer.encode(columns, media)[0]
        singles = [
            answer.encode({n: a[i : i + 1] for n, a in columns.items()}, media)[0]
            for i in range(rows)
        ]
        if media == types.JSON:
            inner = b",".join(one[len(b'{"predictions":[') : -2] for one in singles)
            assert whole == b'{"predictions":[%b]}' % inner
        else:
            assert whole == b"".join(singles)
