"""From the places of numbers in many records to arrays: dense rows, sparse rows, labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Csr, Floats, floats, pointers, spread
from tidemill.data.recordio import varint
from tidemill.data.recordio.layout import Slot, Spans
from tidemill.data.recordio.record import DTYPES, FEATURES, INT32, KEYS, SHAPE, VALUES

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

WIDEST = 2**31 - 1
"""Columns that a sparse shape may claim."""


class Fault(Exception):
    """Record ``index`` (of those given) is not what it must be: wanted, got, do."""

    def __init__(self, index: int, wanted: str, *, got: object, do: str) -> None:
        super().__init__(wanted)
        self.index = index
        self.wanted = wanted
        self.got = got
        self.do = do


@dataclass(frozen=True, slots=True)
class Ragged:
    """Numbers of many records: record i has ``values[bounds[i]:bounds[i + 1]]``."""

    values: NDArray[Any]
    bounds: Integers

    @property
    def lengths(self) -> Integers:
        return np.diff(self.bounds)

    def table(self, what: str) -> NDArray[Any]:
        """(records, width), where all have as many numbers as the first."""
        lengths = self.lengths
        odd = np.flatnonzero(lengths != lengths[0])
        if len(odd):
            raise Fault(
                int(odd[0]),
                f"{what} must have {lengths[0]} numbers, as in the records before",
                got=int(lengths[odd[0]]),
                do="Give every record of the channel the same number of values.",
            )
        return self.values.reshape(len(lengths), -1)


def features(data: Bytes, spans: Spans, rows: int) -> Floats | Csr:
    """The features of records of one layout. Raises Fault."""
    kind = _kind(spans, FEATURES)
    if kind is None:
        raise Fault(
            0,
            'a record must have features["values"], a Float32, Float64 or Int32 tensor',
            got="none",
            do="Write vector data under the name 'values'.",
        )
    values = numbers(data, spans, Slot(FEATURES, kind, VALUES), rows)
    is_sparse = Slot(FEATURES, kind, KEYS) in spans or (
        len(values.values) == 0 and Slot(FEATURES, kind, SHAPE) in spans
    )
    if not is_sparse:
        table = values.table('features["values"]')
        if table.shape[1] == 0:
            raise Fault(
                0,
                'features["values"] must hold at least one number',
                got=0,
                do="Write the row's values, or keys and shape for a row of zeros.",
            )
        return floats(table)
    keys = numbers(data, spans, Slot(FEATURES, kind, KEYS), rows)
    shape = numbers(data, spans, Slot(FEATURES, kind, SHAPE), rows)
    return sparse(values, keys, shape)


def sparse(values: Ragged, keys: Ragged, shape: Ragged) -> Csr:
    """Sparse rows; a key counts in row-major order when a shape has several dimensions."""
    uneven = np.flatnonzero(values.bounds != keys.bounds)
    if len(uneven):
        index = int(uneven[0]) - 1
        raise Fault(
            index,
            f"a sparse record must have a key for each of its {values.lengths[index]} values",
            got=int(keys.lengths[index]),
            do="Write keys and values of equal length.",
        )
    columns = _columns(shape)
    outside = np.flatnonzero((keys.values < 0) | (keys.values >= columns))
    if len(outside):
        raise Fault(
            int(np.searchsorted(keys.bounds, outside[0], side="right")) - 1,
            f"keys must be from 0 to {columns - 1}, below the shape",
            got=int(keys.values[outside[0]]),
            do="Count keys from 0, and give the shape the full number of columns.",
        )
    return Csr(keys.bounds, keys.values, floats(values.values), columns)


def labels(data: Bytes, spans: Spans, rows: int) -> Floats | None:
    """(rows, width) labels of records of one layout, or None. Raises Fault."""
    kind = next((slot.kind for slot in spans if slot.map != FEATURES), None)
    if kind is None:
        return None
    map_ = next(slot.map for slot in spans if slot.map != FEATURES)
    table = numbers(data, spans, Slot(map_, kind, VALUES), rows).table('label["values"]')
    return floats(table)


def numbers(data: Bytes, spans: Spans, slot: Slot, rows: int) -> Ragged:
    """The numbers of one slot; none for every record when the layout lacks it."""
    dtype = np.dtype(DTYPES[slot.kind] if slot.part == VALUES else "<i8")
    if slot not in spans:
        return Ragged(np.empty(0, dtype), np.zeros(rows + 1, np.int64))
    starts, ends = spans[slot]
    if slot.part == VALUES and slot.kind != INT32:
        return _fixed(data, starts, ends - starts, dtype)
    return _variable(data, starts, ends - starts, dtype)


def _fixed(data: Bytes, starts: Integers, lengths: Integers, dtype: np.dtype[Any]) -> Ragged:
    size = dtype.itemsize
    uneven = np.flatnonzero(lengths % size)
    if len(uneven):
        raise Fault(
            int(uneven[0]),
            f"the bytes of packed numbers must be a multiple of {size}",
            got=int(lengths[uneven[0]]),
            do="Write the record again.",
        )
    counts = lengths // size
    if len(lengths) and lengths[0] and np.all(lengths == lengths[0]):
        row = np.dtype((np.void, int(lengths[0])))
        rows = np.ndarray((len(data) - row.itemsize + 1,), row, data, strides=(1,))[starts]
        return Ragged(rows.view(dtype), pointers(counts))
    shifted = np.ndarray((max(0, len(data) - size + 1),), dtype, data, strides=(1,))
    bounds = pointers(counts)
    places = np.repeat(starts - bounds[:-1] * size, counts)
    places += np.arange(0, bounds[-1] * size, size)
    return Ragged(shifted[places], bounds)


def _variable(data: Bytes, starts: Integers, lengths: Integers, dtype: np.dtype[Any]) -> Ragged:
    text = data.take(spread(starts, lengths))
    if len(text) == 0:
        return Ragged(np.empty(0, dtype), np.zeros(len(starts) + 1, np.int64))
    values, last = varint.decode(text)
    ends = np.cumsum(lengths)
    bounds = np.concatenate(([0], np.searchsorted(last, ends)))
    cut = np.flatnonzero((lengths > 0) & (text.take(ends - 1, mode="clip") > 127))
    if len(cut):
        raise Fault(
            int(cut[0]),
            "the last number of a packed field must be whole",
            got=f"a number that goes on after the field's {lengths[cut[0]]} bytes",
            do="Write the record again.",
        )
    return Ragged(values.astype(dtype, copy=False), bounds)


def _columns(shape: Ragged) -> int:
    """The width that all sparse records claim."""
    lengths = shape.lengths
    lacking = np.flatnonzero(lengths == 0)
    if len(lacking):
        raise Fault(
            int(lacking[0]),
            "a sparse record must have a shape",
            got="none",
            do="Write the number of columns as its shape.",
        )
    widths = np.multiply.reduceat(shape.values.astype(np.float64), shape.bounds[:-1])
    wrong = np.flatnonzero((widths < 1) | (widths > WIDEST))
    if len(wrong):
        raise Fault(
            int(wrong[0]),
            f"a sparse record's shape must have from 1 to {WIDEST} columns",
            got=widths[wrong[0]].item(),
            do="Write the number of columns as its shape.",
        )
    odd = np.flatnonzero(widths != widths[0])
    if len(odd):
        raise Fault(
            int(odd[0]),
            f"a sparse record's shape must have {widths[0]:.0f} columns, as in the records before",
            got=int(widths[odd[0]]),
            do="Give every record of the channel the same shape.",
        )
    return int(widths[0])


def _kind(spans: Spans, map_: int) -> int | None:
    return next((slot.kind for slot in spans if slot.map == map_), None)
