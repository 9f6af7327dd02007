"""What a replica was told, in the order that it was told: a file that is only ever added to.

A record is ``u32 length · u32 CRC-32 of the rest · u64 id · u8 again``, then the rows (see
``rows``). It is whole or not there: what a killed replica left of a record that it never owned up
to is passed over. A log has one writer, which holds a lock on it, and goes on to another file when
this one is long. No name is used twice.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEAD = struct.Struct("<II")
_KEY = struct.Struct("<QB")
SUFFIX = ".log"


@dataclass(frozen=True, slots=True)
class Record:
    """Feedback that was accepted. id: of it · again: whether another replica may have it, too
    rows: their bytes · end: the offset behind it"""

    id: int
    again: bool
    rows: bytes
    end: int


class Writer:
    """Adds to a log; what ``add`` has returned from survives the process.

    directory: of the logs of all replicas · replica: whose this is · name, size: of its file
    """

    def __init__(self, directory: Path, replica: str) -> None:
        self._directory, self._replica = directory, replica
        directory.mkdir(parents=True, exist_ok=True)
        self._file = -1
        self.turn()

    def turn(self) -> None:
        """Go on to a new file; whatever ends the one before stays there."""
        self.close()
        self.name = f"{self._replica}.{time.time_ns():020d}"
        path = path_of(self._directory, self.name)
        draft = path.with_suffix(".draft")  # nobody may find it before it is locked
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self._file = os.open(draft, flags, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(path)
        self.size = 0

    def add(self, id: int, again: bool, rows: bytes) -> None:
        """Write a record down. Raises OSError, and then nothing of it counts."""
        payload = _KEY.pack(id, again) + rows
        data = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            if os.write(self._file, data) != len(data):
                raise OSError("the disk took only a part")
        except OSError:
            self.turn()
            raise
        self.size += len(data)

    def close(self) -> None:
        """Leave the file to whoever learns from it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def path_of(directory: Path, name: str) -> Path:
    return directory / f"{name}{SUFFIX}"


def names(directory: Path) -> list[str]:
    """Of all logs, in the order in which they are learned from."""
    return sorted(p.name.removesuffix(SUFFIX) for p in directory.glob(f"*{SUFFIX}"))


def read(path: Path, start: int, most: int) -> Iterator[Record]:
    """Whole records from an offset on, up to about ``most`` bytes, but one at least."""
    with path.open("rb") as file:
        file.seek(start)
        end = start
        while end - start < most:
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return
            length, check = _HEAD.unpack(head)
            payload = file.read(length)
            if len(payload) < length or length < _KEY.size or zlib.crc32(payload) != check:
                return
            end += _HEAD.size + length
            id, again = _KEY.unpack_from(payload)
            yield Record(id, bool(again), payload[_KEY.size :], end)
