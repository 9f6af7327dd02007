"""application/x-npy: one two-dimensional NumPy array; labels in the first columns."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping
from functools import lru_cache
from tokenize import TokenError
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Batch, floats
from tidemill.data.labels import labelled
from tidemill.data.where import REQUEST, Where
from tidemill.errors import InvalidData

Matrix = NDArray[Any]
Header = tuple[tuple[int, int], Any, np.dtype[Any], int]
_USUAL, _SHORT = b"\x93NUMPY\x01\x00", 512
_DAMAGED = (
    # what Python's own parser, which reads the header, makes of noise
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TokenError,
    TypeError,
    UserWarning,
    ValueError,
)


def decode(body: bytes, where: Where = REQUEST) -> Batch:
    """The array's rows. Raises InvalidData for anything but a table of numbers."""
    shape, order, dtype, start = _header(body, where)
    promised = math.prod(shape) * dtype.itemsize
    if len(body) - start != promised:
        raise truncated(where, promised, len(body) - start)
    flat = np.frombuffer(body, dtype, offset=start)
    return Batch(floats(flat.reshape(shape, order=order)))


def encode(columns: Mapping[str, NDArray[Any]]) -> bytes:
    """An answer's columns as one structured array: a row a record, a field a column."""
    plain = {name: _plain(column) for name, column in columns.items()}
    kinds = [(name, column.dtype, column.shape[1:]) for name, column in plain.items()]
    table = np.empty(len(next(iter(plain.values()))), kinds)
    for name, column in plain.items():
        table[name] = column
    return array(table)


def array(values: NDArray[Any]) -> bytes:
    """An array as an .npy file."""
    plain = _plain(values)
    return _head(plain.dtype, plain.shape) + plain.tobytes()


@lru_cache(maxsize=256)
def _head(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """What an .npy file of such an array begins with, in rows one after the other."""
    out = io.BytesIO()
    said = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, said)
    return out.getvalue()


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Texts as such, not as objects, which only pickle could write."""
    return np.array(values.tolist(), str) if values.dtype.hasobject else values


def _header(body: bytes, where: Where) -> Header:
    """The header of a body: clients send the same one again and again, and it is slow to read."""
    size = 10 + int.from_bytes(body[8:10], "little")
    if body[:8] == _USUAL and size <= _SHORT:
        return _known(body[:size], where)
    return header(io.BytesIO(body), where)


@lru_cache(maxsize=256)
def _known(head: bytes, where: Where) -> Header:
    return header(io.BytesIO(head), where)


def header(file: BinaryIO, where: Where) -> Header:
    """(rows, columns), ``C`` or ``F``, number type, byte where the numbers begin."""
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, is_fortran, dtype = read(file)
    except _DAMAGED as error:
        got = str(error)[:200] or type(error).__name__
        raise InvalidData(
            f"{where.name}: must be an .npy file", got=got, do="Write it with numpy.save."
        ) from None
    if len(shape) == 1:
        shape = (1, shape[0])
    is_table = len(shape) == 2 and shape[0] >= 0 and shape[1] > 0
    if not is_table or dtype.kind not in "fiub" or dtype.hasobject:
        raise InvalidData(
            f"{where.name}: must hold numbers in two dimensions, rows and columns",
            got=f"{str(dtype)[:100]} {str(shape)[:100]}",
            do="Save a float32 array of shape (rows, columns).",
        )
    return (shape[0], shape[1]), "F" if is_fortran else "C", dtype, file.tell()


def truncated(where: Where, wanted: int, got: int) -> InvalidData:
    """The error for an array with too few or too many bytes."""
    return InvalidData(
        f"{where.name}: the array must have {wanted} bytes",
        got=got,
        do="The data is cut short or has something behind it: save it again.",
    )


def open_shard(file: BinaryIO, name: str, label_size: int, block: int) -> TableShard:
    """The rows of an .npy file. Raises InvalidData."""
    where = Where(name)
    shape, order, dtype, start = header(file, where)
    promised = shape[0] * shape[1] * dtype.itemsize
    size = os.fstat(file.fileno()).st_size - start
    if size != promised:
        raise truncated(where, promised, size)
    return TableShard(file, name, Layout(start, shape, order, dtype), label_size, block)


class Layout(NamedTuple):
    """Where and how a file holds a table. start: byte · shape: (rows, columns) · order: C or F"""

    start: int
    shape: tuple[int, int]
    order: Any
    dtype: np.dtype[Any]


class TableShard:
    """A file that holds a plain table; offsets count rows. Keeps one block in memory."""

    def __init__(
        self, file: BinaryIO, name: str, layout: Layout, label_size: int, block: int
    ) -> None:
        self.name = name
        self._file = file
        self._layout = layout
        self._label_size = label_size
        start, shape, order, dtype = layout
        # a file that holds columns one after the other is mapped, a usual one is read
        self._mapped = np.memmap(file, dtype, "r", start, shape, "F") if order == "F" else None
        self._size = shape[1] * dtype.itemsize
        self._step = max(1, block // max(1, self._size))

    def cut(self, start: int) -> int:
        return min(self._layout.shape[0], start + self._step)

    def read(self, start: int, stop: int) -> Batch:
        if self._mapped is not None:
            table = self._mapped[start:stop]
        else:
            columns = self._layout.shape[1]
            self._file.seek(self._layout.start + start * self._size)
            flat = np.fromfile(self._file, self._layout.dtype, (stop - start) * columns)
            table = flat.reshape(-1, columns)
        return labelled(floats(table), self._label_size, self.name)

    def close(self) -> None:
        self._mapped = None
        self._file.close()
