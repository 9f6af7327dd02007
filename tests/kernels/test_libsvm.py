"""Lines of libsvm read by the kernel, and by scikit-learn."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_svmlight_file

from tidemill.kernels import libsvm

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda x: f"{x:.6g}"),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.integers(-(10**6), 10**6).map(str),
    st.from_regex(
        r"[+-]?([0-9]{1,25}\.?|[0-9]{0,20}\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?", fullmatch=True
    ),
)  # fmt: skip


def bytes_of(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(text.encode(), np.uint8)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
@example(["1.00000017881393432617187499", "1.00000017881393432617187500"])
@example(["16777217", "16777219.0000000001", "1e-45", "7e-46", "3.4028236e38", "1e39", "-0.0"])
@example(["0.00000000000000000000000000000000000001", "123456789012345678901234567890"])
@settings(deadline=None, max_examples=300)
def test_a_number_is_the_float_nearest_to_its_double_or_is_left_to_others(texts: list[str]) -> None:
    for text in texts:
        data = bytes_of(f"{text} 0:{text}\n")
        table = libsvm.room_for(data)
        done = libsvm.read(data, table, columns=1, base=0, is_labelled=True)
        if done == 0:
            assert table.counts.tolist() == [0] * 5
            assert "e" in text.lower() or len(text) > 18
            continue
        with np.errstate(over="ignore"):
            wanted = np.float32(float(text))
        assert done == len(data)
        for got in (table.labels[0], table.values[0]):
            assert got.tobytes() == wanted.tobytes(), text


@given(st.binary(max_size=80), st.booleans(), st.integers(1, 40), st.integers(0, 1))
@example(b"1 qid:", True, 5, 0)
@example(b"1 1:na", True, 5, 0)
@example(b"1:inf 4:-Infinity #", True, 5, 1)
@settings(deadline=None, max_examples=500)
def test_any_bytes_are_read_up_to_a_line(
    noise: bytes, is_labelled: bool, columns: int, base: int
) -> None:
    """Under the address sanitizer this proves that nothing is read behind the end."""
    data = np.frombuffer(noise, np.uint8).copy()
    table = libsvm.room_for(data)
    done = libsvm.read(data, table, columns=columns, base=base, is_labelled=is_labelled)
    assert done == len(data) or done == 0 or data[done - 1] == 10
    rows, stored = table.counts[:2]
    assert table.indptr[rows] == stored
    assert ((table.indices[:stored] >= 0) & (table.indices[:stored] < columns)).all()
    assert libsvm.highest(data, is_labelled=is_labelled) >= table.indices[:stored].max(initial=-1)


TABLES = st.lists(
    st.tuples(
        st.integers(-3, 3),
        st.dictionaries(st.integers(0, 60), st.integers(-999, 999).map(lambda n: n / 8)),
    ),
    min_size=1,
    max_size=12,
)


@given(TABLES, st.sampled_from(["\n", "\r\n", " # end\n", "\t\n\n"]), st.booleans(), st.booleans())
@settings(deadline=None)
def test_rows_are_those_that_scikit_learn_reads(
    rows: list[tuple[int, dict[int, float]]], ending: str, has_groups: bool, is_cut: bool
) -> None:
    lines = [
        " ".join(
            [
                str(label),
                *([f"qid:{index // 2}"] if has_groups else []),
                *(f"{column}:{value}" for column, value in sorted(entries.items())),
            ]
        )
        for index, (label, entries) in enumerate(rows)
    ]
    text = ending.join(lines) + ("" if is_cut else ending)
    theirs = load_svmlight_file(
        io.BytesIO(text.encode()), n_features=61, zero_based=True, query_id=True
    )
    data = bytes_of(text)
    table = libsvm.room_for(data)
    assert libsvm.read(data, table, columns=61, base=0, is_labelled=True) == len(data)
    count, stored, weighted, grouped, unordered = table.counts.tolist()
    assert (count, weighted, unordered) == (len(rows), 0, 0)
    assert grouped == has_groups * count
    np.testing.assert_array_equal(table.labels[:count], theirs[1])
    np.testing.assert_array_equal(table.indptr[: count + 1], theirs[0].indptr)
    np.testing.assert_array_equal(table.indices[:stored], theirs[0].indices)
    np.testing.assert_array_equal(table.values[:stored], theirs[0].data)
    if has_groups:
        np.testing.assert_array_equal(table.groups[:count], theirs[2])
    assert libsvm.highest(data, is_labelled=True) == table.indices[:stored].max(initial=-1)


@pytest.mark.parametrize(
    "line",
    ["x 0:1", "1 0", "1 0:", "1 :1", "1 0:1:2", "1 -1:1", "1 9:1", "1 0:1x", "1 0x1:1", "1: 0:1",
     "1 99999999999999999999:1", "1 qid:x", "1 qid:-1", "1 0:1 # c\n1 0:1 0:--1"],
)  # fmt: skip
def test_a_line_of_another_form_is_left_to_others_whole(line: str) -> None:
    data = bytes_of(f"1 0:1 2:3\n{line}\n")
    table = libsvm.room_for(data)
    done = libsvm.read(data, table, columns=9, base=0, is_labelled=True)
    assert done == len(data) - len(line.rpartition("\n")[2]) - 1
    assert table.counts[0] == 1 + line.count("\n")
