"""What goes through a pipe: segments, one after the other, each a few pieces of bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from tidemill.data.recordio.frames import HEADER, LENGTH, MAGIC
from tidemill.data.shard import gunzip, open_bytes
from tidemill.errors import InvalidData, NotFound

Piece = bytes | BinaryIO
"""Bytes, or an open file of which all is meant, from its first byte to the last."""


class Segment(Protocol):
    """A part of what comes through a pipe, such as an object; read to its end, then the next.

    name: as errors call it
    """

    @property
    def name(self) -> str: ...
    def pieces(self) -> Iterator[Piece]:
        """All bytes, again from the first at every call; a file is closed when the next is asked
        for. Raises InvalidData and NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class Object:
    """An object's bytes. name: as errors call it · is_compressed: gzip; plain bytes come out"""

    path: Path
    name: str
    is_compressed: bool = False

    def pieces(self) -> Iterator[Piece]:
        try:
            if self.is_compressed:
                yield from gunzip(self.path)
            else:
                with self.path.open("rb") as file:
                    yield file
        except OSError as error:
            raise unreadable(self.name, error) from error

    def frame(self) -> Iterator[Piece]:
        """The bytes as one RecordIO record."""
        try:
            with open_bytes(self.path, self.is_compressed) as file:
                yield from framed(file, os.fstat(file.fileno()).st_size, self.name)
        except OSError as error:
            raise unreadable(self.name, error) from error


@dataclass(frozen=True, slots=True)
class Series:
    """Many things as one segment. make: their pieces, from the first at every call"""

    name: str
    make: Callable[[], Iterable[Piece]]

    def pieces(self) -> Iterator[Piece]:
        yield from self.make()


def framed(payload: Piece, size: int, name: str) -> Iterator[Piece]:
    """A payload of so many bytes as one RecordIO record.

    >>> b"".join(framed(b"five!", 5, "it")).hex(" ", 4)
    '0a23d7ce 05000000 66697665 21000000'
    """
    if size > LENGTH:
        raise InvalidData(
            f"{name}: a RecordIO record must have at most {LENGTH} bytes",
            got=size,
            do="Store the data as records already, and leave RecordWrapperType out.",
        )
    yield MAGIC.to_bytes(HEADER // 2, "little") + size.to_bytes(HEADER // 2, "little")
    yield payload
    if padding := -size % 4:
        yield bytes(padding)


def unreadable(name: str, error: object) -> NotFound:
    """The error for an object that cannot be read, in SageMaker's words."""
    return NotFound(
        f"Data download failed:a readable object {name}",
        got=str(error),
        do="Upload it again, or take it out of the channel.",
    )


class Replay:
    """The bytes of a segment without a pipe: a ``data.forward.Inflow``."""

    def __init__(self, segment: Segment) -> None:
        self._pieces = segment.pieces()
        self._piece: Piece = b""
        self._at = 0

    def readinto(self, view: memoryview) -> int:
        while not (got := self._part(view)):
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._piece, self._at = piece, 0
        self._at += got
        return got

    def _part(self, view: memoryview) -> int:
        if not isinstance(self._piece, bytes):
            return os.preadv(self._piece.fileno(), [view], self._at)
        part = self._piece[self._at : self._at + len(view)]
        view[: len(part)] = part
        return len(part)
