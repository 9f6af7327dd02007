"""Bodies read by the kernel are those that the general readers read, bit for bit."""

from __future__ import annotations

import ctypes
import json as plain_json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tidemill.data.batch import Csr
from tidemill.data.formats import csv, json, jsonlines
from tidemill.data.where import REQUEST
from tidemill.errors import InvalidData
from tidemill.kernels import rows

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda x: f"{x:.6g}"),
    st.floats(-1000, 1000).map(repr),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.integers(-(10**6), 10**6).map(str),
    st.integers(-(2**65), 2**65).map(str),
    st.from_regex(
        r"[+-]?([0-9]{1,25}\.?|[0-9]{0,20}\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?", fullmatch=True
    ),
)  # fmt: skip
ODD = [
    *["-0", "-0.0", "0", "00", "01", "1.", ".5", "1e5", "1E-5", "1e", "-", "+1", "1e400", "1e-400"],
    *["16777217", "16777219.0000000001", "1e-45", "7e-46", "3.4028236e38", "1e39"],
    *["1.00000017881393432617187499", "1.00000017881393432617187500", "0.5000000298023224"],
    *["9007199254740992", "9007199254740993", "9223372036854775807", "18446744073709551616"],
    *["0.00000000000000000000000000000000000001", "123456789012345678901234567890"],
]
CELLS = st.one_of(NUMBERS, st.sampled_from(ODD))


def general(body: bytes, form: rows.Form) -> NDArray[np.float32] | None:
    """What the readers of all forms make of a body; None where they refuse it."""
    readers: dict[str, Callable[[], object]] = {
        "json": lambda: json.decode_any(body).features,
        "jsonlines": lambda: jsonlines.decode_any(body).features,
        "csv": lambda: csv.careful(body, REQUEST),
    }
    try:
        found = readers[form]()
    except InvalidData:
        return None
    assert isinstance(found, np.ndarray | Csr)
    return found.to_dense() if isinstance(found, Csr) else found


def read_exactly(body: bytes, form: rows.Form) -> None:
    """From memory that ends with the body, so that a sanitizer sees what is read beyond it."""
    data, shape = np.frombuffer(body, np.uint8).copy(), (ctypes.c_int64 * 2)()
    text = ctypes.cast(data.ctypes.data, ctypes.c_char_p)
    functions = rows._functions()
    values = np.empty(functions.most(text, len(body)), np.float32)
    kind = rows._FORMS[form]
    functions.read(text, len(body), kind, values.ctypes.data, len(values), shape)


def same(body: bytes, form: rows.Form) -> bool:
    """Whether the kernel reads it; what it reads must be what the others do."""
    read_exactly(body, form)
    read = rows.read(body, form)
    if read is None:
        return False
    wanted = general(body, form)
    assert wanted is not None, body
    assert read.shape == wanted.shape, body
    assert read.dtype == np.float32
    assert read.tobytes() == wanted.tobytes() or _same_but_nan(read, wanted), body
    return True


def _same_but_nan(read: NDArray[Any], wanted: NDArray[Any]) -> bool:
    missing = np.isnan(read)
    return bool(
        np.array_equal(missing, np.isnan(wanted))
        and read[~missing].tobytes() == wanted[~missing].tobytes()
    )


def body_of(table: list[list[str]], form: rows.Form, is_long: bool, space: str) -> bytes:
    if form == "csv":
        return "\n".join([f"{space},{space}".join(row) for row in table]).encode()
    front, back = '{"data":{"features":{"values":[', "]}}}"
    if not is_long:
        front, back = '{"features":[', "]}"
    front = front.replace(":", f":{space}")
    instances = [f"{front}{space}{f',{space}'.join(row)}{space}{back}" for row in table]
    if form == "jsonlines":
        return "\n".join(instances).encode()
    return f'{space}{{"instances":{space}[{f"{space},".join(instances)}]{space}}}{space}'.encode()


TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=4)
)


@given(TABLES, st.sampled_from(["json", "jsonlines", "csv"]), st.booleans(), st.sampled_from("\t "))
@settings(deadline=None, max_examples=300)
def test_what_the_kernel_reads_is_what_the_general_readers_read(
    table: list[list[str]], form: rows.Form, is_long: bool, space: str
) -> None:
    same(body_of(table, form, is_long, space), form)


@pytest.mark.parametrize("form", ["json", "jsonlines", "csv"])
@pytest.mark.parametrize("text", ODD)
def test_odd_numbers_are_read_alike_or_left_to_others(text: str, form: rows.Form) -> None:
    for cells in ([text], ["1", text], [text, "2.5"]):
        same(body_of([cells], form, False, ""), form)


@pytest.mark.parametrize("form", ["json", "jsonlines", "csv"])
def test_plain_bodies_are_read_by_the_kernel(form: rows.Form) -> None:
    dice = np.random.default_rng(0)
    for table in (
        dice.normal(size=(50, 7)).tolist(),
        dice.normal(size=(50, 7)).astype(np.float32).tolist(),
        dice.normal(size=(9, 1)).round(3).tolist(),
        dice.integers(-99, 99, (5, 5)).tolist(),
    ):
        texts = [[repr(value) for value in row] for row in table]
        for is_long in (False, True):
            for space in ("", " ", "\t"):
                assert same(body_of(texts, form, is_long, space), form)
    assert same(body_of([["1", "2"]], form, False, "") + b"\r\n", form)


def test_a_pretty_body_is_read() -> None:
    body = plain_json.dumps({"instances": [{"features": [1, 2.5]}] * 3}, indent=2).encode()
    assert same(body, "json")


def test_missing_cells_and_blank_lines_are_as_the_csv_reader_has_them() -> None:
    for body in (b",", b"1,\n,2\n", b"1,2\r\n\r\n3,4\r\n", b" \n1\n\t\n2", b"1,2\n3,4\r", b"1,,3"):
        assert same(body, "csv"), body


BODIES = [
    b'{"instances":[{"features":[1,2]},{"features":[3,4]}]}',
    b'{"instances":[{"data":{"features":{"values":[1,2]}}},{"features":[3.5,4e2]}]}',
    b'{"features":[1,2]}\n{"features":[3,4]}\n',
    b"1,2\n3.25,-4\n",
]
PIECES = st.sampled_from(
    [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\n", b"\r", b" ", b"0", b"1", b"-", b"e", b".",
     b'"features"', b'"data"', b'"values"', b'"instances"', b"\\u0066", b"null", b"true", b"\x00",
     b"\xef\xbb\xbf", b"\x0b", b"_", b"nan", b"\xff"]
)  # fmt: skip


@given(
    st.sampled_from(BODIES), st.integers(0, 80), st.integers(0, 6), st.lists(PIECES, max_size=3),
    st.sampled_from(["json", "jsonlines", "csv"]),
)  # fmt: skip
@example(b'{"instances":[{"features" "data":{"features":{"values":[1]}}}]}', 0, 0, [], "json")
@settings(deadline=None, max_examples=600)
def test_damaged_bodies_are_read_alike_or_left_to_others(
    body: bytes, at: int, cut: int, pieces: list[bytes], form: rows.Form
) -> None:
    same(body[:at] + b"".join(pieces) + body[at + cut :], form)


@given(st.binary(max_size=80), st.sampled_from(["json", "jsonlines", "csv"]))
@settings(deadline=None, max_examples=200)
def test_any_bytes_are_read_within_their_bounds(noise: bytes, form: rows.Form) -> None:
    """Under the address sanitizer this proves that nothing is read behind the end."""
    same(noise, form)
    for body in BODIES:
        for end in range(len(body)):
            read_exactly(body[:end], form)


def test_long_runs_of_digits_and_commas_fit() -> None:
    assert same(b"," * 1000, "csv")
    assert not same(b"1" * 1000, "csv")
    assert same(b"\n".join([b"1"] * 1000), "csv")
    assert same(b"0.12345678901234567," * 999 + b"1", "csv")


def joined(
    columns: dict[str, NDArray[Any]],
    looks: list[rows.Looks],
    words: list[bytes],
) -> bytes:
    texts = [orjson.dumps(a, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] for a in columns.values()]
    return rows.interleave(texts, looks, words, len(next(iter(columns.values()))))


def test_columns_become_lines() -> None:
    columns = {"a": np.array([1, 2]), "b": np.array([[0.5, 1], [2, 3]], np.float32)}
    words = [b'{"a":', b',"b":', b"}\n"]
    assert joined(columns, ["plain", "brackets"], words) == (
        b'{"a":1,"b":[0.5,1.0]}\n{"a":2,"b":[2.0,3.0]}\n'
    )
    assert joined(columns, ["plain", "bare"], [b"", b",", b"\n"]) == b"1,0.5,1.0\n2,2.0,3.0\n"


@pytest.mark.parametrize("seed", range(20))
def test_texts_that_do_not_have_the_cells_are_refused(seed: int) -> None:
    dice = random.Random(seed)
    text = b",".join([b"7"] * dice.randint(0, 5))
    with pytest.raises(ValueError, match="6 cells"):
        rows.interleave([b"1,2,3,4,5,6", text], ["plain", "plain"], [b"", b"", b""], 6)
    with pytest.raises(ValueError, match="2 cells"):
        rows.interleave([b"[1],2"], ["brackets"], [b"", b""], 2)
    with pytest.raises(ValueError, match="a look"):
        rows.interleave([b"1"], ["plain"], [b""], 1)
