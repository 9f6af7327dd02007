"""A replica's model: fetched, unpacked into its home, checked, put together."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tidemill import registry
from tidemill.algorithms.base import Declaration
from tidemill.artifact import archive
from tidemill.artifact.codec import from_bytes
from tidemill.errors import Invalid, InvalidData
from tidemill.spec.home import WorkerHome
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets


def open_model(
    home: WorkerHome, buckets: Buckets, model_uri: str | None, image: str
) -> tuple[Any, Declaration]:
    """The model and what is declared of its algorithm.

    model_uri: of a model.tar.gz, or the prefix (with its slash) of the unpacked files
    Raises NotFound, or Invalid when the artifact is damaged or of another algorithm than the image.
    """
    if not model_uri:
        raise Invalid(
            f"ModelDataUrl is required for {image}", got=model_uri, do="Name a model.tar.gz."
        )
    shutil.rmtree(home.model, ignore_errors=True)  # of an earlier attempt
    manifest = _fetch(buckets, model_uri, home.model)
    name = registry.name_of(image)
    if manifest.algorithm != name:
        raise InvalidData(
            f"a model of {name}, as the image says",
            got=f"one of {manifest.algorithm} ({model_uri})",
            do="Create the model with the image that trained it.",
        )
    declaration = registry.declaration(name)
    blob = (home.model / archive.MODEL).read_bytes()
    return from_bytes(declaration.model, blob), declaration


def _fetch(buckets: Buckets, model_uri: str, directory: Path) -> archive.Manifest:
    bucket, key = uri.parse(model_uri)
    if not key.endswith("/"):
        return archive.extract(buckets.path(bucket, key), directory)
    directory.mkdir(parents=True)
    for file in (archive.MANIFEST, archive.MODEL):
        (directory / file).write_bytes(buckets.get_bytes(bucket, key + file))
    return archive.check(directory)
