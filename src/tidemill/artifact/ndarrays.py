"""MXNet's file of arrays, which SageMaker's own built-ins keep their models in.

A header (magic, nothing, how many), the arrays (magic, storage, shape, device, type, values), then
their names, or none where they are a list; all little-endian. Sizes are checked against the bytes
that there are.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.errors import InvalidData

_FILE = 0x112
_BARE, _STORED, _STORED_TOO = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE, _ROWS, _CPU = 0, 1, 1
_TYPES = tuple(map(np.dtype, ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8")))
_MOST_AXES = 32
_MOST_VALUES, _FEW_VALUES, _SPREAD = 1 << 30, 1 << 24, 1 << 12
"""Numbers of a sparse array in all; a few there may be however few are stored, else so many times
as many."""


def encode(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The file of these arrays, as ``mxnet.nd.load`` reads it; all become float32.

    >>> decode(encode({"s": np.array([7.0, 8.0])}))
    {'s': array([7., 8.], dtype=float32)}
    """
    return _file(list(arrays.values()), list(arrays))


def encode_list(arrays: Sequence[NDArray[Any]]) -> bytes:
    """The same of arrays that have no names.

    >>> decode_list(encode_list([np.array([7.0, 8.0])]))
    [array([7., 8.], dtype=float32)]
    """
    return _file(arrays, ())


def decode(blob: bytes, name: str = "arrays") -> dict[str, NDArray[Any]]:
    """The arrays of a file, by name. Raises InvalidData, with the file's name, when damaged."""
    return dict(zip(*_decoded(blob, name, are_named=True), strict=True))


def decode_list(blob: bytes, name: str = "arrays") -> list[NDArray[Any]]:
    """The arrays of a file in order, whether or not they have names; raises as ``decode``."""
    return _decoded(blob, name, are_named=False)[1]


def _file(arrays: Sequence[NDArray[Any]], names: Sequence[str]) -> bytes:
    parts = [struct.pack("<QQQ", _FILE, 0, len(arrays))]
    for array in arrays:
        shape = array.shape
        parts.append(struct.pack(f"<IiI{len(shape)}q", _STORED, _DENSE, len(shape), *shape))
        parts.append(struct.pack("<iii", _CPU, 0, 0))
        parts.append(np.ascontiguousarray(array, "<f4").tobytes())
    parts.append(struct.pack("<Q", len(names)))
    for name in names:
        coded = name.encode()
        parts.append(struct.pack("<Q", len(coded)) + coded)
    return b"".join(parts)


def _decoded(blob: bytes, name: str, *, are_named: bool) -> tuple[list[str], list[NDArray[Any]]]:
    try:
        names, arrays = _read(_Reader(blob))
        if len(names) != len(arrays) and (are_named or names):
            raise ValueError(f"{len(names)} names of {len(arrays)} arrays")
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise InvalidData(
            f"{name}: a file of {'named ' if are_named else ''}arrays as MXNet writes it",
            got=str(error),
            do="Check how the file was made, or train the model again.",
        ) from error
    return names, arrays


@dataclass(slots=True)
class _Reader:
    blob: bytes
    at: int = 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from("<" + form, self.blob, self.at)
        self.at += struct.calcsize("<" + form)
        return found

    def bytes(self, count: int) -> bytes:
        if count > len(self.blob) - self.at:
            raise ValueError(f"{len(self.blob)} bytes, of which some are missing")
        self.at += count
        return self.blob[self.at - count : self.at]


def _read(reader: _Reader) -> tuple[list[str], list[NDArray[Any]]]:
    magic, _, count = reader.numbers("QQQ")
    if magic != _FILE or count > len(reader.blob):
        raise ValueError("another kind of file")
    arrays = [_array(reader) for _ in range(count)]
    (named,) = reader.numbers("Q")
    if named > count:
        raise ValueError(f"{named} names of {count} arrays")
    return [reader.bytes(reader.numbers("Q")[0]).decode() for _ in range(named)], arrays


def _array(reader: _Reader) -> NDArray[Any]:
    storage, stored, shape = _shapes(reader)
    _, _, kind = reader.numbers("iii")
    if storage == _DENSE:
        return _values(reader, kind, stored)
    (of_rows,) = reader.numbers("i")
    rows = _axes(reader)
    if of_rows != _TYPES.index(np.dtype("<i8")) or rows != stored[:1]:
        raise ValueError(f"rows {rows} of type {of_rows} of a sparse array of shape {shape}")
    values = _values(reader, kind, stored)
    return _spread(values, _values(reader, of_rows, rows), shape)


def _shapes(reader: _Reader) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """The storage, the shape of what is stored, and of the array."""
    (magic,) = reader.numbers("I")
    if 0 < magic <= _MOST_AXES:  # as before arrays began with a magic: axes, and 4 bytes for each
        shape = reader.numbers(f"{magic}I")
        return _DENSE, shape, shape
    if magic not in (_BARE, _STORED, _STORED_TOO):
        raise ValueError(f"an array that begins with {magic:#x}")
    storage = _DENSE if magic == _BARE else reader.numbers("i")[0]
    if storage not in (_DENSE, _ROWS):
        raise ValueError(f"a sparse array (storage {storage})")
    stored = _axes(reader)
    shape = _axes(reader) if storage == _ROWS else stored
    if storage == _ROWS and (not stored or stored[1:] != shape[1:]):
        raise ValueError(f"rows of shape {stored} of an array of shape {shape}")
    return storage, stored, shape


def _axes(reader: _Reader) -> tuple[int, ...]:
    (axes,) = reader.numbers("I")
    if axes > _MOST_AXES:
        raise ValueError(f"an array of {axes} axes")
    return reader.numbers(f"{axes}q")


def _values(reader: _Reader, kind: int, shape: tuple[int, ...]) -> NDArray[Any]:
    if not 0 <= kind < len(_TYPES) or min(shape, default=0) < 0:
        raise ValueError(f"an array of type {kind} and shape {shape}")
    values = reader.bytes(math.prod(shape) * _TYPES[kind].itemsize)
    return np.frombuffer(values, _TYPES[kind]).reshape(shape)


def _spread(values: NDArray[Any], rows: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """All rows, of which some are stored and the rest are zeros."""
    most = min(_MOST_VALUES, max(_FEW_VALUES, _SPREAD * values.size))
    if min(shape) < 0 or math.prod(shape) > most:
        raise ValueError(f"a sparse array of shape {shape}")
    if len(rows) and not (rows.min() >= 0 and rows.max() < shape[0]):
        raise ValueError(f"a row beyond the {shape[0]} of a sparse array")
    whole = np.zeros(shape, values.dtype)
    whole[rows] = values
    return whole
