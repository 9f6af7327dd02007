"""MXNet's lists of arrays: those of every version are read, damaged ones say so."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tidemill.artifact.ndarray_list import read, write
from tidemill.errors import InvalidData

# As mxnet.nd.save("file", [mx.nd.array([1, 2])]) writes it, word by word.
KNOWN = bytes.fromhex(
    "1201000000000000" "0000000000000000" "0100000000000000"
    "c9fa93f9" "00000000" "01000000" "0200000000000000" "01000000" "00000000" "00000000"
    "0000803f" "00000040" "0000000000000000"
)  # fmt: skip


def test_what_mxnet_writes_is_written() -> None:
    assert write([np.array([1, 2], np.float32)]) == KNOWN


def test_what_mxnet_wrote_is_read() -> None:
    (found,) = read(KNOWN)
    np.testing.assert_array_equal(found, np.array([1, 2], np.float32))


@pytest.mark.parametrize(
    "head", [struct.pack("<IIq", 0xF993FAC8, 1, 2), struct.pack("<II", 1, 2)], ids=["1", "0"]
)
def test_older_versions_are_read(head: bytes) -> None:
    values = struct.pack("<iiidd", 1, 0, 1, 0.5, 2.5)
    data = struct.pack("<QQQ", 0x112, 0, 1) + head + values
    (found,) = read(data + struct.pack("<QQ", 1, 3) + b"arg")
    np.testing.assert_array_equal(found, [0.5, 2.5])


@given(
    st.lists(
        arrays(np.float32, array_shapes(max_dims=3, max_side=4), elements=st.floats(width=32)),
        max_size=3,
    )
)
def test_arrays_come_back(given_: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]) -> None:
    found = read(write(given_))
    assert len(found) == len(given_)
    for got, wanted in zip(found, given_, strict=True):
        np.testing.assert_array_equal(got, wanted)


@given(st.integers(0, len(KNOWN) - 9))
def test_a_list_cut_short_is_refused(length: int) -> None:
    with pytest.raises(InvalidData, match=r"mxnet\.nd\.save"):
        read(KNOWN[:length])


@given(st.binary(max_size=80), st.integers(0, 79))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int) -> None:
    for data in (noise, KNOWN[:at] + noise + KNOWN[at + len(noise) :]):
        with contextlib.suppress(InvalidData):
            read(data)
