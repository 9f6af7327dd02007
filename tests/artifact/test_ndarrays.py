"""Files of named arrays: what MXNet itself writes is read, and damage is told of."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_array_equal

from tidemill.artifact.ndarrays import decode, decode_list, encode, encode_list
from tidemill.errors import InvalidData

# mxnet.nd.save(path, {"mean": [[1, 2, 3]], "v": [[1, 2], [3, 4], [5, 6]], "s": [7, 8]}), 1.9.1
BY_MXNET = bytes.fromhex(
    "12010000000000000000000000000000"
    "0300000000000000c9fa93f900000000"
    "02000000010000000000000003000000"
    "00000000010000000000000000000000"
    "0000803f0000004000004040c9fa93f9"
    "00000000020000000300000000000000"
    "02000000000000000100000000000000"
    "000000000000803f0000004000004040"
    "000080400000a0400000c040c9fa93f9"
    "00000000010000000200000000000000"
    "0100000000000000000000000000e040"
    "00000041030000000000000004000000"
    "000000006d65616e0100000000000000"
    "76010000000000000073"
)
HELD = {
    "mean": np.array([[1, 2, 3]], np.float32),
    "v": np.array([[1, 2], [3, 4], [5, 6]], np.float32),
    "s": np.array([7, 8], np.float32),
}


def test_what_mxnet_wrote_is_read_and_written_alike() -> None:
    found = decode(BY_MXNET)
    assert list(found) == list(HELD)
    for name, array in HELD.items():
        assert_array_equal(found[name], array)
        assert found[name].dtype == np.float32
    assert encode(HELD) == BY_MXNET


def test_a_sparse_array_of_little_that_would_fill_the_memory_is_refused() -> None:
    count, rows = struct.pack("<QQQ", 0x112, 0, 1), struct.pack("<IqIq", 1, 1, 1, 1 << 29)
    kinds = struct.pack("<iiiii", 1, 0, 0, 6, 1) + struct.pack("<q", 1)
    bomb = count + struct.pack("<Ii", 0xF993FAC9, 1) + rows + kinds + bytes(12)
    with pytest.raises(InvalidData, match="a sparse array of shape"):
        decode_list(bomb + struct.pack("<Q", 0))


@given(
    held=st.dictionaries(
        st.text(max_size=8),
        arrays.arrays(np.float32, arrays.array_shapes(min_dims=1, max_dims=3, max_side=4)),
        max_size=4,
    )
)
def test_arrays_come_back(held: dict[str, np.ndarray]) -> None:
    found = decode(encode(held))
    assert list(found) == list(held)
    for name, array in held.items():
        assert_array_equal(found[name], array)


@pytest.mark.parametrize("cut", range(0, len(BY_MXNET), 5))
def test_a_file_that_ends_too_soon_is_refused(cut: int) -> None:
    with pytest.raises(InvalidData, match="model_algo-1: a file of named arrays as MXNet"):
        decode(BY_MXNET[:cut], "model_algo-1")


@given(at=st.integers(0, len(BY_MXNET) - 1), value=st.integers(0, 255))
def test_damage_never_does_more_than_raise_invalid_data(at: int, value: int) -> None:
    damaged = bytearray(BY_MXNET)
    damaged[at] = value
    with contextlib.suppress(InvalidData):
        decode(bytes(damaged))


def test_arrays_without_names_are_a_list() -> None:
    # mxnet.nd.save(path, [[1, 2]]): one array, and no names.
    alone = BY_MXNET[:16] + (1).to_bytes(8, "little") + bytes.fromhex(
        "c9fa93f900000000" "010000000200000000000000" "010000000000000000000000"
        "0000803f00000040" "0000000000000000"
    )  # fmt: skip
    (found,) = decode_list(alone)
    assert_array_equal(found, [1, 2])
    assert encode_list([np.array([1, 2], np.float32)]) == alone
    assert [a.shape for a in decode_list(BY_MXNET)] == [(1, 3), (3, 2), (2,)]
    with pytest.raises(InvalidData, match="0 names of 1 arrays"):
        decode(alone)
    with pytest.raises(InvalidData, match="model_algo-1: a file of arrays as MXNet"):
        decode_list(alone[:-1], "model_algo-1")


@pytest.mark.parametrize("head", ["c8fa93f9010000000200000000000000", "0100000002000000"])
def test_older_arrays_are_read(head: str) -> None:
    values = np.array([0.5, 2.5])
    file = (
        BY_MXNET[:16]
        + (1).to_bytes(8, "little")
        + bytes.fromhex(head + "010000000000000001000000")
        + values.tobytes()
        + bytes(8)
    )
    (found,) = decode_list(file)
    assert_array_equal(found, values)


# mxnet.nd.save(path, {"arg:v": x.tostype("row_sparse"), "arg:b": [7]}), x = rows 1 and 3 of four
SPARSE_BY_MXNET = bytes.fromhex(
    "12010000000000000000000000000000"
    "0200000000000000c9fa93f901000000"
    "02000000020000000000000002000000"
    "00000000020000000400000000000000"
    "02000000000000000100000000000000"
    "00000000060000000100000002000000"
    "000000000000803f0000004000004040"
    "00008040010000000000000003000000"
    "00000000c9fa93f90000000001000000"
    "01000000000000000100000000000000"
    "000000000000e0400200000000000000"
    "05000000000000006172673a76050000"
    "00000000006172673a62"
)


def test_rows_that_mxnet_leaves_out_are_zeros() -> None:
    found = decode(SPARSE_BY_MXNET)
    assert_array_equal(found["arg:v"], [[0, 0], [1, 2], [0, 0], [3, 4]])
    assert_array_equal(found["arg:b"], [7])


@given(at=st.integers(24, 130), value=st.integers(0, 255))
def test_damaged_sparse_arrays_never_do_more_than_raise(at: int, value: int) -> None:
    damaged = bytearray(SPARSE_BY_MXNET)
    damaged[at] = value
    with contextlib.suppress(InvalidData):
        decode(bytes(damaged))
