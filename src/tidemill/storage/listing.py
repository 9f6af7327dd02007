"""One page of a bucket's listing: keys, and common prefixes where a delimiter folds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tidemill.storage.keys import after_all
from tidemill.storage.metadata import ObjectInfo
from tidemill.storage.walk import Found, Walk

Describe = Callable[[Found], ObjectInfo | None]


@dataclass(slots=True)
class Page:
    """next: the floor of the page that follows, None at the end · last: the last key or prefix"""

    objects: list[ObjectInfo] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    next: bytes | None = None
    last: str = ""

    def __len__(self) -> int:
        return len(self.objects) + len(self.prefixes)


def floor_after(key: str) -> bytes:
    """The floor of what comes after a key, itself left out."""
    return key.encode() + b"\0"


def floor_after_marker(marker: str, prefix: str, delimiter: str) -> bytes:
    """The same for a key or common prefix that a client got from an earlier page: all that the
    common prefix stands for is left out.
    """
    if marker and _folded(marker, prefix, delimiter) == marker:
        return after_all(marker)
    return floor_after(marker) if marker else b""


def page(walk: Walk, describe: Describe, *, prefix: str, delimiter: str, limit: int) -> Page:
    """Read at most ``limit`` entries, and one more to know whether there are others.

    describe: gives None for what has gone since its name was read.
    """
    out = Page()
    if limit <= 0:
        return out
    for found in walk:
        folded = _folded(found.key, prefix, delimiter)
        info = None if folded else describe(found)
        if not folded and info is None:
            continue
        if len(out) == limit:
            out.next = floor_after_marker(out.last, prefix, delimiter)
            return out
        out.last = folded or found.key
        if folded:
            out.prefixes.append(folded)
            walk.floor = after_all(folded)
        elif info is not None:
            out.objects.append(info)
    return out


def _folded(key: str, prefix: str, delimiter: str) -> str:
    """The common prefix that stands for this key; empty when it stands for itself."""
    if not delimiter or not key.startswith(prefix):
        return ""
    end = key.find(delimiter, len(prefix))
    return key[: end + len(delimiter)] if end >= 0 else ""
