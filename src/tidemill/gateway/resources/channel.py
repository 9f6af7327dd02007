"""InputDataConfig: from AWS's names to ours, and the checks that AWS makes at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.errors import Invalid, NotFound
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.channel import Channel, check
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets
from tidemill.storage.errors import InvalidUri

Request = Mapping[str, Any]


def to_channels(sent: Sequence[Request], mode: str) -> tuple[Channel, ...]:
    """The channels of a request; raises a ValidationException that names what is wrong.

    mode: TrainingInputMode, of the channels that have no InputMode of their own
    """
    for name, times in Counter(c["ChannelName"] for c in sent).items():
        if times > 1:
            raise invalid(f"Duplicate channel name in InputDataConfig: '{name}'.")
        if name in (".", ".."):
            raise invalid(f"A channel's name becomes a directory, and cannot be '{name}'.")
    return tuple(_channel(c, mode, f"inputDataConfig.{i}.member") for i, c in enumerate(sent, 1))


def check_objects(channels: Sequence[Channel], buckets: Buckets, *, region: str, role: str) -> None:
    """Raise, as AWS does, for an input where there are no objects."""
    for channel in channels:
        bucket, key = uri.parse(channel.uri)
        try:
            is_there = _has_objects(channel, bucket, key, buckets)
        except NotFound:
            is_there = False
        if not is_there:
            raise invalid(
                f'No S3 objects found under S3 URL "{channel.uri}" given in input data source. '
                f"Please ensure that the bucket exists in the selected region ({region}), that "
                f'objects exist under that S3 prefix, and that the role "{role}" has '
                f'"s3:ListBucket" permissions on bucket "{bucket}".'
            )


def check_location(text: str, at: str) -> None:
    """Raise a ValidationException unless a text is an S3 URI. at: its path in the request"""
    try:
        uri.parse(text)
    except InvalidUri as error:
        raise invalid(
            f"1 validation error detected: Value '{text}' at '{at}' failed to satisfy constraint: "
            f"Member must be an S3 URI. {error.do}"
        ) from None


def _channel(sent: Request, mode: str, at: str) -> Channel:
    source = sent["DataSource"].get("S3DataSource")
    if source is None or len(sent["DataSource"]) != 1:
        raise invalid(
            f"DataSource of channel '{sent['ChannelName']}' must have S3DataSource and nothing "
            "else: file systems are not supported. Copy the data to a bucket."
        )
    check_location(source["S3Uri"], f"{at}.dataSource.s3DataSource.s3Uri")
    channel = Channel(
        name=sent["ChannelName"],
        uri=source["S3Uri"],
        data_type=source["S3DataType"],
        distribution=source.get("S3DataDistributionType", "FullyReplicated"),
        content_type=sent.get("ContentType"),
        compression=sent.get("CompressionType", "None"),
        record_wrapper=sent.get("RecordWrapperType", "None"),
        input_mode=sent.get("InputMode", mode),
        shuffle_seed=sent.get("ShuffleConfig", {}).get("Seed"),
        attributes=tuple(source.get("AttributeNames", ())),
    )
    try:
        check(channel)
    except Invalid as error:
        raise invalid(f"Invalid InputDataConfig: {error}") from None
    return channel


def _has_objects(channel: Channel, bucket: str, key: str, buckets: Buckets) -> bool:
    """Whether there is the manifest, the object, the folder or the prefix that a channel names."""
    first = next(buckets.list(bucket, key), None)
    if first is None or first.key == key:
        return first is not None
    if channel.data_type != "S3Prefix":
        return False
    if channel.input_mode == "FastFile" and key and not key.endswith("/"):
        return next(buckets.list(bucket, key + "/"), None) is not None
    return True
