"""What is known of an object besides its bytes, and the sidecar file that remembers it.

A sidecar belongs to the bytes that have its size and modification time. It is written before the
bytes are renamed into place and keeps the entry of the bytes that it replaces, so the rename alone
switches both; a file changed by hand matches no entry and counts as new.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

DEFAULT_TYPE = "binary/octet-stream"


@dataclass(frozen=True, slots=True)
class Metadata:
    """headers: sent back as they came, names in lower case (cache-control, x-amz-… ) · user: the
    x-amz-meta-… ones, without that prefix · checksums: algorithm (lower case) → base64, with
    ``-N`` when made of the checksums of N parts · parts: their sizes, if it was uploaded in parts
    """

    content_type: str = DEFAULT_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """size: bytes · etag: without quotes · modified: nanoseconds since the epoch"""

    key: str
    size: int
    etag: str
    modified: int
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def modified_seconds(self) -> float:
        return self.modified / 1e9


def read(sidecar: Path, key: str) -> list[ObjectInfo]:
    """The entries of a sidecar, newest first; none when it is missing or damaged."""
    try:
        found = orjson.loads(sidecar.read_bytes())
        return [_entry(key, part) for part in found["entries"]] if found["key"] == key else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def write(sidecar: Path, draft: Path, entries: Sequence[ObjectInfo]) -> None:
    """Replace the sidecar in one step; ``draft`` is a free path on the same file system."""
    draft.write_bytes(
        orjson.dumps({"key": entries[0].key, "entries": [asdict(entry) for entry in entries]})
    )
    try:
        draft.replace(sidecar)
    except FileNotFoundError:
        sidecar.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(sidecar)


def choose(entries: Sequence[ObjectInfo], stat: os.stat_result) -> ObjectInfo | None:
    """The entry of the bytes with this size and modification time."""
    for entry in entries:
        if entry.size == stat.st_size and entry.modified == stat.st_mtime_ns:
            return entry
    return None


def by_hand(key: str, stat: os.stat_result) -> ObjectInfo:
    """What can be said of a file that a person put or changed there.

    Its etag follows size and time, as reading every such file to list a bucket would be absurd;
    the ``-1`` tells clients, as S3 does for uploads in parts, that it is no MD5 of the bytes.
    """
    mark = f"{key}\0{stat.st_size}\0{stat.st_mtime_ns}".encode()
    etag = hashlib.md5(mark, usedforsecurity=False).hexdigest() + "-1"
    return ObjectInfo(key, stat.st_size, etag, stat.st_mtime_ns)


def _entry(key: str, part: dict[str, Any]) -> ObjectInfo:
    about = dict(part["metadata"])
    about["parts"] = tuple(about["parts"])
    return ObjectInfo(key, part["size"], part["etag"], part["modified"], metadata=Metadata(**about))
