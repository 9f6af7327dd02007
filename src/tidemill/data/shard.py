"""One piece of a channel, read a block at a time from any block's beginning."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Batch
from tidemill.data.where import Where
from tidemill.errors import InvalidData

Bytes = NDArray[np.uint8]

PIECE = 2 << 20
"""Bytes that are uncompressed in one go."""
LONGEST = 64 << 20
"""Bytes of the longest line or record."""


class Shard(Protocol):
    """Blocks of rows: cut from 0 on, each where the last one ended, until one is empty."""

    name: str

    def cut(self, start: int) -> int:
        """Where the block that begins at ``start`` ends; ``start`` itself at the shard's end."""
        ...

    def read(self, start: int, stop: int) -> Batch:
        """The rows of one block."""
        ...

    def close(self) -> None: ...


Cut = Callable[[Bytes, bool, Where], tuple[int, Any]]
"""(buffer, whether the data ends there, where) → (bytes of whole rows, what reading may reuse)"""
Read = Callable[[Bytes, Any, Where], Batch]
"""(bytes of whole rows, what the cut found or None, where) → rows"""


@dataclass(frozen=True, slots=True)
class Format:
    """How the bytes of one content type are cut into blocks and read."""

    cut: Cut
    read: Read


class ByteShard:
    """A file of lines or records. Keeps one block's bytes in memory.

    block: bytes of a block, unless a line or record alone is longer
    """

    def __init__(self, file: BinaryIO, name: str, format_: Format, block: int) -> None:
        self.name = name
        self._file = file
        self._format = format_
        self._block = block
        self._size = os.fstat(file.fileno()).st_size
        self._buffer = np.empty(0, np.uint8)
        self._held = (0, 0)
        self._token: Any = None

    def cut(self, start: int) -> int:
        size = self._block
        while start < self._size:
            data = self._load(start, min(self._size, start + size))
            at_end = start + len(data) >= self._size
            whole, self._token = self._format.cut(data, at_end, self._where(start))
            if whole:
                self._held = (start, start + whole)
                return start + whole
            if size >= LONGEST or at_end:
                raise too_long(self.name, start)
            size = min(4 * size, LONGEST)
        return start

    def read(self, start: int, stop: int) -> Batch:
        if self._held != (start, stop):
            self._load(start, stop)
            self._held, self._token = (start, stop), None
        return self._format.read(self._buffer[: stop - start], self._token, self._where(start))

    def close(self) -> None:
        self._file.close()

    def _load(self, start: int, stop: int) -> Bytes:
        """The file's bytes from start to stop, in the one buffer."""
        if len(self._buffer) < stop - start:
            self._buffer = np.empty(stop - start, np.uint8)
        self._held = (0, 0)
        view, done = self._buffer.data[: stop - start], 0
        while done < len(view):
            got = os.preadv(self._file.fileno(), [view[done:]], start + done)
            if got == 0:
                raise InvalidData(
                    f"{self.name}: must keep its {self._size} bytes while it is read",
                    got=f"an end at byte {start + done}",
                    do="Do not change a channel's files while a job reads them.",
                )
            done += got
        return self._buffer[: stop - start]

    def _where(self, start: int) -> Where:
        return Where(self.name, start, lambda: self._rows_before(start))

    def _rows_before(self, start: int) -> int:
        """Count the rows up to a block, by reading them again."""
        again = ByteShard(self._file, self.name, self._format, self._block)
        return rows_before(again, start)


def too_long(name: str, start: int) -> InvalidData:
    """The error for a line or record at byte ``start`` of which no end is found."""
    return InvalidData(
        f"{name}: a line or record must be shorter than {LONGEST} bytes",
        got=f"no end of it after byte {start}",
        do="Check the content type.",
    )


def rows_before(shard: Shard, start: int) -> int:
    """Rows of a shard before the block at ``start``, by reading them."""
    rows = at = 0
    while at < start and (stop := min(start, shard.cut(at))) > at:
        rows, at = rows + len(shard.read(at, stop)), stop
    return rows


def open_bytes(path: Path, is_compressed: bool) -> BinaryIO:
    """A file to read at any place: itself, or an unnamed file of its uncompressed bytes."""
    if not is_compressed:
        return path.open("rb")
    plain = tempfile.TemporaryFile()  # noqa: SIM115 - the shard closes it
    try:
        plain.writelines(gunzip(path))
        plain.seek(0)
    except BaseException:
        plain.close()
        raise
    return plain


def gunzip(path: Path) -> Iterator[bytes]:
    """A gzip file's uncompressed bytes, some megabytes at a time. Raises InvalidData."""
    try:
        with gzip.open(path) as packed:
            while piece := packed.read(PIECE):
                yield piece
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidData(
            f"{path.name}: must be gzip-compressed, as the channel's CompressionType says",
            got=str(error),
            do="Compress the file, or leave CompressionType out; write it again if damaged.",
        ) from None
