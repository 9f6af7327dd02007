"""One named input of a job: where its objects are and how their bytes are to be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Channel:
    """As CreateTrainingJob's Channel, flattened.

    uri: S3 URI · data_type: S3Prefix, ManifestFile or AugmentedManifestFile
    distribution: FullyReplicated or ShardedByS3Key · content_type: None when not sent
    """

    name: str
    uri: str
    data_type: str = "S3Prefix"
    distribution: str = "FullyReplicated"
    content_type: str | None = None
    compression: str = "None"
    record_wrapper: str = "None"
    input_mode: str = "File"
    shuffle_seed: int | None = None
