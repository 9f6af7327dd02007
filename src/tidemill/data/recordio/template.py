"""Dense records that differ in their numbers only: found once, then copied as strided arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Batch, Floats, floats
from tidemill.data.recordio import layout
from tidemill.data.recordio.frames import HEADER, MAGIC
from tidemill.data.recordio.record import (
    DTYPES,
    FEATURES,
    INT32,
    LABEL,
    SHAPE,
    VALUES,
    Malformed,
)

Bytes = NDArray[np.uint8]

_HEAD = MAGIC.to_bytes(4, "little")
_KNOWN: dict[int, Template] = {}
"""Templates by size of payload, so that small requests are not analysed each time."""
_MOST = 256


@dataclass(frozen=True, slots=True)
class Place:
    """Where the numbers of a tensor lie in a payload."""

    map: int
    begin: int
    end: int
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Template:
    """A payload's places of numbers, and the bytes around: (first byte, past the last, text)."""

    places: tuple[Place, ...]
    fixed: tuple[tuple[int, int, bytes], ...]

    def fits(self, payload: bytes) -> bool:
        """Whether a payload of the same size is alike but for its numbers."""
        return all(payload[begin:end] == text for begin, end, text in self.fixed)


def template_of(payload: bytes) -> Template | None:
    """The template of a dense record of floats; None for any other."""
    known = _KNOWN.get(len(payload))
    if known is not None and known.fits(payload):
        return known
    found = _analysed(payload)
    if found is not None:
        if len(_KNOWN) >= _MOST:
            _KNOWN.clear()
        _KNOWN[len(payload)] = found
    return found


def _analysed(payload: bytes) -> Template | None:
    try:
        steps = layout.steps_of(payload)
    except (layout.Odd, Malformed):
        return None
    size = np.array([len(payload)])
    fits, spans = layout.read(np.frombuffer(payload, np.uint8), np.zeros(1, np.int64), size, steps)
    places = sorted(
        (
            Place(slot.map, int(begin[0]), int(end[0]), np.dtype(DTYPES[slot.kind]))
            for slot, (begin, end) in spans.items()
            if slot.part == VALUES and slot.kind != INT32
        ),
        key=lambda place: place.begin,
    )
    is_plain = all(s.part == SHAPE or (s.part == VALUES and s.kind != INT32) for s in spans)
    is_whole = all((p.end - p.begin) % p.dtype.itemsize == 0 for p in places)
    has_features = any(p.map == FEATURES and p.end > p.begin for p in places)
    if not (fits[0] and is_plain and is_whole and has_features):
        return None
    return Template(tuple(places), tuple(_between(payload, places)))


def _between(payload: bytes, places: list[Place]) -> Iterator[tuple[int, int, bytes]]:
    """What is not numbers."""
    at = 0
    for place in places:
        yield at, place.begin, payload[at : place.begin]
        at = place.end
    yield at, len(payload), payload[at:]


def decode_one(body: bytes | bytearray | memoryview) -> Batch | None:
    """The row of a body that is one dense record, quickly; None when it is anything else."""
    length = int.from_bytes(body[4:8], "little")
    if body[:4] != _HEAD or HEADER + (length + 3 & ~3) != len(body):
        return None
    template = template_of(bytes(body[HEADER : HEADER + length]))
    if template is None:
        return None
    arrays: dict[int, Floats] = {}
    for place in template.places:
        count = (place.end - place.begin) // place.dtype.itemsize
        row = np.frombuffer(body, place.dtype, count, HEADER + place.begin)
        arrays[place.map] = floats(row)[None, :]
    return _batch(arrays)


def decode_table(data: Bytes, rows: int, stride: int, size: int) -> Batch | None:
    """The rows of frames ``stride`` bytes apart with payloads of one size; None if they vary."""
    template = template_of(data[HEADER : HEADER + size].tobytes())
    if template is None:
        return None
    table = data[: rows * stride].reshape(rows, stride)
    for begin, end, text in template.fixed:
        wanted = np.frombuffer(text, np.uint8)
        if not np.all(table[:, HEADER + begin : HEADER + end] == wanted):
            return None
    return _batch({p.map: _column(data, rows, stride, p) for p in template.places})


def _column(data: Bytes, rows: int, stride: int, place: Place) -> Floats:
    """One tensor of every record: its bytes are copied whole, whatever their alignment."""
    size = place.end - place.begin
    out = np.empty((rows, size // place.dtype.itemsize), place.dtype)
    if size:
        row = np.dtype((np.void, size))
        held = np.ndarray((rows,), row, data, HEADER + place.begin, (stride,))
        np.copyto(out.view(row)[:, 0], held)
    return floats(out)


def _batch(arrays: dict[int, Floats]) -> Batch:
    labels = arrays.get(LABEL)
    if labels is not None and labels.shape[1] == 1:
        labels = labels[:, 0]
    return Batch(arrays[FEATURES], labels)
