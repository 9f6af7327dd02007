"""One record of ``aialgs.data``, read exactly: slow, for the odd record and for error messages.

::

    Record  1 features, 2 label: map<string, Value> · 3 uid, 4 metadata, 5 configuration: string
    Value   2 Float32Tensor · 3 Float64Tensor · 7 Int32Tensor · 9 Bytes
    Tensor  1 values · 2 keys · 3 shape, packed or not
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill.data.recordio import varint

FEATURES: Final = 1
LABEL: Final = 2
VALUES: Final = 1
KEYS: Final = 2
SHAPE: Final = 3
FLOAT32: Final = 2
FLOAT64: Final = 3
INT32: Final = 7
DTYPES: Final[dict[int, str]] = {FLOAT32: "<f4", FLOAT64: "<f8", INT32: "<i4"}
"""Field number in Value → the numbers of its tensor."""

VARINT: Final = 0
EIGHT_BYTES: Final = 1
DELIMITED: Final = 2
FOUR_BYTES: Final = 5


class Malformed(Exception):
    """The payload is no protobuf record; the text says why."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """values: float32, float64 or int32 · keys: int64, empty when dense · shape: as written"""

    values: NDArray[Any]
    keys: NDArray[np.int64]
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """features, label: tensors by name (``values`` for vector data; result names in answers)"""

    features: dict[str, Tensor] = field(default_factory=dict)
    label: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """Number, wire type and place of one field: the value's bytes, the tag not included."""

    number: int
    wire: int
    start: int
    stop: int


def fields(data: bytes, start: int, stop: int) -> Iterator[Field]:
    """The fields of one message, in order. Raises Malformed where there is none."""
    at = start
    while at < stop:
        tag, at = _varint(data, at, stop)
        wire, first = tag & 7, at
        if wire == DELIMITED:
            length, first = _varint(data, at, stop)
            at = first + length
        elif wire == VARINT:
            _, at = _varint(data, at, stop)
        elif wire in (FOUR_BYTES, EIGHT_BYTES):
            at += 4 if wire == FOUR_BYTES else 8
        else:
            raise Malformed(f"wire type {wire} at payload byte {at - 1}")
        if at > stop:
            raise Malformed(f"a field of {at - first} bytes where {stop - first} are left")
        yield Field(tag >> 3, wire, first, at)


def parse(payload: bytes) -> Record:
    """The tensors of one record. Raises Malformed."""
    record = Record()
    for top in fields(payload, 0, len(payload)):
        if top.number in (FEATURES, LABEL) and top.wire == DELIMITED:
            name, tensor = _entry(payload, top)
            if tensor is not None:
                (record.features if top.number == FEATURES else record.label)[name] = tensor
    return record


def _entry(data: bytes, entry: Field) -> tuple[str, Tensor | None]:
    name, tensor = "", None
    for part in fields(data, entry.start, entry.stop):
        if part.number == 1 and part.wire == DELIMITED:
            name = data[part.start : part.stop].decode("utf-8", "replace")
        elif part.number == 2 and part.wire == DELIMITED:
            for kind in fields(data, part.start, part.stop):
                if kind.number in DTYPES and kind.wire == DELIMITED:
                    tensor = _tensor(data, kind)
    return name, tensor


def _tensor(data: bytes, tensor: Field) -> Tensor:
    found: dict[int, list[NDArray[Any]]] = {VALUES: [], KEYS: [], SHAPE: []}
    for part in fields(data, tensor.start, tensor.stop):
        if part.number in found:
            dtype = DTYPES[tensor.number] if part.number == VALUES else "<i8"
            raw = data[part.start : part.stop]
            found[part.number].append(_numbers(raw, dtype, part.wire))
    values, keys, shape = (
        np.concatenate(chunks) if chunks else np.empty(0, np.int64) for chunks in found.values()
    )
    return Tensor(values.astype(DTYPES[tensor.number]), keys, tuple(shape.tolist()))


def _numbers(raw: bytes, dtype: str, wire: int) -> NDArray[Any]:
    """Numbers of one field, packed (delimited) or a single one."""
    if dtype in ("<f4", "<f8") and wire != VARINT:
        if len(raw) % int(dtype[2]):
            raise Malformed(f"{len(raw)} bytes of numbers of {dtype[2]} bytes each")
        return np.frombuffer(raw, dtype)
    if dtype in ("<f4", "<f8") or wire not in (VARINT, DELIMITED):
        raise Malformed(f"wire type {wire} for numbers of type {dtype[1:]}")
    values, last = varint.decode(np.frombuffer(raw, np.uint8))
    if len(raw) and (len(last) == 0 or last[-1] != len(raw) - 1):
        raise Malformed("a number cut short")
    return values.astype(dtype)


def _varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    value = 0
    for position in range(at, min(at + varint.LONGEST, stop)):
        byte = data[position]
        value |= (byte & 127) << 7 * (position - at)
        if byte < 128:
            return value, position + 1
    raise Malformed(f"a number cut short at payload byte {at}")
