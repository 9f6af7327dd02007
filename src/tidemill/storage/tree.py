"""The two directory trees of a bucket, read one directory at a time in the order of keys."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from tidemill.storage import keys

# Pages of a large directory should not each read and sort it again. A directory's time tells
# whether a name has come or gone, but only to the tick of the clock: young ones are not trusted.
_WORTH_KEEPING = 2_000
_SETTLED = 1_000_000_000  # ns
_MOST_KEPT = 8


class Entry(NamedTuple):
    """label: what it adds to the key; ends in a slash, or goes on, where it is a directory"""

    label: bytes
    path: bytes
    is_file: bool


class Tree(Protocol):
    """Reads a directory of its kind."""

    def entries(self, directory: bytes, low: bytes) -> Iterator[Entry]:
        """In the order of labels, from the last one that is not above ``low``: no earlier one
        leads to a key that begins with ``low`` or comes after it.
        """
        ...


class PlainTree:
    """Directories whose paths are keys."""

    def entries(self, directory: bytes, low: bytes) -> Iterator[Entry]:
        labels = _labels(directory)
        for at in range(max(0, bisect_right(labels, low) - 1), len(labels)):
            label = labels[at]
            path = os.path.join(directory, label.removesuffix(b"/"))
            yield Entry(label, path, not label.endswith(b"/"))


class OddTree:
    """Directories of escaped names (see ``keys``)."""

    def entries(self, directory: bytes, low: bytes) -> Iterator[Entry]:
        found: list[Entry] = []
        with os.scandir(directory) as entries:
            for entry in entries:
                name = entry.name.decode("ascii", "replace")
                label = keys.label(name)
                if label is not None:
                    found.append(Entry(label, entry.path, name.endswith(keys.END)))
        found.sort()
        return iter(found[max(0, bisect_right(found, low, key=lambda e: e.label) - 1) :])


class _Kept:
    """The sorted labels of the large directories that were read last."""

    def __init__(self) -> None:
        self._labels: OrderedDict[bytes, tuple[int, list[bytes]]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, directory: bytes, changed: int) -> list[bytes] | None:
        with self._lock:
            at, labels = self._labels.get(directory, (-1, []))
            if at != changed:
                return None
            self._labels.move_to_end(directory)
            return labels

    def put(self, directory: bytes, changed: int, labels: list[bytes]) -> None:
        with self._lock:
            self._labels[directory] = (changed, labels)
            if len(self._labels) > _MOST_KEPT:
                self._labels.popitem(last=False)


_KEPT = _Kept()


def _labels(directory: bytes) -> list[bytes]:
    changed = os.stat(directory).st_mtime_ns
    known = _KEPT.get(directory, changed)
    if known is not None:
        return known
    is_settled = time.time_ns() - changed > _SETTLED
    labels, has_links = _read(directory)
    if is_settled and not has_links and len(labels) >= _WORTH_KEEPING:
        _KEPT.put(directory, changed, labels)
    return labels


def _read(directory: bytes) -> tuple[list[bytes], bool]:
    """The labels in order, and whether there are links, which may lead elsewhere tomorrow."""
    labels: list[bytes] = []
    has_links = False
    with os.scandir(directory) as entries:
        for entry in entries:
            has_links = has_links or entry.is_symlink()
            if entry.is_dir():
                if not (entry.is_symlink() and _turns_back(entry.path)):
                    labels.append(entry.name + b"/")
            elif entry.is_file():
                labels.append(entry.name)
    labels.sort()
    return labels, has_links


def _turns_back(link: bytes) -> bool:
    """Whether a linked directory holds the link itself: a walk would never end."""
    above = os.path.realpath(os.path.dirname(link)) + b"/"
    return above.startswith(os.path.realpath(link).rstrip(b"/") + b"/")
