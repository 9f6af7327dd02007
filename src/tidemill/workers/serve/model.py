"""A replica's model: fetched, unpacked into its home, checked, put together."""

from __future__ import annotations

from typing import Any

from tidemill import registry
from tidemill.algorithms.base import Declaration
from tidemill.errors import Invalid
from tidemill.spec.home import WorkerHome
from tidemill.storage.bucket import Buckets
from tidemill.workers import artifact


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
    artifact.fetch(buckets, model_uri, home.model)
    declaration = registry.declaration(image)
    return artifact.read_model(declaration, home.model, model_uri), declaration
