"""An artifact in S3 as files in a directory of the worker's home: packed or not, ours or not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, TypeVar

from tidemill.algorithms.base import Declaration
from tidemill.artifact import archive
from tidemill.artifact.codec import from_bytes
from tidemill.errors import InvalidData
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets

State = TypeVar("State")


def fetch(buckets: Buckets, artifact_uri: str, directory: Path) -> None:
    """Bring the artifact's files into the directory, in place of what was there.

    artifact_uri: of a model.tar.gz, or the prefix (with its slash) of the unpacked files
    """
    shutil.rmtree(directory, ignore_errors=True)  # of an earlier attempt
    bucket, key = uri.parse(artifact_uri)
    if not key.endswith("/"):
        archive.unpack(buckets.path(bucket, key), directory)
        return
    directory.mkdir(parents=True)
    for found in buckets.list(bucket, key):
        name = found.key.removeprefix(key)
        if name and "/" not in name:
            (directory / name).write_bytes(buckets.get_bytes(bucket, found.key))


def read_model(declaration: Declaration, directory: Path, place: str) -> Any:
    """The model of an artifact's files. place: its URI, for errors

    Raises InvalidData when the files are damaged, or of another algorithm.
    """
    if declaration.imports is not None and not (directory / archive.MANIFEST).exists():
        return declaration.imports(directory)
    _check(declaration, directory, place)
    return from_bytes(declaration.model, archive.read(directory, archive.MODEL))


def read_state(declaration: Declaration, kind: type[State], directory: Path, place: str) -> State:
    """The state that the training behind an artifact ended with. kind: the state's class"""
    _check(declaration, directory, place)
    path = directory / archive.STATE
    if not path.exists():
        raise InvalidData(
            f"an artifact with {archive.STATE}, which training goes on from",
            got=f"{sorted(p.name for p in directory.iterdir())} ({place})",
            do="Train the model again from its data.",
        )
    return from_bytes(kind, path.read_bytes())


def _check(declaration: Declaration, directory: Path, place: str) -> None:
    manifest = archive.check(directory)
    if manifest.algorithm != declaration.name:
        raise InvalidData(
            f"a model of {declaration.name}, as the image says",
            got=f"one of {manifest.algorithm} ({place})",
            do="Use the image that trained it.",
        )
