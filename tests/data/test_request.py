from __future__ import annotations

import io

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tidemill.data.batch import Csr
from tidemill.data.formats import recordio
from tidemill.data.request import decode
from tidemill.errors import InvalidData, UnsupportedType

TABLE = np.array([[1, 2.5], [3, -4]], np.float32)


def npy(table: object) -> bytes:
    file = io.BytesIO()
    np.save(file, table)
    return file.getvalue()


def parquet() -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(
        pyarrow.table({"a": TABLE[:, 0].astype(int), "b": TABLE[:, 1]}), file
    )
    return file.getvalue()


BODIES = [
    (b"1,2.5\n3,-4", "text/csv"),
    (b'{"instances":[{"features":[1,2.5]},{"features":[3,-4]}]}', "application/json"),
    (b'{"features":[1,2.5]}\n{"features":[3,-4]}', "application/jsonlines"),
    (recordio.encode(TABLE), "application/x-recordio-protobuf"),
    (recordio.encode(TABLE), None),
    (npy(TABLE), "application/x-npy"),
    (npy(np.asfortranarray(TABLE.astype(">f8"))), "application/x-npy"),
    (parquet(), "application/x-parquet"),
]


@pytest.mark.parametrize(("body", "content_type"), BODIES)
def test_every_type_gives_the_same_rows(body: bytes, content_type: str | None) -> None:
    batch = decode(body, content_type)
    assert batch.labels is None
    assert batch.dense().dtype == np.float32
    assert batch.dense().tolist() == TABLE.tolist()


def test_labels_are_set_apart_when_the_type_says_so() -> None:
    batch = decode(b"1,2,3", "text/csv;label_size=1")
    assert batch.dense().tolist() == [[2, 3]]


def test_an_unknown_type_and_an_empty_body_are_refused() -> None:
    with pytest.raises(UnsupportedType, match="text/plain"):
        decode(b"1,2", "text/plain")
    for content_type in ("text/csv", None):
        with pytest.raises(InvalidData, match="must have a row; got '0 bytes'"):
            decode(b"", content_type)
    with pytest.raises(InvalidData, match="must have a row; got '3 bytes'"):
        decode(b"\n \n", "text/csv")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"1,2\n3,nan", "text/csv"),
        (b"1,2\n3,1e39", "text/csv"),
        (b'{"instances":[{"features":[1,2]},{"features":[3,1e39]}]}', "application/json"),
        (recordio.encode(np.array([[1, 2], [3, np.nan]], np.float32)), None),
    ],
)
def test_numbers_that_are_not_finite_are_refused(body: bytes, content_type: str | None) -> None:
    with pytest.raises(InvalidData, match="request body, row 2, feature 2: must be a finite"):
        decode(body, content_type)


def test_a_sparse_row_that_is_not_finite_names_its_column() -> None:
    values = np.array([1, 2, np.inf], np.float32)
    body = recordio.encode(Csr(np.array([0, 1, 3]), np.array([0, 4, 7]), values, 9))
    with pytest.raises(InvalidData, match="row 2, feature 8.*got inf"):
        decode(body, None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (npy(TABLE)[:-3], "must have 16 bytes; got 13"),
        (npy(TABLE) + b"x", "must have 16 bytes; got 17"),
        (npy(np.zeros((2, 2, 2))), "two dimensions.*2, 2, 2"),
        (npy(np.array([["a"]])), "must hold numbers"),
        (b"not an array", "must be an .npy file"),
    ],
)
def test_a_bad_array_says_what_is_wrong(body: bytes, words: str) -> None:
    with pytest.raises(InvalidData, match=words):
        decode(body, "npy")


def test_an_array_of_objects_is_never_unpickled() -> None:
    file = io.BytesIO()
    np.save(file, np.array([[print]], object), allow_pickle=True)
    with pytest.raises(InvalidData, match="must hold numbers"):
        decode(file.getvalue(), "npy")


def test_a_single_row_may_have_one_dimension() -> None:
    assert decode(npy(TABLE[0]), "npy").dense().tolist() == [[1, 2.5]]


def test_a_bad_parquet_file_says_what_is_wrong() -> None:
    with pytest.raises(InvalidData, match="must be a Parquet file"):
        decode(b"PAR1 nonsense", "parquet")
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"a": [1.0], "city": ["Ulm"]}), file)
    with pytest.raises(InvalidData, match="column 'city': must be numbers"):
        decode(file.getvalue(), "parquet")
