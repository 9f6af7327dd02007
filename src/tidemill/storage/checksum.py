"""The checksums that S3 clients send with their bytes, computed as the bytes stream by."""

from __future__ import annotations

import hashlib
import importlib
import zlib
from typing import TYPE_CHECKING, Protocol

from tidemill.storage.errors import UnknownAlgorithm

if TYPE_CHECKING:
    from tidemill.storage.crc import Crc

HASHES = ("md5", "sha1", "sha256", "sha512")
CRCS = ("crc32", "crc32c", "crc64nvme")
ALGORITHMS = (*CRCS, *HASHES)


class Checksum(Protocol):
    """What hashlib's objects do."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Running:
    def __init__(self, crc: Crc) -> None:
        self._crc = crc
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._crc.of(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._crc.bits // 8, "big")


class _Zlib:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def checksum(algorithm: str) -> Checksum:
    """A fresh running checksum; raises UnknownAlgorithm.

    >>> one = checksum("crc32c")
    >>> one.update(b"123456789")
    >>> one.digest().hex()
    'e3069283'
    """
    if algorithm == "crc32":
        return _Zlib()
    if algorithm in CRCS:
        return _Running(_crc(algorithm))
    if algorithm in HASHES:
        return hashlib.new(algorithm, usedforsecurity=False)
    raise UnknownAlgorithm(
        f"a checksum among {', '.join(ALGORITHMS)}", got=algorithm, do="Ask for another one."
    )


def combined(algorithm: str, parts: list[tuple[bytes, int]]) -> bytes:
    """The CRC of a whole from the (CRC, size) of its parts, without reading it again."""
    crc, whole = _crc(algorithm), 0
    for digest, size in parts:
        whole = crc.join(whole, int.from_bytes(digest, "big"), size)
    return whole.to_bytes(crc.bits // 8, "big")


def composite(algorithm: str, parts: list[bytes]) -> bytes:
    """The checksum of the parts' checksums."""
    one = checksum(algorithm)
    one.update(b"".join(parts))
    return one.digest()


def _crc(algorithm: str) -> Crc:
    # At first use: it takes NumPy along, and most clients send zlib's CRC or a hash.
    found: Crc = getattr(importlib.import_module("tidemill.storage.crc"), algorithm.upper())
    return found
