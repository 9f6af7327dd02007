"""A processing job: what was asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidemill.spec import framework
from tidemill.spec.framework import Framework

PLACE = "/opt/ml/processing"
"""Where the inputs and outputs of a job are, for its command."""
LONGEST_RUN = 86_400
"""Seconds that a job may run when the request does not say."""
# Images with a Python and nothing that a program could not find here too.
_PLAIN = re.compile(r"python|sagemaker-base-python(?:-[0-9]+)?")
_OTHERS = {
    "sagemaker-clarify-processing": "SageMaker Clarify",
    "sagemaker-data-wrangler-container": "Data Wrangler",
    "sagemaker-debugger-rules": "SageMaker Debugger",
    "sagemaker-model-monitor-analyzer": "Model Monitor",
    "sagemaker-spark-processing": "Spark",
}


@dataclass(frozen=True, slots=True)
class Input:
    """uri: S3 prefix, or of a manifest · path: absolute, below ``PLACE``

    data_type: S3Prefix or ManifestFile · distribution: FullyReplicated or ShardedByS3Key
    """

    name: str
    uri: str
    path: str
    data_type: str = "S3Prefix"
    distribution: str = "FullyReplicated"


@dataclass(frozen=True, slots=True)
class Output:
    """uri: S3 prefix · path: absolute, below ``PLACE`` · continuous: sent while the command runs"""

    name: str
    uri: str
    path: str
    continuous: bool = False


@dataclass(frozen=True, slots=True)
class ProcessingJob:
    """What the engine and the worker need; the wire request is kept beside it, unread.

    config: what processingjobconfig.json is to hold · inputs, outputs: those that are ours to
    bring, without the ones that the program manages · max_seconds: run-time limit
    """

    name: str
    arn: str
    region: str
    image: str
    config: dict[str, Any]
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    instances: int = 1
    instance_type: str = "local"
    max_seconds: float = LONGEST_RUN

    @property
    def command(self) -> tuple[str, ...]:
        """What to run: the images that we know have no entry point of their own."""
        return (*self.entrypoint, *self.arguments)

    @property
    def framework(self) -> Framework | None:
        """What the programs of its image expect to import, if that is known."""
        name = framework.repository(self.image).replace("-inference", "-training")
        return framework.TRAINING.get(name)


def from_document(document: Mapping[str, Any]) -> ProcessingJob:
    """Read what ``dataclasses.asdict`` made of a job, by way of JSON.

    >>> from dataclasses import asdict
    >>> job = ProcessingJob("a", "arn", "r", "python:3.11", {}, outputs=(Output("o", "u", "p"),))
    >>> from_document(asdict(job)) == job
    True
    """
    read = {
        "entrypoint": tuple(document["entrypoint"]),
        "arguments": tuple(document["arguments"]),
        "inputs": tuple(Input(**one) for one in document["inputs"]),
        "outputs": tuple(Output(**one) for one in document["outputs"]),
    }
    return ProcessingJob(**{**document, **read})


def problem(job: ProcessingJob) -> str | None:
    """Why a job can never run here (a FailureReason), or None."""
    name = framework.repository(job.image)
    if name in _OTHERS:
        return (
            f"ClientError: the image of {_OTHERS[name]} is not run here; got {job.image!r}. Run a "
            "script of your own, with the image of scikit-learn for example."
        )
    if job.framework is None and not _PLAIN.fullmatch(name):
        known = ", ".join(sorted(framework.TRAINING))
        return (
            "ClientError: AppSpecification.ImageUri must be the image of a framework whose "
            f"programs can run here; got {job.image!r}. Name one of: {known}, python."
        )
    if not job.command:
        return (
            "ClientError: AppSpecification must have a ContainerEntrypoint; got none. Say what to "
            f'run, as in ["python3", "{PLACE}/input/code/script.py"].'
        )
    return None
