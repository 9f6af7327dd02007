"""A training job: what was asked, where it may stand, and which moves are allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tidemill.spec import channel, framework
from tidemill.spec.channel import Channel


class JobStatus(Enum):
    """The words AWS uses, because clients compare them."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"

    @property
    def is_final(self) -> bool:
        return not MOVES[self]


MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.IN_PROGRESS: frozenset(
        {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPING, JobStatus.STOPPED}
    ),
    JobStatus.STOPPING: frozenset({JobStatus.STOPPED, JobStatus.COMPLETED, JobStatus.FAILED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.STOPPED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """A name and the regular expression whose first group is the value in a log line."""

    name: str
    regex: str


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What the engine and the worker need; the wire request is kept beside it, unread.

    image: ECR image URI of the algorithm · output_uri: S3 prefix · max_seconds: run-time limit
    checkpoint_uri: S3 prefix that mirrors the checkpoint directory, or None
    entrypoint, arguments: the command to run in place of the image's own, where there is one
    """

    name: str
    arn: str
    region: str
    image: str
    hyperparameters: dict[str, str]
    channels: tuple[Channel, ...]
    output_uri: str
    instances: int = 1
    instance_type: str = "local"
    max_seconds: int = 86_400
    environment: dict[str, str] = field(default_factory=dict)
    metric_definitions: tuple[MetricDefinition, ...] = ()
    compress: bool = True
    checkpoint_uri: str | None = None
    retries: int | None = None
    checkpoint_path: str = "/opt/ml/checkpoints"
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    @property
    def is_script(self) -> bool:
        """Whether it runs a program of the user's, in an image made for that."""
        if framework.of_training(self.image) is None:
            return False
        named = framework.has_program(self.hyperparameters, self.environment)
        return named or bool(self.entrypoint)


def from_document(document: Mapping[str, Any]) -> TrainingJob:
    """Read what ``dataclasses.asdict`` made of a job, by way of JSON.

    >>> from dataclasses import asdict
    >>> job = TrainingJob("a", "arn", "r", "kmeans", {}, (Channel("train", "s3://b/k"),), "s3://b")
    >>> from_document(asdict(job)) == job
    True
    """
    channels = tuple(channel.from_document(c) for c in document["channels"])
    metrics = tuple(MetricDefinition(**m) for m in document["metric_definitions"])
    words = {name: tuple(document.get(name, ())) for name in ("entrypoint", "arguments")}
    return TrainingJob(**{**document, "channels": channels, "metric_definitions": metrics, **words})
