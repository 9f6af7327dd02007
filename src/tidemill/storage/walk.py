"""The keys of a bucket in S3's order, that of their UTF-8 bytes, read from its directories.

A directory sorts as its name and a slash, so a walk in depth meets the keys in order, holding only
the names of the directories that it stands in; a prefix or a floor keeps it out of all others.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tidemill.storage import keys
from tidemill.storage.layout import Layout


class Found(NamedTuple):
    """A key and the file that holds it."""

    key: str
    path: bytes


class _Entry(NamedTuple):
    label: bytes  # what it adds to the key; a directory's ends in a slash, or the name goes on
    path: bytes
    is_file: bool


_Read = Callable[[bytes], Iterable[_Entry]]


class Walk:
    """Iterate it for the keys that begin with ``prefix`` and are not below ``floor``; raise
    ``floor`` on the way to leap.
    """

    def __init__(self, layout: Layout, bucket: str, prefix: str = "", floor: bytes = b"") -> None:
        self.floor = floor
        self._prefix = prefix.encode()
        self._plain = os.fsencode(layout.bucket(bucket))
        self._odd = os.fsencode(layout.odd(bucket))

    def __iter__(self) -> Iterator[Found]:
        last = b""
        for raw, path in heapq.merge(self._tree(self._plain, _plain), self._tree(self._odd, _odd)):
            if raw < self.floor or raw == last:
                continue  # of a key in both trees, the plain file comes first
            last = raw
            try:
                yield Found(raw.decode(), path)
            except UnicodeDecodeError:
                continue  # a name that a person made, and that cannot be a key

    def _tree(self, top: bytes, read: _Read) -> Iterator[tuple[bytes, bytes]]:
        """A stack instead of recursion, as a key may have 512 directories."""
        stack = [(b"", self._entries(top, b"", read))]
        while stack:
            before, entries = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
                continue
            raw = before + entry.label
            if not self._is_wanted(raw, entry.is_file) or len(raw) > keys.LONGEST_KEY:
                continue
            if entry.is_file:
                yield raw, entry.path
            else:
                stack.append((raw, self._entries(entry.path, raw, read)))

    def _entries(self, directory: bytes, before: bytes, read: _Read) -> Iterator[_Entry]:
        try:
            wanted = [e for e in read(directory) if self._is_wanted(before + e.label, e.is_file)]
        except (FileNotFoundError, NotADirectoryError):
            return iter(())  # gone since its name was read
        return iter(sorted(wanted))

    def _is_wanted(self, raw: bytes, is_file: bool) -> bool:
        if is_file:
            return raw.startswith(self._prefix) and raw >= self.floor
        in_prefix = raw.startswith(self._prefix) or self._prefix.startswith(raw)
        return in_prefix and (raw >= self.floor or self.floor.startswith(raw))


def _plain(directory: bytes) -> Iterator[_Entry]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir():
                if not (entry.is_symlink() and _turns_back(entry.path)):
                    yield _Entry(entry.name + b"/", entry.path, False)
            elif entry.is_file():
                yield _Entry(entry.name, entry.path, True)


def _odd(directory: bytes) -> Iterator[_Entry]:
    with os.scandir(directory) as entries:
        for entry in entries:
            name = entry.name.decode("ascii", "replace")
            label = keys.label(name)
            if label is not None:
                yield _Entry(label, entry.path, name.endswith(keys.END))


def _turns_back(link: bytes) -> bool:
    """Whether a linked directory holds the link itself: a walk would never end."""
    above = os.path.realpath(os.path.dirname(link)) + b"/"
    return above.startswith(os.path.realpath(link).rstrip(b"/") + b"/")
