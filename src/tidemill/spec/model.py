"""A model: an algorithm's image and the artifact that it serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

SINGLE, MULTI = "SingleModel", "MultiModel"
SERIAL, DIRECT = "Serial", "Direct"
MOST_CONTAINERS = 15


@dataclass(frozen=True, slots=True)
class Container:
    """One step of serving.

    image: ECR image URI of the algorithm · model_uri: S3 URI of its model.tar.gz, None when the
    image needs no artifact · environment: variables for the serving process · hostname: its name
    among the containers of its model, or empty · mode: SingleModel, or MultiModel where model_uri
    is a prefix of many artifacts · cache: whether models that were asked for stay in memory
    """

    image: str
    model_uri: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    hostname: str = ""
    mode: str = SINGLE
    cache: bool = True


@dataclass(frozen=True, slots=True)
class Model:
    """As CreateModel asks for it.

    containers: one or several · execution: how several answer: one after another (Serial), or each
    when it is named (Direct)
    """

    name: str
    arn: str
    region: str
    containers: tuple[Container, ...] = ()
    execution: str = SERIAL


def names(containers: Sequence[Container]) -> tuple[str, ...]:
    """What each container is called: by its hostname, else by its position, as AWS has it.

    >>> names([Container("pca"), Container("kmeans")])
    ('container-1', 'container-2')
    """
    return tuple(one.hostname or f"container-{i}" for i, one in enumerate(containers, 1))
