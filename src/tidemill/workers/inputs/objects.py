"""Which objects a channel has: under a prefix, in a folder, or named by a manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from tidemill.errors import InvalidData, NotFound
from tidemill.spec.channel import Channel
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets


class Found(NamedTuple):
    """An object of a channel. name: of its file in the channel's directory"""

    bucket: str
    key: str
    name: str


def objects(channel: Channel, buckets: Buckets, region: str) -> list[Found]:
    """The objects in the order of their keys, or of the manifest; at least one.

    Of an augmented manifest it is the manifest itself. Raises NotFound in SageMaker's words.
    """
    try:
        found = list(_found(channel, buckets))
    except NotFound as error:
        raise _absent(channel, region, str(error)) from error
    if not found:
        raise _absent(channel, region, "no objects")
    return found


def _found(channel: Channel, buckets: Buckets) -> Iterator[Found]:
    """Raises NotFound for a missing bucket or key."""
    bucket, key = uri.parse(channel.uri)
    if channel.data_type == "ManifestFile":
        yield from _listed(channel, buckets.get_bytes(bucket, key))
        return
    keys = [o.key for o in buckets.list(bucket, key) if not o.key.endswith("/")]
    if key in keys:
        keys = [key]
    elif channel.data_type == "AugmentedManifestFile":
        keys = []
    elif channel.input_mode == "FastFile" and key and not key.endswith("/"):
        keys = [k for k in keys if k.startswith(key + "/")]
    for each in keys:
        yield Found(bucket, each, _relative(each, key))


def _listed(channel: Channel, manifest: bytes) -> Iterator[Found]:
    """``[{"prefix": "s3://bucket/some/"}, "a.csv", "b.csv", …]``"""
    try:
        first, *rest = json.loads(manifest)
        prefix = first["prefix"]
        if not isinstance(prefix, str) or not all(isinstance(r, str) for r in rest):
            raise ValueError("names must be text")
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidData(
            f'a manifest: a JSON list of {{"prefix": "s3://…/"}} and names ({error})',
            got=manifest[:80].decode(errors="replace"),
            do=f"Correct the object at {channel.uri}.",
        ) from error
    for name in rest:
        yield Found(*uri.parse(prefix + name), name)


def _relative(key: str, prefix: str) -> str:
    if key == prefix:
        return key.rpartition("/")[2]
    folder = prefix if prefix.endswith("/") else prefix + "/"
    if key.startswith(folder):
        return key[len(folder) :]
    return key[len(prefix.rpartition("/")[0]) :].lstrip("/")


def _absent(channel: Channel, region: str, found: str) -> NotFound:
    return NotFound(
        f'Data download failed:No S3 objects found under S3 URL "{channel.uri}" given in input '
        f"data source (channel {channel.name!r})",
        got=found,
        do=f"Please ensure that the bucket exists in the selected region ({region}) and that "
        "objects exist under that S3 prefix.",
    )
