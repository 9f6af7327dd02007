"""Gzip opened with care: a reader that refuses to grow beyond its limits."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from tidemill.errors import InvalidData

_BLOCK = 1 << 18
# tarfile reads file contents in small pieces but extended headers in one: no honest one is larger.
_LARGEST_READ = 1 << 22
_GZIP = 31


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may grow to. bytes: all files together, unpacked"""

    bytes: int = 16 << 30
    files: int = 10_000


class Inflate(io.RawIOBase):
    """The unpacked bytes of a gzip stream, read forward only.

    Raises InvalidData past ``limits.bytes``, EOFError when the stream ends early.
    """

    def __init__(self, source: BinaryIO, limits: Limits) -> None:
        self._source, self._limit = source, limits.bytes
        self._gzip = zlib.decompressobj(_GZIP)
        self._ready = b""
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """Exactly ``size`` bytes, fewer only at the end."""
        if not 0 <= size <= _LARGEST_READ:
            raise InvalidData(
                f"archive headers of at most {_LARGEST_READ} bytes", got=size, do="Pack it again."
            )
        while len(self._ready) < size and (more := self._inflate()):
            self._ready += more
        piece, self._ready = self._ready[:size], self._ready[size:]
        self._at += len(piece)
        return piece

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Skip forward to an absolute offset."""
        if whence != io.SEEK_SET or offset < self._at:
            raise io.UnsupportedOperation("a gzip stream is read forward")
        while self._at < offset and self.read(min(offset - self._at, _BLOCK)):
            pass
        return self._at

    def _inflate(self) -> bytes:
        while not self._gzip.eof:
            packed = self._gzip.unconsumed_tail or self._source.read(_BLOCK)
            piece = self._gzip.decompress(packed, _BLOCK)
            if not packed and not piece:
                raise EOFError("the gzip stream ends early")
            if piece:
                if self._at + len(self._ready) + len(piece) > self._limit:
                    raise InvalidData(
                        f"an archive of at most {self._limit} bytes", got="more", do="Shrink it."
                    )
                return piece
        return b""
