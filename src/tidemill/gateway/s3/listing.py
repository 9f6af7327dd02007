"""ListObjects, versions 1 and 2, and ListObjectVersions of buckets that keep one version."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote

from starlette.responses import Response

from tidemill.gateway.s3 import answers
from tidemill.gateway.s3.call import Call, off_loop
from tidemill.gateway.s3.parameters import number
from tidemill.gateway.s3.problem import invalid_argument
from tidemill.gateway.s3.xml import Node
from tidemill.storage.listing import Page, floor_after, floor_after_marker
from tidemill.storage.metadata import ObjectInfo

Encode = Callable[[str], str]
MOST = 1000


async def version_2(call: Call) -> Response:
    """ListObjectsV2. The token is the floor of the page that follows."""
    token, start = call.query.get("continuation-token"), call.query.get("start-after", "")
    floor = _floor(token) if token is not None else floor_after(start) if start else b""
    page = await _page(call, floor)
    encode = _encoding(call)
    nodes = _head(call, encode)
    if start:
        nodes.append(("StartAfter", encode(start)))
    if token is not None:
        nodes.append(("ContinuationToken", token))
    nodes += [("KeyCount", len(page)), ("IsTruncated", page.next is not None)]
    if page.next is not None:
        nodes.append(("NextContinuationToken", _token(page.next)))
    with_owner = call.query.get("fetch-owner") == "true"
    return answers.xml("ListBucketResult", nodes + _entries(call, page, encode, with_owner))


async def version_1(call: Call) -> Response:
    """ListObjects. The marker is a key or a common prefix."""
    marker = call.query.get("marker", "")
    page = await _page(call, _after(call, marker))
    encode = _encoding(call)
    nodes = [*_head(call, encode), ("Marker", encode(marker))]
    nodes.append(("IsTruncated", page.next is not None))
    if page.next is not None and call.query.get("delimiter"):
        nodes.append(("NextMarker", encode(page.last)))
    return answers.xml("ListBucketResult", nodes + _entries(call, page, encode, True))


async def versions(call: Call) -> Response:
    """ListObjectVersions: each object is its own latest version, called null."""
    marker = call.query.get("key-marker", "")
    page = await _page(call, _after(call, marker))
    encode = _encoding(call)
    nodes = [*_head(call, encode), ("KeyMarker", encode(marker)), ("VersionIdMarker", "")]
    nodes.append(("IsTruncated", page.next is not None))
    if page.next is not None:
        nodes += [("NextKeyMarker", encode(page.last)), ("NextVersionIdMarker", "null")]
    for info in page.objects:
        version: list[Node] = [("VersionId", "null"), ("IsLatest", True)]
        owner = answers.owner(call.server.account)
        nodes.append(("Version", [*_entry(info, encode), *version, owner]))
    return answers.xml("ListVersionsResult", nodes + _prefixes(page, encode))


async def _page(call: Call, floor: bytes) -> Page:
    return await off_loop(
        call.buckets.page,
        call.bucket,
        prefix=call.query.get("prefix", ""),
        delimiter=call.query.get("delimiter", ""),
        floor=floor,
        limit=_limit(call),
    )


def _limit(call: Call) -> int:
    return number(call, "max-keys", low=0, high=MOST, default=MOST)


def _after(call: Call, marker: str) -> bytes:
    return floor_after_marker(marker, call.query.get("prefix", ""), call.query.get("delimiter", ""))


def _head(call: Call, encode: Encode) -> list[Node]:
    nodes: list[Node] = [
        ("Name", call.bucket),
        ("Prefix", encode(call.query.get("prefix", ""))),
        ("MaxKeys", _limit(call)),
    ]
    if call.query.get("delimiter"):
        nodes.append(("Delimiter", encode(call.query["delimiter"])))
    if call.query.get("encoding-type"):
        nodes.append(("EncodingType", "url"))
    return nodes


def _entries(call: Call, page: Page, encode: Encode, with_owner: bool) -> list[Node]:
    owner = [answers.owner(call.server.account)] if with_owner else []
    contents: list[Node] = [("Contents", [*_entry(i, encode), *owner]) for i in page.objects]
    return contents + _prefixes(page, encode)


def _entry(info: ObjectInfo, encode: Encode) -> list[Node]:
    sums: list[Node] = [("ChecksumAlgorithm", name.upper()) for name in info.metadata.checksums]
    return [
        ("Key", encode(info.key)),
        ("LastModified", answers.moment(info.modified_seconds)),
        ("ETag", f'"{info.etag}"'),
        *sums,
        ("Size", info.size),
        ("StorageClass", "STANDARD"),
    ]


def _prefixes(page: Page, encode: Encode) -> list[Node]:
    return [("CommonPrefixes", [("Prefix", encode(prefix))]) for prefix in page.prefixes]


def _encoding(call: Call) -> Encode:
    kind = call.query.get("encoding-type", "")
    if kind not in ("", "url"):
        raise invalid_argument(
            "Invalid Encoding Method specified in Request", "encoding-type", kind
        )
    return (lambda text: quote(text, safe="/")) if kind else (lambda text: text)


def _token(floor: bytes) -> str:
    return urlsafe_b64encode(b"1" + floor).decode()


def _floor(token: str) -> bytes:
    try:
        raw = urlsafe_b64decode(token.encode())
    except ValueError:
        raw = b""
    if not raw.startswith(b"1"):
        message = "The continuation token provided is incorrect"
        raise invalid_argument(message, "continuation-token", token)
    return raw[1:]
