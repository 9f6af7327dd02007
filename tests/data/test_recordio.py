"""RecordIO-protobuf against golden bytes, the published SageMaker SDK, and itself."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tidemill.data.batch import Csr, pointers
from tidemill.data.files import FileSource
from tidemill.data.formats import recordio
from tidemill.data.stream import Stream
from tidemill.errors import InvalidData

GOLDEN = {
    "dense float32": "0a23d7ce2c0000000a160a0676616c756573120c120a0a080000803f00000040"
    "12120a0676616c756573120812060a040000803f",
    "sparse float32": "0a23d7ce2e0000000a180a0676616c756573120e120c0a040000a0401201021a010312120a06"
    "76616c756573120812060a04000000000000",
    "int64": "0a23d7ce120000000a100a0676616c75657312063a040a0201020000",
    "float64": "0a23d7ce180000000a160a0676616c756573120c1a0a0a08000000000000f03f",
}


def sdk() -> Any:
    """The published SDK's own reader and writer."""
    return pytest.importorskip("sagemaker.serializer_utils")


def csr(matrix: Any) -> Csr:
    return Csr(
        matrix.indptr.astype(np.int64),
        matrix.indices.astype(np.int64),
        matrix.data.astype(np.float32),
        matrix.shape[1],
    )


def frame(payload: bytes, flag: int = 0) -> bytes:
    word = len(payload) | flag << 29
    return struct.pack("<II", 0xCED7230A, word) + payload + bytes(-len(payload) % 4)


def delimited(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def record(tensor: bytes, kind: int = 2, map_: int = 1, name: bytes = b"values") -> bytes:
    return delimited(map_, delimited(1, name) + delimited(2, delimited(kind, tensor)))


def test_the_golden_vectors_are_written_byte_for_byte() -> None:
    one, zero = np.array([1], np.float32), np.array([0], np.float32)
    sparse = Csr(np.array([0, 1]), np.array([2]), np.array([5], np.float32), 3)
    written = {
        "dense float32": recordio.encode(np.array([[1, 2]], np.float32), one),
        "sparse float32": recordio.encode(sparse, zero),
        "int64": recordio.encode(np.array([[1, 2]])),
        "float64": recordio.encode(np.array([[1.0]])),
    }
    assert {name: data.hex() for name, data in written.items()} == GOLDEN


def test_the_golden_vectors_are_read() -> None:
    dense = recordio.decode(bytes.fromhex(GOLDEN["dense float32"]))
    assert dense.dense().tolist() == [[1, 2]]
    assert dense.labels is not None
    assert dense.labels.tolist() == [1]
    sparse = recordio.decode(bytes.fromhex(GOLDEN["sparse float32"]))
    assert isinstance(sparse.features, Csr)
    assert sparse.dense().tolist() == [[0, 0, 5]]
    assert recordio.decode(bytes.fromhex(GOLDEN["int64"])).dense().tolist() == [[1, 2]]
    assert recordio.decode(bytes.fromhex(GOLDEN["float64"])).dense().tolist() == [[1]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("label_dtype", [None, np.float32, np.float64, np.int64])
def test_dense_rows_are_written_as_the_sdk_writes_them(dtype: Any, label_dtype: Any) -> None:
    random = np.random.default_rng(3)
    features = (random.normal(size=(40, 33)) * 300).astype(dtype)
    labels = None if label_dtype is None else random.integers(0, 300, 40).astype(label_dtype)
    theirs = io.BytesIO()
    sdk().write_numpy_to_dense_tensor(theirs, features, labels)
    assert recordio.encode(features, labels) == theirs.getvalue()
    batch = recordio.decode(theirs.getvalue())
    np.testing.assert_array_equal(batch.dense(), features.astype(np.float32))
    if labels is not None:
        np.testing.assert_array_equal(batch.labels, labels.astype(np.float32))


def test_sparse_rows_are_written_as_the_sdk_writes_them() -> None:
    matrix = scipy.sparse.random(60, 70_000, 0.00002, "csr", np.float32, np.random.default_rng(1))
    assert np.diff(matrix.indptr).min() == 0, "a row of zeros must be among them"
    labels = np.arange(60, dtype=np.float32)
    theirs = io.BytesIO()
    sdk().write_spmatrix_to_sparse_tensor(theirs, matrix, labels)
    assert recordio.encode(csr(matrix), labels) == theirs.getvalue()
    batch = recordio.decode(theirs.getvalue())
    assert isinstance(batch.features, Csr)
    np.testing.assert_array_equal(batch.features.indptr, matrix.indptr)
    np.testing.assert_array_equal(batch.features.indices, matrix.indices)
    np.testing.assert_array_equal(batch.features.values, matrix.data)
    np.testing.assert_array_equal(batch.labels, labels)


def test_the_sdk_reads_what_is_written_here() -> None:
    features = np.random.default_rng(0).random((9, 4), np.float32)
    read = sdk().read_records(io.BytesIO(recordio.encode(features, features[:, 0])))
    found = [list(r.features["values"].float32_tensor.values) for r in read]
    np.testing.assert_array_equal(np.array(found, np.float32), features)
    assert read[3].label["values"].float32_tensor.values[0] == features[3, 0]


@given(
    st.integers(0, 40).flatmap(
        lambda rows: arrays.arrays(
            st.sampled_from([np.float32, np.float64, np.int32]),
            st.tuples(st.just(rows), st.integers(1, 40)),
        )
    ),
    st.integers(0, 3),
)
@settings(deadline=None)
def test_dense_rows_come_back(features: Any, width: int) -> None:
    labels = (
        np.arange(len(features) * width, dtype=np.float32).reshape(-1, width) if width else None
    )
    batch = recordio.decode(recordio.encode(features, labels))
    if len(features):
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(batch.dense(), features.astype(np.float32))
    if labels is not None and len(features):
        wanted = labels[:, 0] if width == 1 else labels
        np.testing.assert_array_equal(batch.labels, wanted)


ROWS = st.lists(
    st.dictionaries(st.integers(0, 2**31 - 2), st.floats(width=32, allow_nan=False), max_size=12),
    min_size=1,
    max_size=20,
)


def from_rows(rows: list[dict[int, float]]) -> Csr:
    return Csr(
        pointers(np.array([len(row) for row in rows])),
        np.array([key for row in rows for key in row], np.int64),
        np.array([value for row in rows for value in row.values()], np.float32),
        2**31 - 1,
    )


@given(ROWS)
@settings(deadline=None)
def test_sparse_rows_come_back(rows: list[dict[int, float]]) -> None:
    wanted = from_rows(rows)
    found = recordio.decode(recordio.encode(wanted, np.ones(len(rows), np.float32))).features
    assert isinstance(found, Csr)
    np.testing.assert_array_equal(found.indptr, wanted.indptr)
    np.testing.assert_array_equal(found.indices, wanted.indices)
    np.testing.assert_array_equal(found.values, wanted.values)
    assert found.columns == wanted.columns


@given(
    st.lists(
        st.tuples(st.sampled_from(["f4", "f8", "i4", "sparse", "zeros"]), st.integers(-9, 300)),
        min_size=1,
        max_size=30,
    )
)
@settings(deadline=None)
def test_records_of_mixed_types_keep_their_order(kinds: list[tuple[str, int]]) -> None:
    body = b""
    wanted = np.zeros((len(kinds), 3), np.float32)
    label = np.zeros(1, np.float32)
    for row, (kind, value) in enumerate(kinds):
        if kind == "zeros":
            body += recordio.encode(Csr(np.zeros(2, np.int64), *empty(), 3), label)
            continue
        wanted[row] = [0, value, 0]
        if kind == "sparse":
            values = np.array([value], np.float32)
            body += recordio.encode(Csr(np.array([0, 1]), np.array([1]), values, 3), label)
        else:
            body += recordio.encode(wanted[row : row + 1].astype(kind), label)
    batch = recordio.decode(body)
    np.testing.assert_array_equal(batch.dense(), wanted)
    assert batch.labels is not None
    assert batch.labels.shape == (len(kinds),)


def empty() -> tuple[Any, Any]:
    return np.empty(0, np.int64), np.empty(0, np.float32)


def test_hundreds_of_different_layouts_are_read() -> None:
    values = struct.pack("<2f", 1, 2)
    texts = [bytes([97 + i % 26]) * (i % 60) for i in range(500)]
    body = b"".join(
        frame(
            record(delimited(1, values))
            + (delimited(3, text) if i % 2 else b"")
            + delimited(1, delimited(1, b"k" * (i % 25)) + delimited(2, b""))
        )
        for i, text in enumerate(texts)
    )
    assert recordio.decode(body).dense().tolist() == [[1, 2]] * 500


def test_unpacked_numbers_are_read() -> None:
    unpacked = b"\x0d" + struct.pack("<f", 1.5) + b"\x0d" + struct.pack("<f", -2)
    chunks = delimited(1, struct.pack("<f", 3)) + delimited(1, struct.pack("<f", 4))
    doubles = b"\x09" + struct.pack("<d", 5) + b"\x09" + struct.pack("<d", 6)
    integers = b"\x08\x07\x08\x80\x01"
    sparse = b"\x0d" + struct.pack("<f", 9) + b"\x10\x01" + b"\x18\x02"
    body = frame(record(unpacked)) + frame(record(chunks)) + frame(record(doubles, kind=3))
    body += frame(record(integers, kind=7)) + frame(record(sparse))
    wanted = [[1.5, -2], [3, 4], [5, 6], [7, 128], [0, 9]]
    assert recordio.decode(body * 5).dense().tolist() == wanted * 5


def test_a_key_of_several_dimensions_counts_row_by_row() -> None:
    tensor = delimited(1, struct.pack("<f", 7)) + delimited(2, b"\x05") + delimited(3, b"\x02\x04")
    features = recordio.decode(frame(record(tensor)) * 3).features
    assert isinstance(features, Csr)
    assert features.columns == 8
    assert features.indices.tolist() == [5, 5, 5]


def test_names_other_than_values_and_texts_are_passed_over() -> None:
    extra = record(delimited(1, b"\x01\x02"), kind=9, name=b"image")
    texts = delimited(3, b"uid-1") + delimited(4, b"{}")
    body = frame(extra + record(delimited(1, struct.pack("<f", 2))) + texts)
    assert recordio.decode(body + body).dense().tolist() == [[2], [2]]


def test_answers_are_read_with_their_names() -> None:
    value = delimited(1, struct.pack("<2f", 1, 2))
    body = frame(record(value, map_=2, name=b"score") + record(value, map_=2, name=b"other"))
    (found,) = recordio.read_records(body)
    assert sorted(found.label) == ["other", "score"]
    assert found.label["score"].values.tolist() == [1, 2]


MAGIC_BYTES = struct.pack("<I", 0xCED7230A)
MAGIC_FLOAT = np.frombuffer(MAGIC_BYTES, np.float32)[0]


@given(arrays.arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 9))), st.booleans())
@settings(deadline=None)
def test_the_magic_within_a_payload_is_no_frame(is_magic: Any, is_sparse: bool) -> None:
    features = np.where(is_magic, MAGIC_FLOAT, np.float32(1))
    source: Any = csr(scipy.sparse.csr_array(features)) if is_sparse else features
    np.testing.assert_array_equal(recordio.decode(recordio.encode(source)).dense(), features)


def in_parts(payload: bytes) -> bytes:
    """As MXNet writes it: cut at every magic that stands at a multiple of four."""
    cuts = [i for i in range(0, len(payload) - 3, 4) if payload[i : i + 4] == MAGIC_BYTES]
    if not cuts:
        return frame(payload)
    edges = [-4, *cuts, len(payload)]
    parts = [payload[a + 4 : b] for a, b in zip(edges, edges[1:], strict=False)]
    flags = [1, *[2] * (len(parts) - 2), 3]
    return b"".join(frame(part, flag) for part, flag in zip(parts, flags, strict=True))


@given(arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(2, 9))), st.integers(0, 3))
@settings(deadline=None)
def test_records_in_parts_are_put_together(is_magic: Any, pad: int) -> None:
    features = np.where(is_magic, MAGIC_FLOAT, np.float32(1))
    body = b""
    for row in features:
        # a text before the numbers moves them through every alignment
        text = delimited(3, b"u" * pad)
        body += in_parts(text + record(delimited(1, row.tobytes())))
    np.testing.assert_array_equal(recordio.decode(body).dense(), features)


def test_parts_are_not_torn_apart_by_blocks(tmp_path: Path) -> None:
    payload = record(delimited(1, MAGIC_BYTES * 5))
    path = tmp_path / "parts.pbr"
    path.write_bytes(in_parts(bytes([0x1A, 1, 0x75]) + payload) * 40)
    assert path.stat().st_size > len(payload) * 40 + 8 * 40, "the records must be in parts"
    for block in range(100, 180, 4):
        source = FileSource(path, path.name, "application/x-recordio-protobuf", 0, block=block)
        found = [batch.dense() for batch, _ in Stream([source], 7, is_checked=False).read()]
        np.testing.assert_array_equal(np.concatenate(found), np.full((40, 5), MAGIC_FLOAT))


@pytest.mark.parametrize("flags", [[2], [3], [0, 3], [1, 0], [1, 1, 3], [1, 2], [5], [0, 7]])
def test_parts_out_of_order_are_refused(flags: list[int]) -> None:
    payload = record(delimited(1, struct.pack("<f", 1)))
    with pytest.raises(InvalidData, match="parts|last part"):
        recordio.decode(b"".join(frame(payload, flag) for flag in flags))


def test_records_of_one_size_and_several_layouts_are_told_apart() -> None:
    floats = np.array([[1, 2]], np.float32)
    doubles = np.array([[3]], np.float64)
    assert len(recordio.encode(floats)) == len(recordio.encode(doubles))
    with pytest.raises(InvalidData, match="record 2 .*2 columns"):
        recordio.decode(recordio.encode(floats) + recordio.encode(doubles))
    other = recordio.encode(floats).replace(b"values", b"valueX")
    with pytest.raises(InvalidData, match="record 2 "):
        recordio.decode(recordio.encode(floats) + other)


def test_a_label_that_only_later_records_have_names_the_first_of_them() -> None:
    row = np.ones((1, 3), np.float32)
    body = recordio.encode(row) * 2 + recordio.encode(row, row[:, 0])
    with pytest.raises(InvalidData, match="record 3 .*0 labels.*got 1"):
        recordio.decode(body)


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_damaged_bytes_raise_invalid_data_or_decode(data: Any) -> None:
    features = np.arange(24, dtype=np.float32).reshape(6, 4)
    wholes = [
        recordio.encode(features, features[:, 0]),
        recordio.encode(csr(scipy.sparse.csr_array(features)), features[:, 0]),
        recordio.encode(features.astype(np.int64) * 1000),
        in_parts(record(delimited(1, MAGIC_BYTES * 3))) * 2,
    ]
    body = bytearray(data.draw(st.sampled_from(wholes)))
    for _ in range(data.draw(st.integers(0, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)))]
    with contextlib.suppress(InvalidData):
        recordio.decode(bytes(body))


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_body_cut_anywhere_is_refused_where_it_ends(is_sparse: bool) -> None:
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    body = recordio.encode(csr(scipy.sparse.csr_array(features)) if is_sparse else features)
    ends, at = {0}, 0
    while at < len(body):
        length = int.from_bytes(body[at + 4 : at + 8], "little")
        ends |= set(range(at + 8 + length, at + 8 + (length + 3 & ~3) + 1))
        at = max(ends)
    for stop in range(len(body)):
        if stop not in ends:
            with pytest.raises(InvalidData, match=r"request body, record \d \(byte \d+\)"):
                recordio.decode(body[:stop])
        else:
            recordio.decode(body[:stop])


def test_a_wrong_width_names_record_and_byte() -> None:
    narrow, wide = np.ones((2, 3), np.float32), np.ones((1, 4), np.float32)
    body = recordio.encode(narrow) + recordio.encode(wide)
    byte = len(recordio.encode(narrow))
    with pytest.raises(InvalidData, match=rf"record 3 \(byte {byte}\).*3 numbers.*got 4"):
        recordio.decode(body)


def test_a_missing_label_names_the_record() -> None:
    row = np.ones((1, 3), np.float32)
    body = recordio.encode(row, row[:, 0]) * 2 + recordio.encode(row)
    with pytest.raises(InvalidData, match="record 3 .*1 labels.*got 0"):
        recordio.decode(body)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (delimited(1, struct.pack("<f", 7)) + delimited(2, b"\x05"), "shape"),
        (
            delimited(1, struct.pack("<f", 7)) + delimited(2, b"\x05") + delimited(3, b"\x05"),
            "keys",
        ),
        (
            delimited(1, struct.pack("<f", 7)) + delimited(2, b"\x05\x06") + delimited(3, b"\x09"),
            "key",
        ),
        (delimited(1, b"abc"), "multiple of 4"),
        (delimited(1, b"") + delimited(3, b""), "at least one|shape"),
        (delimited(3, b"\x80"), "whole"),
    ],
)
def test_a_bad_tensor_says_what_is_wrong(tensor: bytes, words: str) -> None:
    for body in (frame(record(tensor)), frame(record(tensor) + delimited(3, b"u")) * 3):
        with pytest.raises(InvalidData, match=words):
            recordio.decode(body)


def test_a_record_without_values_is_refused() -> None:
    body = frame(record(delimited(1, struct.pack("<f", 1)), name=b"other"))
    with pytest.raises(InvalidData, match=r"record 1 .*features\[.values.\]"):
        recordio.decode(body)
    with pytest.raises(InvalidData, match="record 2"):
        recordio.decode(recordio.encode(np.ones((1, 1), np.float32)) + frame(b""))


def test_bytes_that_are_no_recordio_are_refused() -> None:
    with pytest.raises(InvalidData, match=r"record 1 \(byte 0\).*0a23d7ce.*got '312c322c'"):
        recordio.decode(b"1,2,3,4\n5,6,7,8\n")


def test_a_stream_of_writes_reads_as_one(tmp_path: Any) -> None:
    features = np.random.default_rng(0).random((300_000, 5), np.float32)
    with (tmp_path / "part.pbr").open("wb") as file:
        recordio.write(file, features, features[:, 0])
    assert (tmp_path / "part.pbr").read_bytes() == recordio.encode(features, features[:, 0])
