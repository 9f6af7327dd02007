"""An object's metadata as headers, both ways."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import parse_qsl

from tidemill.gateway.s3.problem import Problem, invalid_argument, not_implemented
from tidemill.storage.checksum import ALGORITHMS
from tidemill.storage.metadata import DEFAULT_TYPE, Metadata, ObjectInfo

_KEPT = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-website-redirect-location",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
)
_OVERRIDES = (
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
)
_USER = "x-amz-meta-"
_CHECKSUM = re.compile(r"x-amz-checksum-((?!type$|mode$|algorithm$)[a-z0-9]+)")
_MOST_USER_BYTES = 2048


def metadata(headers: Mapping[str, str]) -> Metadata:
    """What a put says of its object."""
    if any(name.startswith("x-amz-server-side-encryption-customer") for name in headers):
        raise not_implemented("encryption with keys of the customer (SSE-C)")
    kept = {name: headers[name] for name in _KEPT if name in headers}
    _drop_framing(kept)
    user = {n.removeprefix(_USER): v for n, v in headers.items() if n.startswith(_USER)}
    if sum(len(name) + len(value) for name, value in user.items()) > _MOST_USER_BYTES:
        raise Problem(
            "MetadataTooLarge",
            400,
            "Your metadata headers exceed the maximum allowed metadata size",
            MaxSizeAllowed=str(_MOST_USER_BYTES),
        )
    tags = dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))
    check_tags(tags)
    return Metadata(headers.get("content-type") or DEFAULT_TYPE, kept, user, tags)


def check_tags(tags: Mapping[str, str]) -> None:
    """Raises Problem unless S3 would take these tags for an object."""
    if len(tags) > 10:
        raise Problem("BadRequest", 400, "Object tags cannot be greater than 10")
    for name, value in tags.items():
        if not 0 < len(name) <= 128:
            raise Problem("InvalidTag", 400, "The TagKey you have provided is invalid")
        if len(value) > 256:
            raise Problem("InvalidTag", 400, "The TagValue you have provided is invalid")


def checksums(headers: Mapping[str, str]) -> dict[str, str]:
    """Algorithm → base64 digest, as a request (or its trailer) carries them."""
    found = {m[1]: value for name, value in headers.items() if (m := _CHECKSUM.fullmatch(name))}
    for name in found:
        if name not in ALGORITHMS:
            raise not_implemented(f"the checksum {name.upper()}; use {', '.join(ALGORITHMS)}")
    return found


def algorithms(headers: Mapping[str, str]) -> list[str]:
    """The checksums to compute while the body comes: sent ahead, or announced for the trailer."""
    trailer = headers.get("x-amz-trailer", "")
    announced = {name.strip().lower(): "" for name in trailer.split(",")}
    wanted = {**checksums(headers), **checksums(announced)}
    asked = headers.get("x-amz-sdk-checksum-algorithm", "").lower()
    if asked and asked not in ALGORITHMS:
        raise not_implemented(f"the checksum {asked.upper()}; use {', '.join(ALGORITHMS)}")
    return list(wanted)


def of_object(info: ObjectInfo, asked: Mapping[str, str]) -> dict[str, str]:
    """What GET and HEAD tell of an object. asked: the query, which may override some of it."""
    about = info.metadata
    out = {
        "etag": f'"{info.etag}"',
        "last-modified": formatdate(info.modified_seconds, usegmt=True),
        "accept-ranges": "bytes",
        "content-type": about.content_type,
        **about.headers,
        **{_USER + name: value for name, value in about.user.items()},
    }
    if about.tags:
        out["x-amz-tagging-count"] = str(len(about.tags))
    for name, value in asked.items():
        if name in _OVERRIDES and value:
            out[name.removeprefix("response-")] = _sendable(name, value)
    return out


def of_checksums(sums: Mapping[str, str]) -> dict[str, str]:
    """An object's or part's checksums as headers."""
    out = {f"x-amz-checksum-{name}": value for name, value in sums.items()}
    if sums:
        is_composite = any("-" in value for value in sums.values())
        out["x-amz-checksum-type"] = "COMPOSITE" if is_composite else "FULL_OBJECT"
    return out


def encoded(digests: Mapping[str, bytes]) -> dict[str, str]:
    """Digests as base64."""
    return {name: b64encode(digest).decode() for name, digest in digests.items()}


def of_encryption(about: Metadata) -> dict[str, str]:
    """What was asked of encryption, said back, as clients check it."""
    return {n: v for n, v in about.headers.items() if n.startswith("x-amz-server-side-encryption")}


def _sendable(name: str, value: str) -> str:
    """A value from the query may hold what no header can."""
    if not (value.isprintable() and value.encode("latin-1", "replace").decode("latin-1") == value):
        message = "Header value cannot be represented using ISO-8859-1."
        raise invalid_argument(message, name, value)
    return value


def _drop_framing(kept: dict[str, str]) -> None:
    """``aws-chunked`` is how the body travelled, not what it is."""
    codings = [c.strip() for c in kept.get("content-encoding", "").split(",")]
    rest = [c for c in codings if c and c != "aws-chunked"]
    if rest:
        kept["content-encoding"] = ",".join(rest)
    else:
        kept.pop("content-encoding", None)
