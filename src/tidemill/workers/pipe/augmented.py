"""An augmented manifest: JSON Lines, of which the named attributes go through the pipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tidemill.data import lines
from tidemill.data.shard import LONGEST, too_long
from tidemill.data.where import Where
from tidemill.errors import InvalidData, TidemillError
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets
from tidemill.storage.errors import InvalidUri
from tidemill.workers.pipe.segment import Object, Piece, framed

BLOCK = 4 << 20
"""Bytes of the manifest that are looked at in one go."""
REFERENCE = "-ref"
"""Ends the names of attributes whose value is the S3 URI of an object, which is sent instead."""


@dataclass(frozen=True, slots=True)
class Value:
    """An attribute's value as such. name: as errors call it"""

    name: str
    data: bytes

    def pieces(self) -> Iterator[Piece]:
        yield self.data

    def frame(self) -> Iterator[Piece]:
        """The value as one RecordIO record."""
        return framed(self.data, len(self.data), self.name)


class Manifest:
    """The lines of an augmented manifest, found at once, read when their turn comes.

    Memory: 16 bytes a line.

    attributes: in the order in which each line's are sent, matched with regard to case
    is_compressed: whether the objects that are referred to are gzip
    """

    def __init__(
        self, path: Path, attributes: Sequence[str], buckets: Buckets, is_compressed: bool
    ) -> None:
        self._path, self._attributes = path, attributes
        self._locate: Callable[[str], Path] = lambda text: buckets.path(*uri.parse(text))
        self._is_compressed = is_compressed
        self._bounds = _bounds(path)

    def __len__(self) -> int:
        return len(self._bounds)

    def values(self, order: Iterable[int]) -> Iterator[Object | Value]:
        """The attributes of these lines, counted from 0 without the blank ones."""
        with self._path.open("rb") as file:
            for line in order:
                start, stop = self._bounds[line].tolist()
                text = os.pread(file.fileno(), stop - start, start)
                yield from self._attributes_of(text, f"{self._path.name}, line {line + 1}")

    def value(self, number: int) -> Object | Value:
        """The values of all lines, counted through."""
        line, attribute = divmod(number, len(self._attributes))
        return list(self.values([line]))[attribute]

    def _attributes_of(self, text: bytes, name: str) -> Iterator[Object | Value]:
        found = _parsed(text, name)
        for attribute in self._attributes:
            if attribute not in found:
                raise InvalidData(
                    f"{name}: must have the attribute {attribute!r}, as AttributeNames says",
                    got=sorted(found),
                    do="Correct the line or AttributeNames, which tells upper from lower case.",
                )
            yield self._value(found[attribute], attribute, f"{name}, {attribute}")

    def _value(self, value: Any, attribute: str, name: str) -> Object | Value:
        if not attribute.endswith(REFERENCE):
            data = value.encode() if isinstance(value, str) else orjson.dumps(value)
            return Value(name, data)
        try:
            if not isinstance(value, str):
                raise InvalidUri("an S3 URI", got=value, do="Write s3://BUCKET/KEY.")
            return Object(self._locate(value), f"{value} ({name})", self._is_compressed)
        except TidemillError as error:
            raise InvalidData(
                f"{name}: must be the S3 URI of an object that is there ({error.wanted})",
                got=value,
                do="Correct the line, or upload the object.",
            ) from error


def _parsed(text: bytes, name: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidData(
            f"{name}: must be a JSON object", got=str(error), do="Write one object a line."
        ) from None
    if not isinstance(found, dict):
        raise InvalidData(
            f"{name}: must be a JSON object", got=found, do="Write one object a line."
        )
    return found


def _bounds(path: Path) -> NDArray[np.int64]:
    """(lines, 2) first byte and end of every line that is not blank."""
    found: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    where, at, rest = Where(path.name), 0, b""
    with path.open("rb") as file:
        while data := rest + file.read(BLOCK):
            at_end = len(data) - len(rest) < BLOCK
            whole, _ = lines.cut(np.frombuffer(data, np.uint8), at_end, where)
            found.append(_lines(np.frombuffer(data[:whole], np.uint8)) + at)
            at, rest = at + whole, data[whole:]
            if at_end:
                break
            if len(rest) > LONGEST:
                raise too_long(path.name, at)
    return np.concatenate(found)


def _lines(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The same of whole lines."""
    ends = np.flatnonzero(data == lines.NEWLINE) + 1
    if len(data) and (len(ends) == 0 or ends[-1] < len(data)):
        ends = np.append(ends, len(data))
    bounds = np.column_stack([np.concatenate([[0], ends[:-1]])[: len(ends)], ends])
    if len(bounds) == 0:
        return bounds.astype(np.int64)
    is_ink = np.isin(data, np.frombuffer(b" \t\r\n", np.uint8), invert=True)
    return bounds[np.add.reduceat(is_ink, bounds[:, 0]) > 0].astype(np.int64)
