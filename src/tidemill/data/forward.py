"""A shard whose bytes come once, from the first to the last: what a pipe can give."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import numpy as np

from tidemill.data.batch import Batch
from tidemill.data.files import WHOLE, block_of, format_of, open_whole
from tidemill.data.shard import LONGEST, PIECE, Bytes, Format, Shard, rows_before, too_long
from tidemill.data.where import Where

FIRST = 64 << 10
"""Bytes of a shard's first buffer: of many small shards none needs a large one."""


class Inflow(Protocol):
    """Bytes that come once."""

    def readinto(self, view: memoryview) -> int:
        """Put the next bytes into the view, at least one; how many, 0 at the end."""
        ...


@dataclass(frozen=True, slots=True)
class ForwardSource:
    """A shard that will come through a pipe.

    name: as errors call it · inflow: its bytes, which come but once · again: the same bytes from
    the first on, for errors that count rows · block: bytes, 0 for ours · is_text: whether JSON
    Lines hold texts with labels, not vectors · format: in place of the media type's own
    """

    name: str
    media: str
    label_size: int
    inflow: Callable[[], Inflow]
    again: Callable[[], Inflow]
    block: int = 0
    is_text: bool = False
    format: Format | None = None

    def open(self, is_random: bool) -> Shard:
        """The shard; what must be there as a whole is first brought to an unnamed file."""
        block = self.block or block_of(self.media)
        if self.format is None and self.media in WHOLE:
            return self._whole(is_random, block)
        format_ = self.format or format_of(self.media, self.label_size, self.is_text)
        return ForwardShard(self.inflow(), self.name, format_, block, self.again)

    def _whole(self, is_random: bool, block: int) -> Shard:
        file = _brought(self.inflow())
        try:
            return open_whole(file, self.name, self.media, self.label_size, is_random, block)
        except BaseException:
            file.close()
            raise


class ForwardShard:
    """Lines or records in the blocks that ``ByteShard`` makes of the same bytes.

    Keeps one block in memory. What lies behind is read again from ``again``, which is slow: only
    errors look back.
    """

    def __init__(
        self, inflow: Inflow, name: str, format_: Format, block: int, again: Callable[[], Inflow]
    ) -> None:
        self.name = name
        self._inflow, self._format, self._block, self._again = inflow, format_, block, again
        self._buffer = np.empty(min(FIRST, block + 1), np.uint8)
        self._at, self._held = 0, 0
        self._is_over = False
        self._token: tuple[int, Any] = 0, None
        self._behind: ForwardShard | None = None

    def cut(self, start: int) -> int:
        if start < self._at:
            return self._look_back().cut(start)
        self._go_to(start)
        size = self._block
        while data := self._ahead(size):
            at_end = self._is_over and len(data) == self._held
            whole, token = self._format.cut(np.frombuffer(data, np.uint8), at_end, self._where())
            if whole:
                self._token = start + whole, token
                return start + whole
            if size >= LONGEST or at_end:
                raise too_long(self.name, start)
            size = min(4 * size, LONGEST)
        return start

    def read(self, start: int, stop: int) -> Batch:
        if start < self._at:
            return self._look_back().read(start, stop)
        data = self._front(start, stop)
        token = self._token[1] if self._token[0] == stop else None
        return self._format.read(data, token, self._where())

    def close(self) -> None:
        """Nothing to give back: the pipe is its owner's."""

    def _front(self, start: int, stop: int) -> Bytes:
        self._go_to(start)
        self._ahead(stop - start)
        return self._buffer[: min(self._held, stop - start)]

    def _ahead(self, size: int) -> memoryview:
        """So many of the bytes that come next, or all; one more is looked at, to see the end."""
        while self._held <= size and not self._is_over:
            if self._held == len(self._buffer):
                self._grow(min(4 * self._held, size + 1))
            got = self._inflow.readinto(self._buffer.data[self._held : size + 1])
            self._held += got
            self._is_over = got == 0
        return self._buffer.data[: min(self._held, size)]

    def _grow(self, size: int) -> None:
        larger = np.empty(size, np.uint8)
        larger[: self._held] = self._buffer
        self._buffer = larger

    def _go_to(self, start: int) -> None:
        """Let go of what lies before ``start``; bytes that were never read come past."""
        while start > self._at + self._held and self._ahead(self._block):
            self._drop(min(self._held, start - self._at))
        self._drop(min(self._held, start - self._at))

    def _drop(self, size: int) -> None:
        rest = self._held - size
        if size:
            self._buffer[:rest] = self._buffer[size : self._held]
        self._at, self._held = self._at + size, rest

    def _where(self) -> Where:
        start = self._at
        return Where(self.name, start, lambda: rows_before(self._look_back(), start))

    def _look_back(self) -> ForwardShard:
        if self._behind is None:
            arguments = self.name, self._format, self._block, self._again
            self._behind = ForwardShard(self._again(), *arguments)
        return self._behind


def _brought(inflow: Inflow) -> BinaryIO:
    """An unnamed file of all the bytes."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the shard closes it
    try:
        piece = memoryview(bytearray(PIECE))
        while got := inflow.readinto(piece):
            file.write(piece[:got])
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
