"""A model: fetched, unpacked into a directory, checked, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tidemill import registry
from tidemill.algorithms.base import Declaration
from tidemill.errors import Invalid
from tidemill.storage.bucket import Buckets
from tidemill.workers import artifact


def open_model(
    into: Path, buckets: Buckets, model_uri: str | None, image: str
) -> tuple[Any, Declaration]:
    """The model and what is declared of its algorithm.

    into: directory that it is unpacked to · model_uri: of a model.tar.gz, or the prefix (with its
    slash) of the unpacked files
    Raises NotFound, or Invalid when the artifact is damaged or of another algorithm than the image.
    """
    if not model_uri:
        raise Invalid(
            f"ModelDataUrl is required for {image}", got=model_uri, do="Name a model.tar.gz."
        )
    artifact.fetch(buckets, model_uri, into)
    declaration = registry.declaration(image)
    return artifact.read_model(declaration, into, model_uri), declaration
