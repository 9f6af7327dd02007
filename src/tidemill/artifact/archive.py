"""model.tar.gz: what a training job leaves behind, the same bytes for the same model.

The archive holds ``manifest.json`` and the files that it lists with their SHA-256. Nothing in it
depends on the time, the machine or the version that wrote it, and nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tidemill.artifact.codec import digest
from tidemill.artifact.inflate import Inflate, Limits
from tidemill.errors import InvalidData

FORMAT = 1
MANIFEST = "manifest.json"
MODEL = "model.safetensors"
STATE = "state.safetensors"
_GZIP = 31  # zlib's number for "with a gzip header", whose time it leaves at 0
_DO = "Train the model again, or upload the model.tar.gz that a training job wrote, whole."
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an artifact."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """algorithm: a built-in's name · hyperparameters: as resolved, JSON values"""

    algorithm: str
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Entry] = field(default_factory=dict)
    format: int = FORMAT


def pack(algorithm: str, hyperparameters: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """The archive's bytes; equal arguments give equal bytes.

    >>> packed = pack("kmeans", {"k": 3}, {"model.safetensors": b"centres"})
    >>> packed == pack("kmeans", {"k": 3}, {"model.safetensors": b"centres"})
    True
    """
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in with_manifest(algorithm, hyperparameters, files).items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    squeeze = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    return squeeze.compress(raw.getbuffer()) + squeeze.flush()


def with_manifest(
    algorithm: str, hyperparameters: Mapping[str, Any], files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """The same files as they lie unpacked, ``manifest.json`` first."""
    entries = {name: Entry(digest(data), len(data)) for name, data in files.items()}
    manifest = asdict(Manifest(algorithm, hyperparameters, entries))
    text = json.dumps(manifest, sort_keys=True, indent=1, default=str).encode()
    return {MANIFEST: text, **dict(sorted(files.items()))}


def extract(source: Path | bytes, directory: Path, limits: Limits | None = None) -> Manifest:
    """Unpack into a directory (made if missing) and check every hash; raises InvalidData."""
    unpack(source, directory, limits)
    return check(directory)


def unpack(source: Path | bytes, directory: Path, limits: Limits | None = None) -> None:
    """Unpack any tar.gz into a directory (made if missing).

    Raises InvalidData for what is no such archive, is damaged, holds anything but plain files
    inside the directory, or is larger than ``limits``. Memory is bounded by a chunk.
    """
    directory.mkdir(parents=True, exist_ok=True)
    limits = limits or Limits()
    try:
        with (
            io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream,
            tarfile.open(fileobj=Inflate(stream, limits), mode="r:") as tar,
        ):
            for count, member in enumerate(tar, 1):
                _extract_member(tar, member, directory, count, limits)
    except InvalidData:
        raise
    except (tarfile.TarError, zlib.error, EOFError, OSError, UnicodeError, ValueError) as error:
        raise InvalidData(
            "a model.tar.gz", got=f"{type(error).__name__}: {error}", do=_DO
        ) from error


def check(directory: Path) -> Manifest:
    """The manifest of an unpacked artifact, once every file matches it."""
    manifest = _read_manifest(directory)
    for name, entry in manifest.files.items():
        found = _found(directory / _inside(name))
        if found != entry.sha256:
            raise InvalidData(
                f"artifact file {name!r} with SHA-256 {entry.sha256}", got=found, do=_DO
            )
    return manifest


def _extract_member(
    tar: tarfile.TarFile, member: tarfile.TarInfo, directory: Path, count: int, limits: Limits
) -> None:
    if count > limits.files:
        raise InvalidData(f"at most {limits.files} files in an artifact", got=count, do=_DO)
    target = directory / _inside(member.name)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    # One with holes may be of any size, whatever the archive's.
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
        got = f"{member.name!r}, a link, a device or a file with holes"
        raise InvalidData("plain files in an artifact", got=got, do=_DO)
    source = tar.extractfile(member)
    target.parent.mkdir(parents=True, exist_ok=True)
    # "x" so that two members of one name cannot write through each other.
    with target.open("xb") as sink:
        while source is not None and (chunk := source.read(_CHUNK)):
            sink.write(chunk)


def read(directory: Path, name: str) -> bytes:
    """One file of an unpacked artifact; InvalidData where there is none."""
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        got = f"{type(error).__name__}: {error.strerror}"
        raise InvalidData(f"an artifact with a file {name}", got=got, do=_DO) from error


def _found(path: Path) -> str:
    try:
        return _digest_of(path) if path.is_file() else "no such file"
    except OSError as error:  # a name that is too long
        return f"{type(error).__name__}: {error.strerror}"


def _digest_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _inside(name: str) -> str:
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise InvalidData("paths inside the artifact", got=name, do=_DO)
    return os.path.normpath(name)


def _read_manifest(directory: Path) -> Manifest:
    try:
        document = json.loads((directory / MANIFEST).read_bytes())
        files = {name: Entry(**entry) for name, entry in document.pop("files").items()}
        manifest = Manifest(files=files, **document)
    except FileNotFoundError:
        found = sorted(p.name for p in directory.iterdir())
        raise InvalidData(f"an artifact with a {MANIFEST}", got=found, do=_DO) from None
    except (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError) as error:
        raise InvalidData(f"a readable {MANIFEST}", got=str(error), do=_DO) from error
    if manifest.format != FORMAT:
        raise InvalidData(
            f"an artifact of format {FORMAT}", got=manifest.format, do="Update Tidemill."
        )
    return manifest
