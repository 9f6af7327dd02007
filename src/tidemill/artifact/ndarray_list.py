"""Lists of arrays as Apache MXNet's ``nd.save`` writes them: what SageMaker's own algorithms leave.

A file is two words (0x112, 0), the number of arrays, each array, then their names. An array is a
mark of the format's version, its storage (0 is dense) from version 2 on, its shape, two words of
the device it was on, the number of its type, and its values.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.errors import InvalidData

_LIST = 0x112
_FIRST, _SECOND, _THIRD = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_TYPES = ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8")
_ON_CPU = (1, 0)
_MOST_DIMENSIONS = 32


def write(arrays: Sequence[NDArray[np.float32]]) -> bytes:
    """The bytes of a list of float32 arrays without names.

    >>> [a.tolist() for a in read(write([np.ones(2, np.float32), np.zeros((1, 1), np.float32)]))]
    [[1.0, 1.0], [[0.0]]]
    """
    parts = [struct.pack("<QQQ", _LIST, 0, len(arrays))]
    for array in arrays:
        shape = struct.pack(f"<I{array.ndim}q", array.ndim, *array.shape)
        head, kind = struct.pack("<Ii", _SECOND, 0), struct.pack("<iii", *_ON_CPU, 0)
        parts += [head, shape, kind, np.ascontiguousarray(array, "<f4").tobytes()]
    return b"".join([*parts, struct.pack("<Q", 0)])


def read(data: bytes) -> list[NDArray[Any]]:
    """The arrays of a list; their names are passed over. Raises InvalidData for what is none."""
    reader = _Reader(data)
    try:
        magic, _, count = reader.take("<QQQ")
        if magic != _LIST:
            raise ValueError(f"it begins with {magic:#x}")
        # Each takes 16 bytes at least: a count beyond that is none.
        if count > len(data) // 16:
            raise ValueError(f"{count} arrays in {len(data)} bytes")
        return [_array(reader) for _ in range(count)]
    except (struct.error, ValueError, TypeError, OverflowError) as error:
        raise InvalidData(
            "a list of arrays as mxnet.nd.save writes it",
            got=f"{type(error).__name__}: {error}",
            do="Save the arrays again by mxnet.nd.save, as a list of dense ones.",
        ) from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = memoryview(data), 0

    def take(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found

    def values(self, kind: str, count: int) -> NDArray[Any]:
        found = np.frombuffer(self._data, kind, count, self._at)
        self._at += found.nbytes
        return found


def _array(reader: _Reader) -> NDArray[Any]:
    (mark,) = reader.take("<I")
    if mark in (_SECOND, _THIRD):
        (storage,) = reader.take("<i")
        if storage != 0:
            raise ValueError("an array that is not dense")
    # Before versions were marked, the number of dimensions came first, and each took 4 bytes.
    is_marked = mark in (_FIRST, _SECOND, _THIRD)
    dimensions = reader.take("<I")[0] if is_marked else mark
    if not 0 < dimensions <= _MOST_DIMENSIONS:
        raise ValueError(f"an array of {dimensions} dimensions")
    shape = reader.take(f"<{dimensions}{'q' if is_marked else 'I'}")
    _, _, kind = reader.take("<iii")
    if min(shape) < 0 or not 0 <= kind < len(_TYPES):
        raise ValueError(f"shape {shape}, type {kind}")
    return reader.values(_TYPES[kind], math.prod(shape)).reshape(shape)
