"""Rows to RecordIO-protobuf, thousands at a time and byte for byte as SageMaker's SDK writes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Csr, floats, pointers, spread
from tidemill.data.recordio import varint
from tidemill.data.recordio.frames import HEADER, MAGIC
from tidemill.data.recordio.record import (
    DELIMITED,
    FEATURES,
    FLOAT32,
    FLOAT64,
    INT32,
    KEYS,
    LABEL,
    SHAPE,
    VALUES,
)

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Matrix = NDArray[Any]

BLOCK = 4 << 20
"""Bytes of numbers turned into records at a time."""
_MAGIC = MAGIC.to_bytes(4, "little")


def records(features: Matrix | Csr, labels: Matrix | None) -> Iterator[bytes]:
    """Frames of all rows, some megabytes at a time.

    features: (rows, columns) of any number type, or Csr · labels: (rows,) or (rows, width)
    float32 becomes Float32, float64 Float64 and integers Int32, as in the SageMaker SDK.
    """
    rows = len(features)
    stored = len(features.values) if isinstance(features, Csr) else features.size
    step = max(1, BLOCK // (8 * max(1, stored // max(1, rows))))
    for at in range(0, rows, step):
        stop = min(rows, at + step)
        yield _block(
            features.rows(at, stop) if isinstance(features, Csr) else features[at:stop],
            None if labels is None else labels[at:stop],
        )


def _block(features: Matrix | Csr, labels: Matrix | None) -> bytes:
    arrays = [a for a in (features, labels) if a is not None and not isinstance(a, Csr)]
    if not isinstance(features, Csr) and all(kind(a) != INT32 for a in arrays):
        names = (FEATURES, LABEL)
        return fixed([(map_, "values", a) for map_, a in zip(names, arrays, strict=False)])
    entries = [
        _entry(FEATURES, _sparse(features) if isinstance(features, Csr) else _dense(features))
    ]
    if labels is not None:
        entries.append(_entry(LABEL, _dense(labels)))
    return _framed([piece for entry in entries for piece in entry])


def kind(values: Matrix) -> int:
    """The tensor that holds numbers of this type."""
    if values.dtype.kind in "iub":
        return INT32
    return FLOAT64 if values.dtype == np.float64 else FLOAT32


def fixed(tensors: Sequence[tuple[int, str, Matrix]]) -> bytes:
    """Frames of rows whose tensors are all floats: one layout, so one table of bytes.

    tensors: (FEATURES or LABEL, name, (rows,) or (rows, width) array) in the order to write
    """
    columns = [_table(array) for _, _, array in tensors]
    rows = len(columns[0])
    if rows == 0:
        return b""
    key = [(m, n, kind(a), a[0].nbytes) for (m, n, _), a in zip(tensors, columns, strict=True)]
    template, places = _template(tuple(key))
    if rows == 1:
        frame = bytearray(template)
        for (begin, end), column in zip(places, columns, strict=True):
            frame[begin:end] = column.tobytes()
        return bytes(frame)
    table = np.empty((rows, len(template)), np.uint8)
    table[:] = np.frombuffer(template, np.uint8)
    for (begin, end), column in zip(places, columns, strict=True):
        table[:, begin:end] = column.view(np.uint8)
    return table.tobytes()


@lru_cache(maxsize=64)
def _template(
    tensors: tuple[tuple[int, str, int, int], ...],
) -> tuple[bytes, list[tuple[int, int]]]:
    """A frame with zeros for numbers, and where the numbers of each tensor lie in it."""
    payload = b""
    places: list[tuple[int, int]] = []
    for map_, name, kind_, size in tensors:
        tensor = _delimited(VALUES, bytes(size)) if size else b""
        value = _delimited(2, _delimited(kind_, tensor))
        payload += _delimited(map_, _delimited(1, name.encode()) + value)
        places.append((HEADER + len(payload) - size, HEADER + len(payload)))
    head = _MAGIC + len(payload).to_bytes(4, "little")
    return head + payload + bytes(-len(payload) % 4), places


def _delimited(number: int, content: bytes) -> bytes:
    return varint.one(number << 3 | DELIMITED) + varint.one(len(content)) + content


class Piece(NamedTuple):
    """Bytes of all rows, one row after the other, and how many each row has."""

    text: Bytes
    lengths: Integers


class Tensor(NamedTuple):
    """The fields of a tensor of every row."""

    kind: int
    pieces: list[Piece]


def _dense(array: Matrix) -> Tensor:
    table = _table(array)
    counts = np.full(len(table), table.shape[1], np.int64)
    return Tensor(kind(table), _field(VALUES, [_numbers(table.reshape(-1), counts)], packed=True))


def _sparse(rows: Csr) -> Tensor:
    counts = np.diff(rows.indptr)
    keys = _numbers(rows.indices, counts)
    shape = _numbers(np.full(len(rows), rows.columns), np.ones(len(rows), np.int64))
    return Tensor(
        kind(rows.values),
        _field(VALUES, [_numbers(rows.values, counts)], packed=True)
        + _field(KEYS, [keys], packed=True)
        + _field(SHAPE, [shape], packed=True),
    )


def _entry(map_: int, tensor: Tensor) -> list[Piece]:
    """The map's entry ``values``."""
    rows = len(tensor.pieces[0].lengths)
    name = _constant(_delimited(1, b"values"), rows)
    return _field(map_, [name, *_field(2, _field(tensor.kind, tensor.pieces))])


def _field(number: int, content: list[Piece], packed: bool = False) -> list[Piece]:
    """A delimited field of every row; packed numbers of a row without any are left out."""
    total = np.sum([piece.lengths for piece in content], axis=0)
    text, sizes = varint.encode(total.astype(np.uint64))
    tag = _constant(varint.one(number << 3 | DELIMITED), len(total))
    if packed and not total.all():
        present = total > 0
        text, sizes = text[np.repeat(present, sizes)], sizes * present
        tag = Piece(tag.text[present], tag.lengths * present)
    return [tag, Piece(text, sizes), *content]


def _numbers(flat: Matrix, counts: Integers) -> Piece:
    """Packed numbers, as the tensor of their type holds them."""
    if flat.dtype.kind in "iub":
        text, sizes = varint.encode(flat.astype(np.int64).view(np.uint64))
        return Piece(text, np.diff(pointers(sizes)[pointers(counts)]))
    return Piece(flat.view(np.uint8), counts * flat.dtype.itemsize)


def _constant(text: bytes, rows: int) -> Piece:
    return Piece(np.tile(np.frombuffer(text, np.uint8), rows), np.full(rows, len(text), np.int64))


def _table(array: Matrix) -> Matrix:
    """(rows, width), C-contiguous, float32 where no tensor has the type."""
    if array.dtype.kind not in "iub" and array.dtype not in (np.float32, np.float64):
        array = floats(array)
    return np.ascontiguousarray(array if array.ndim == 2 else array[:, None])


def _framed(content: list[Piece]) -> bytes:
    """Records with their headers and padding."""
    size = np.sum([piece.lengths for piece in content], axis=0)
    head = np.empty((len(size), 2), "<u4")
    head[:, 0], head[:, 1] = MAGIC, size
    padding = -size % 4
    pieces = [
        Piece(head.view(np.uint8).reshape(-1), np.full(len(size), HEADER, np.int64)),
        *content,
        Piece(np.zeros(padding.sum(), np.uint8), padding),
    ]
    lengths = np.array([piece.lengths for piece in pieces])
    ends = np.cumsum(lengths.T.reshape(-1)).reshape(len(size), len(pieces)).T
    out = np.empty(int(lengths.sum()), np.uint8)
    for piece, starts in zip(pieces, ends - lengths, strict=True):
        out[spread(starts, piece.lengths)] = piece.text
    return out.tobytes()
