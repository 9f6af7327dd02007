"""One named input of a job: where its objects are and how their bytes are to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.errors import Invalid

DATA_TYPES = ("S3Prefix", "ManifestFile", "AugmentedManifestFile")


@dataclass(frozen=True, slots=True)
class Channel:
    """As CreateTrainingJob's Channel, flattened.

    uri: S3 URI · data_type: S3Prefix, ManifestFile or AugmentedManifestFile
    distribution: FullyReplicated or ShardedByS3Key · content_type: None when not sent
    input_mode: File, FastFile or Pipe · attributes: AttributeNames of an augmented manifest
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
    attributes: tuple[str, ...] = ()


def from_document(document: Mapping[str, Any]) -> Channel:
    """Read what ``dataclasses.asdict`` made of a channel, by way of JSON.

    >>> from_document({"name": "train", "uri": "s3://b/k", "attributes": ["source"]}).attributes
    ('source',)
    """
    return Channel(**{**document, "attributes": tuple(document.get("attributes", ()))})


def check(channel: Channel) -> None:
    """Raise Invalid for settings that cannot go together, whatever the algorithm."""
    for wanted, is_kept, got, do in _rules(channel):
        if not is_kept:
            raise Invalid(f"channel {channel.name!r}: {wanted}", got=got, do=do)


def _rules(channel: Channel) -> tuple[tuple[str, bool, object, str], ...]:
    """(what is wanted, whether it is so, what is there, what to do)"""
    kind, mode = channel.data_type, channel.input_mode
    is_augmented = kind == "AugmentedManifestFile"
    return (
        (
            f"S3DataType must be one of {', '.join(DATA_TYPES)}",
            kind in DATA_TYPES,
            kind,
            "Put the objects under one prefix, or list them in a manifest file.",
        ),
        (
            "AugmentedManifestFile can only be used if the channel's input mode is Pipe",
            not is_augmented or mode == "Pipe",
            mode,
            "Set InputMode of the channel, or TrainingInputMode, to Pipe.",
        ),
        (
            "S3DataType must be S3Prefix if the channel's input mode is FastFile",
            mode != "FastFile" or kind == "S3Prefix",
            kind,
            "Set InputMode of the channel to File or Pipe.",
        ),
        (
            "AttributeNames must have 1 to 16 names if S3DataType is AugmentedManifestFile",
            not is_augmented or 1 <= len(channel.attributes) <= 16,
            len(channel.attributes),
            "Name the attributes of the manifest's lines in the order in which to stream them.",
        ),
        (
            "AttributeNames can only be used if S3DataType is AugmentedManifestFile",
            is_augmented or not channel.attributes,
            kind,
            "Take AttributeNames out of the S3DataSource.",
        ),
        (
            "RecordWrapperType RecordIO can only be used if the channel's input mode is Pipe",
            channel.record_wrapper == "None" or mode == "Pipe",
            mode,
            "Leave RecordWrapperType out, or set InputMode of the channel to Pipe.",
        ),
    )
