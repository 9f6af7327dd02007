"""A model: an algorithm's image and the artifact that it serves."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Container:
    """One step of serving.

    image: ECR image URI of the algorithm · model_uri: S3 URI of its model.tar.gz, None when the
    image needs no artifact · environment: variables for the serving process
    """

    image: str
    model_uri: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """As CreateModel asks for it. containers: one, or several that answer one after another."""

    name: str
    arn: str
    region: str
    containers: tuple[Container, ...] = ()
