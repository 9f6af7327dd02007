from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tidemill.data.formats import csv
from tidemill.data.where import Where
from tidemill.errors import InvalidData

TABLES = st.tuples(st.integers(1, 30), st.integers(1, 9)).flatmap(
    lambda shape: arrays.arrays(
        np.float32, shape, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
)


def text_of(table: Any, space: str = "", newline: str = "\n") -> bytes:
    rows = [f",{space}".join(map(repr, row)) + space for row in table.astype(float).tolist()]
    return newline.join(rows).encode()


@given(TABLES, st.sampled_from(["", " ", "\t "]), st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(deadline=None)
def test_rows_come_back(table: Any, space: str, newline: str, is_large: bool) -> None:
    body = text_of(table, space, newline) + newline.encode()
    if is_large:
        body *= 1 + csv.SMALL // len(body)
        table = np.tile(
            table, (len(body) // len(text_of(table, space, newline) + newline.encode()), 1)
        )
    np.testing.assert_array_equal(csv.decode(body).dense(), table)


@pytest.mark.parametrize(
    "body",
    [
        b" 1 ,\t2 \n3, 4",
        b'"1","2"\n"3","4"\n',
        b"+1,2.\n03,.4e1\n",
        b"\xef\xbb\xbf1,2\n3,4",
        b"\n1,2\n\n3,4\n\n",
        b"1,2\r\n3,4\r\n",
    ],
)
def test_the_usual_ways_to_write_numbers_are_read(body: bytes) -> None:
    assert csv.decode(body).dense().tolist() == [[1, 2], [3, 4]]
    many = (body.removeprefix(b"\xef\xbb\xbf").rstrip() + b"\n") * csv.SMALL
    assert csv.decode(many).dense()[-2:].tolist() == [[1, 2], [3, 4]]


def test_the_first_columns_are_labels() -> None:
    one = csv.decode(b"1,2,3\n4,5,6", 1)
    assert one.labels is not None
    assert one.labels.tolist() == [1, 4]
    assert one.dense().tolist() == [[2, 3], [5, 6]]
    assert one.dense().flags.c_contiguous
    two = csv.decode(b"1,2,3\n4,5,6", 2)
    assert two.labels is not None
    assert two.labels.tolist() == [[1, 2], [4, 5]]


FAULTS = [
    ("1,2\n3\n", "row 2: must have 2 columns.*got 1"),
    ("1,2\n3,4,5\n", "row 2: must have 2 columns.*got 3"),
    ("1,2\n3,x\n", "row 2, column 2: must be a number; got 'x'"),
    ("1,2\n3,null\n", "row 2, column 2.*got 'null'"),
    ("1,2\ntrue,4\n", "row 2, column 1.*got 'true'"),
    ("1,2\n1_0,4\n", "row 2, column 1.*got '1_0'"),
    ("1,2\n[3],4\n", r"row 2, column 1.*got '\[3\]'"),
    ("age,sex\n1,2\n", "row 1, column 1.*got 'age'.*header"),
    ("1;2\n3;4\n", "row 1, column 1.*got '1;2'.*commas"),
    ("1 2,3\n", "row 1, column 1.*got '1 2'"),
]


@pytest.mark.parametrize(("text", "words"), FAULTS)
def test_a_fault_names_row_column_value_and_what_to_do(text: str, words: str) -> None:
    with pytest.raises(InvalidData, match=f"request body, {words}"):
        csv.decode(text.encode())


@pytest.mark.parametrize(("text", "words"), FAULTS[:7])
def test_a_fault_in_a_large_body_is_found_as_well(text: str, words: str) -> None:
    rows = csv.SMALL
    words = words.replace("row 2", f"row {rows + 2}")
    with pytest.raises(InvalidData, match=words):
        csv.decode(b"7,8\n" * rows + text.encode())


@pytest.mark.parametrize("rows", [1, csv.SMALL])
def test_empty_cells_are_missing_values(rows: int) -> None:
    table = csv.decode(b'1,,3\n,5,""\n' * rows).dense()[:2]
    np.testing.assert_array_equal(table, [[1, np.nan, 3], [np.nan, 5, np.nan]])


def test_a_row_of_labels_alone_is_refused() -> None:
    with pytest.raises(InvalidData, match="more columns than the 1 of the label; got 1"):
        csv.decode(b"1\n2\n", 1)


def test_rows_are_counted_from_the_top_of_the_file() -> None:
    where = Where("train.csv", 4096, lambda: 1000)
    with pytest.raises(InvalidData, match="train.csv, row 1002, column 1"):
        csv.decode(b"1\nx\n", 0, where)


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_decode_or_raise_invalid_data(body: bytes) -> None:
    try:
        batch = csv.decode(body)
    except InvalidData:
        return
    assert batch.dense().dtype == np.float32


@pytest.mark.parametrize("body", [b"1e39,1", b"-1e400,1"])
def test_numbers_beyond_float32_are_infinite(body: bytes) -> None:
    assert np.isinf(csv.decode(body).dense()[0, 0])


def test_small_bodies_need_no_arrow() -> None:
    code = (
        "import sys; from tidemill.data.request import decode; import tidemill.data.stream;"
        "import tidemill.data.answer; decode(b'1,2', 'text/csv');"
        "print(sorted({'pyarrow', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
