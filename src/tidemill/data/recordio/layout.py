"""The layout of a record as steps, and all records of that layout read in step with each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.data.recordio import varint
from tidemill.data.recordio.record import (
    DELIMITED,
    DTYPES,
    FEATURES,
    KEYS,
    LABEL,
    SHAPE,
    VALUES,
    Field,
    fields,
)

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Slot(NamedTuple):
    """Numbers that a batch is made of. map: FEATURES or LABEL · kind: of tensor · part: of it"""

    map: int
    kind: int
    part: int


@dataclass(frozen=True, slots=True)
class Literal:
    """These very bytes."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Open:
    """The length of a message whose steps follow, up to its Close."""


@dataclass(frozen=True, slots=True)
class Close:
    """Here the innermost open message must end."""


@dataclass(frozen=True, slots=True)
class Span:
    """A length and so many bytes, kept under a slot or passed over."""

    slot: Slot | None


Step = Literal | Open | Close | Span
Spans = dict[Slot, tuple[Integers, Integers]]


class Odd(Exception):
    """This record's layout is beyond steps (unpacked numbers, parts twice): read it exactly."""


def steps_of(payload: bytes) -> list[Step]:
    """The steps that read this record, and others like it. Raises Odd or Malformed."""
    steps: list[Step] = []
    seen: set[Slot | int] = set()
    at = 0
    for top in fields(payload, 0, len(payload)):
        _tag(payload, at, top, steps)
        if top.number in (FEATURES, LABEL):
            steps.append(Open())
            _entry(payload, top, steps, seen)
            steps.append(Close())
        else:
            steps.append(Span(None))
        at = top.stop
    return steps


def _entry(data: bytes, entry: Field, steps: list[Step], seen: set[Slot | int]) -> None:
    name, at = b"", entry.start
    for part in fields(data, entry.start, entry.stop):
        if part.number == 1:
            name = data[part.start : part.stop]
            steps.append(Literal(data[at : part.stop]))
        else:
            _tag(data, at, part, steps)
            if name == b"values" and part.number == 2:
                _once(entry.number, seen)
                steps.append(Open())
                _value(data, part, entry.number, steps, seen)
                steps.append(Close())
            elif name:
                steps.append(Span(None))
            else:  # the value stands before its name
                raise Odd
        at = part.stop


def _value(data: bytes, value: Field, map_: int, steps: list[Step], seen: set[Slot | int]) -> None:
    at = value.start
    for kind in fields(data, value.start, value.stop):
        _tag(data, at, kind, steps)
        if kind.number not in DTYPES:
            steps.append(Span(None))
        else:
            _once(100 + map_, seen)
            steps.append(Open())
            _tensor(data, kind, map_, steps, seen)
            steps.append(Close())
        at = kind.stop


def _tensor(data: bytes, kind: Field, map_: int, steps: list[Step], seen: set[Slot | int]) -> None:
    at = kind.start
    for part in fields(data, kind.start, kind.stop):
        if part.number not in (VALUES, KEYS, SHAPE):
            raise Odd
        _tag(data, at, part, steps)
        slot = Slot(map_, kind.number, part.number)
        _once(slot, seen)
        steps.append(Span(slot))
        at = part.stop


def _tag(data: bytes, at: int, field: Field, steps: list[Step]) -> None:
    """The tag alone, which stands before the length."""
    if field.wire != DELIMITED:
        raise Odd
    end = at + 1
    while data[end - 1] > 127:
        end += 1
    steps.append(Literal(data[at:end]))


def _once(thing: Slot | int, seen: set[Slot | int]) -> None:
    if thing in seen:
        raise Odd
    seen.add(thing)


def read(
    data: Bytes, starts: Integers, lengths: Integers, steps: list[Step]
) -> tuple[Flags, Spans]:
    """Follow the steps through many records at once: (which of them fit, their spans).

    Spans hold first and past-the-last byte of every record, also of those that do not fit.
    """
    at = starts
    fits = np.ones(len(starts), np.bool_)
    ends: list[Integers] = [starts + lengths]
    spans: Spans = {}
    for step in steps:
        if isinstance(step, Literal):
            for byte in step.text:
                fits &= data.take(at, mode="clip") == byte
                at = at + 1
        elif isinstance(step, Close):
            fits &= at == ends.pop()
        else:
            length, at, sane = varint.read_at(data, at)
            end = at + length
            fits &= sane & (end <= ends[-1])
            if isinstance(step, Open):
                ends.append(end)
            else:
                if step.slot is not None:
                    spans[step.slot] = at, end
                at = end
    fits &= at == ends.pop()
    return fits, spans
