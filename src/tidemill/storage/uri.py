"""Where in S3 a text points: ``s3://bucket/key``, or an https URL of either style."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from tidemill.storage.errors import InvalidUri
from tidemill.storage.keys import check_bucket

# s3.amazonaws.com, s3.eu-west-1.amazonaws.com, s3-us-west-2.…, s3.dualstack.…, s3.localhost
_HOST = re.compile(r"^(?:(?P<bucket>.+)\.)?s3(?:[.-](?:[a-z0-9-]+\.)*[a-z0-9-]+)+$", re.IGNORECASE)


class Location(NamedTuple):
    """A bucket and a key (or a prefix of keys; empty for the whole bucket)."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def parse(uri: str) -> Location:
    """The bucket and key that a URI names; raises InvalidUri.

    >>> parse("s3://mill/data/train.csv")
    Location(bucket='mill', key='data/train.csv')
    >>> parse("https://mill.s3.eu-west-1.amazonaws.com/a%20b")
    Location(bucket='mill', key='a b')
    >>> parse("https://s3.amazonaws.com/mill/a")
    Location(bucket='mill', key='a')
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        raise _wrong(uri)
    if scheme == "s3":
        bucket, _, key = rest.partition("/")
        return Location(check_bucket(bucket), key)
    if scheme in ("http", "https"):
        return _of_url(uri)
    raise _wrong(uri)


def join(base: str, *parts: str) -> str:
    """The URI below ``base``, with one slash between the parts.

    >>> join("s3://mill/", "job-1", "output/model.tar.gz")
    's3://mill/job-1/output/model.tar.gz'
    """
    below = "/".join(part.strip("/") for part in parts if part.strip("/"))
    return f"{base.rstrip('/')}/{below}"


def bucket_of_host(host: str) -> str | None:
    """The bucket that a virtual-host style name carries, "" for the service itself, else None.

    >>> bucket_of_host("mill.s3.us-east-1.amazonaws.com"), bucket_of_host("127.0.0.1")
    ('mill', None)
    """
    match = _HOST.match(host)
    return (match["bucket"] or "") if match else None


def _of_url(url: str) -> Location:
    try:
        parts = urlsplit(url)
        bucket = bucket_of_host(parts.hostname or "")
        key = unquote(parts.path.removeprefix("/"), errors="strict")
    except ValueError as error:
        raise _wrong(url) from error
    if bucket is None:
        raise _wrong(url)
    if not bucket:
        bucket, _, key = key.partition("/")
    return Location(check_bucket(bucket), key)


def _wrong(uri: str) -> InvalidUri:
    return InvalidUri("an S3 URI", got=uri, do="Write s3://BUCKET/KEY.")
