"""Rows as a log keeps them: as they were decoded, so that they need no reading a second time."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Batch, Csr, concatenate

# Of 16 bytes, so that the numbers behind it are aligned.
_HEAD = struct.Struct("<IIIBBxx")
_DENSE, _SPARSE = 0, 1
_LABELS, _WEIGHTS = 1, 2
_PIECES = 4096


def to_bytes(batch: Batch) -> bytes:
    """Features, labels and weights of a batch.

    >>> rows = to_bytes(Batch(np.array([[1, 2]], np.float32), np.array([3], np.float32)))
    >>> from_bytes(rows).labels
    array([3.], dtype=float32)
    """
    features, labels, weights = batch.features, batch.labels, batch.weights
    has = (labels is not None) * _LABELS | (weights is not None) * _WEIGHTS
    sparse = isinstance(features, Csr)
    stored = len(features.values) if isinstance(features, Csr) else 0
    parts: list[NDArray[Any] | None] = (
        [features.indptr, features.indices, features.values]
        if isinstance(features, Csr)
        else [features]
    )
    head = _HEAD.pack(len(batch), batch.columns, stored, _SPARSE if sparse else _DENSE, has)
    return b"".join([head, *(p.tobytes() for p in [*parts, labels, weights] if p is not None)])


def from_bytes(data: bytes) -> Batch:
    """The batch again, sharing the bytes."""
    rows, columns, stored, kind, has = _HEAD.unpack_from(data)
    at = _HEAD.size

    def take(count: int, of: type[np.generic]) -> NDArray[Any]:
        nonlocal at
        found = np.frombuffer(data, of, count, at)
        at += found.nbytes
        return found

    features: NDArray[np.float32] | Csr
    if kind == _SPARSE:
        pointers, indices = take(rows + 1, np.int64), take(stored, np.int64)
        features = Csr(pointers, indices, take(stored, np.float32), columns)
    else:
        features = take(rows * columns, np.float32).reshape(rows, columns)
    labels = take(rows, np.float32) if has & _LABELS else None
    return Batch(features, labels, take(rows, np.float32) if has & _WEIGHTS else None)


def joined(records: Iterable[bytes]) -> Batch:
    """All rows of one or more records, which are of one width and alike labelled."""
    return concatenate([concatenate(piece) for piece in _pieces(map(from_bytes, records))])


def _pieces(batches: Iterator[Batch]) -> Iterator[list[Batch]]:
    """So many at a time, for single rows are many objects."""
    piece: list[Batch] = []
    for batch in batches:
        piece.append(batch)
        if len(piece) == _PIECES:
            yield piece
            piece = []
    if piece:
        yield piece
