"""Files that are whole or not there: a header and a payload under one checksum."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MAGIC = b"tidemill sealed 1\n"


def write(path: Path, header: Mapping[str, Any], payload: bytes, *, durable: bool = False) -> None:
    """Put a sealed file in its place in one step.

    durable: it also outlives a loss of power, which costs a wait for the disk.
    """
    head = json.dumps({**header, "length": len(payload)}).encode() + b"\n"
    seal = hashlib.sha256(head + payload).hexdigest().encode() + b"\n"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.writelines((_MAGIC, seal, head, payload))
        if durable:
            file.flush()
            os.fsync(file.fileno())
    draft.replace(path)
    if durable:
        _sync_directory(path.parent)


def read(path: Path) -> tuple[dict[str, Any], bytes] | None:
    """Header and payload, or None where there is no such file or its seal is broken."""
    try:
        blob = path.read_bytes()
    except FileNotFoundError:
        return None
    magic, seal, rest = blob[: len(_MAGIC)], blob[len(_MAGIC) :][:64], blob[len(_MAGIC) + 65 :]
    if magic != _MAGIC or hashlib.sha256(rest).hexdigest().encode() != seal:
        return None
    head, _, payload = rest.partition(b"\n")
    return json.loads(head), payload


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
