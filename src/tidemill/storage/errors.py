"""What can go wrong with buckets and objects; the gateway alone knows S3's names for it.

Invalid
├── InvalidUri             text that names no place in S3
├── InvalidBucketName      a name that S3 does not allow
├── InvalidKey             an empty or unencodable key
│   └── KeyTooLong         more than 1,024 bytes of UTF-8
├── InvalidPart            a part that was not uploaded, or whose etag differs
├── InvalidPartOrder       parts that do not ascend
├── PartTooSmall           under 5 MiB, and not the last
└── UnknownAlgorithm       a checksum that is not implemented here
InvalidData
└── BadDigest              the bytes do not have the digest that the sender computed
NotFound
├── NoSuchBucket
├── NoSuchKey
└── NoSuchUpload
Conflict
├── BucketTaken            a bucket of that name exists
├── BucketNotEmpty
├── BehindLink             the key lies behind a symbolic link that a person made
└── PreconditionFailed     If-Match and its kin say no
"""

from __future__ import annotations

from tidemill.errors import Conflict, Invalid, InvalidData, NotFound


class InvalidUri(Invalid):
    """Text that names no place in S3."""


class InvalidBucketName(Invalid):
    """A bucket name that S3 does not allow."""


class InvalidKey(Invalid):
    """An empty key, or one that UTF-8 cannot hold."""


class KeyTooLong(InvalidKey):
    """A key of more than 1,024 bytes of UTF-8."""


class InvalidPart(Invalid):
    """A part that was never uploaded, or whose etag is another."""


class InvalidPartOrder(Invalid):
    """Part numbers that do not ascend."""


class PartTooSmall(Invalid):
    """A part under 5 MiB that is not the last."""


class UnknownAlgorithm(Invalid):
    """A checksum algorithm that is not implemented here."""


class BadDigest(InvalidData):
    """The bytes that arrived do not have the digest that came with them."""


class NoSuchBucket(NotFound):
    """No bucket has that name."""


class NoSuchKey(NotFound):
    """No object has that key."""


class NoSuchUpload(NotFound):
    """No multipart upload has that id."""


class BucketTaken(Conflict):
    """A bucket of that name exists."""


class BucketNotEmpty(Conflict):
    """The bucket still holds objects."""


class BehindLink(Conflict):
    """The key lies behind a symbolic link that a person made; S3 reads there, never writes."""


class PreconditionFailed(Conflict):
    """The object is not in the state that the request requires."""
