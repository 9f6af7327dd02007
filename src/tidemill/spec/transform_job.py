"""A batch transform job: what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidemill.spec.model import Container

MEGABYTE = 1 << 20
DEFAULT_PAYLOAD = 6
"""MaxPayloadInMB where neither the request nor the algorithm says."""


@dataclass(frozen=True, slots=True)
class Processing:
    """DataProcessing: what of each record is sent, and what of the answer is written.

    input_filter, output_filter: JSONPath · join: write the answers behind their records
    """

    input_filter: str = "$"
    output_filter: str = "$"
    join: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether records are sent, and answers written, as they are."""
        return self == Processing()


@dataclass(frozen=True, slots=True)
class TransformJob:
    """What the engine and the worker need; the wire request is kept beside it, unread.

    container: of the model as it was at creation; containers: all of them, where they are several
    input_uri: S3 prefix, or of a manifest
    data_type: S3Prefix or ManifestFile · compression: None or Gzip · split: None, Line or RecordIO
    accept: as in requests, or None · assemble: None or Line · strategy: MultiRecord or SingleRecord
    payload_megabytes: of a request, at most; 0 for no limit
    """

    name: str
    arn: str
    region: str
    model: str
    container: Container
    input_uri: str
    output_uri: str
    data_type: str = "S3Prefix"
    content_type: str | None = None
    accept: str | None = None
    compression: str = "None"
    split: str = "None"
    assemble: str = "None"
    strategy: str = "MultiRecord"
    payload_megabytes: int = DEFAULT_PAYLOAD
    concurrent: int = 1
    instances: int = 1
    environment: dict[str, str] = field(default_factory=dict)
    processing: Processing = Processing()
    containers: tuple[Container, ...] = ()

    @property
    def steps(self) -> tuple[Container, ...]:
        """The containers that answer one after another."""
        return self.containers or (self.container,)


def from_document(document: Mapping[str, Any]) -> TransformJob:
    """Read what ``dataclasses.asdict`` made of a job, by way of JSON.

    >>> from dataclasses import asdict
    >>> job = TransformJob("a", "arn", "r", "m", Container("kmeans"), "s3://b/in", "s3://b/out")
    >>> from_document(asdict(job)) == job
    True
    """
    container = Container(**document["container"])
    processing = Processing(**document["processing"])
    containers = tuple(Container(**one) for one in document.get("containers", ()))
    read = {"container": container, "containers": containers, "processing": processing}
    return TransformJob(**{**document, **read})
