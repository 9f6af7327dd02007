"""The keys of a bucket in S3's order, that of their UTF-8 bytes, read from its directories.

A directory sorts as its name and a slash, so a walk in depth meets the keys in order, holding only
the names of the directories that it stands in; a prefix or a floor keeps it out of all others.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from typing import NamedTuple

from tidemill.storage import keys
from tidemill.storage.layout import Layout
from tidemill.storage.tree import Entry, OddTree, PlainTree, Tree


class Found(NamedTuple):
    """A key and the file that holds it."""

    key: str
    path: bytes


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
        trees = (self._tree(self._plain, PlainTree()), self._tree(self._odd, OddTree()))
        for raw, path in heapq.merge(*trees):
            if raw < self.floor or raw == last:
                continue  # of a key in both trees, the plain file comes first
            last = raw
            try:
                yield Found(raw.decode(), path)
            except UnicodeDecodeError:
                continue  # a name that a person made, and that cannot be a key

    def _tree(self, top: bytes, tree: Tree) -> Iterator[tuple[bytes, bytes]]:
        """A stack instead of recursion, as people may nest directories deeply."""
        stack = [(b"", self._entries(top, b"", tree))]
        while stack:
            before, entries = stack[-1]
            entry = next(entries, None)
            raw = before + entry.label if entry else b""
            if entry is None or raw[: len(self._prefix)] > self._prefix:
                stack.pop()  # at its end, or above all that begins with the prefix
            elif not self._is_wanted(raw, entry.is_file):
                continue
            elif entry.is_file:
                yield raw, entry.path
            else:
                stack.append((raw, self._entries(entry.path, raw, tree)))

    def _entries(self, directory: bytes, before: bytes, tree: Tree) -> Iterator[Entry]:
        low = max(_below(before, self.floor), _below(before, self._prefix))
        try:
            yield from tree.entries(directory, low)
        except (FileNotFoundError, NotADirectoryError):
            return  # gone since its name was read

    def _is_wanted(self, raw: bytes, is_file: bool) -> bool:
        if len(raw) > keys.LONGEST_KEY:
            return False
        if is_file:
            return raw.startswith(self._prefix) and raw >= self.floor
        in_prefix = raw.startswith(self._prefix) or self._prefix.startswith(raw)
        return in_prefix and (raw >= self.floor or self.floor.startswith(raw))


def _below(directory: bytes, key: bytes) -> bytes:
    """What is left of a key inside a directory; empty when it does not lead there."""
    return key[len(directory) :] if key.startswith(directory) else b""
