"""A file that is still being written: bytes stream in, digests fall out, then it is kept or not."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tidemill.storage.checksum import Checksum, checksum

BLOCK = 1 << 20
_WORTH_A_THREAD = 256 << 10
_HASHERS = ThreadPoolExecutor(os.cpu_count(), "md5")


class Draft:
    """Memory does not grow with what is written. While it is open its file is locked, so that
    whoever sweeps up after dead processes leaves it alone. As a context it discards itself
    unless it was kept.
    """

    def __init__(self, path: Path, algorithms: Iterable[str] = ()) -> None:
        self.path = path
        self.size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._hashing: Future[None] | None = None
        self._checksums: dict[str, Checksum] = {name: checksum(name) for name in algorithms}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def md5(self) -> bytes:
        """The digest of all bytes so far."""
        self._wait()
        return self._md5.digest()

    @property
    def checksums(self) -> dict[str, bytes]:
        """Algorithm → digest of all bytes so far."""
        return {name: one.digest() for name, one in self._checksums.items()}

    def write(self, data: bytes) -> None:
        """Append. MD5 is by far the slowest of what is done here, so it runs beside the rest."""
        self._wait()
        if len(data) >= _WORTH_A_THREAD:
            self._hashing = _HASHERS.submit(self._md5.update, data)
        else:
            self._md5.update(data)
        for one in self._checksums.values():
            one.update(data)
        self.size += len(data)
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]

    def _wait(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None

    def copy(self, source: int, start: int, stop: int) -> None:
        """Append bytes start … stop of an open file."""
        while start < stop:
            block = os.pread(source, min(BLOCK, stop - start), start)
            if not block:
                raise OSError("the file became shorter while it was read")
            self.write(block)
            start += len(block)

    def append(self, source: Path) -> None:
        """Append a whole file without looking at its bytes: neither digest sees them."""
        with source.open("rb") as file:
            left = os.fstat(file.fileno()).st_size
            self.size += left
            while left:
                left -= _move(file.fileno(), self._file, left)

    def sync(self) -> None:
        """Wait until the bytes would outlive a power cut."""
        os.fsync(self._file)

    def stamp(self, at: int) -> int:
        """Set the modification time (ns), and tell what the file system made of it."""
        os.utime(self._file, ns=(at, at))
        return os.fstat(self._file).st_mtime_ns

    def keep(self, path: Path) -> None:
        """Rename it into place: from one moment to the next, whoever opens ``path`` gets it."""
        self.path.replace(path)
        self.path = path
        os.close(self._file)
        self._file = -1

    def discard(self) -> None:
        """Forget it; harmless after ``keep``."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            with suppress(FileNotFoundError):
                self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()


def is_abandoned(path: Path) -> bool:
    """Whether the process that wrote this draft has died (or never locked it)."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(file)
    return True


def _move(source: int, target: int, size: int) -> int:
    """Copy inside the kernel, which may share blocks instead; else by hand."""
    try:
        moved = os.copy_file_range(source, target, size)
    except OSError:
        moved = os.write(target, os.read(source, min(size, BLOCK)))
    if not moved:
        raise OSError("the file became shorter while it was read")
    return moved
