"""Objects on their way out, and their end: get, head, attributes, delete."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tidemill.errors import TidemillError
from tidemill.gateway.s3 import answers, conditions, headers, ranges
from tidemill.gateway.s3.allowed import must_allow
from tidemill.gateway.s3.body import document
from tidemill.gateway.s3.call import Call, off_loop
from tidemill.gateway.s3.parameters import part_number
from tidemill.gateway.s3.problem import Problem, explain, malformed_xml
from tidemill.gateway.s3.xml import Node, Unreadable, parse
from tidemill.storage.metadata import ObjectInfo
from tidemill.storage.opened import BLOCK, Opened

MOST_DELETED = 1000


class Download(StreamingResponse):
    """Some bytes of an open object, read in a thread while the ones before are sent."""

    def __init__(
        self, opened: Opened, start: int, stop: int, status: int, head: Mapping[str, str]
    ) -> None:
        super().__init__(self._blocks(start, stop), status, head)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._opened.close()

    async def _blocks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        for begin in range(start, stop, BLOCK):
            yield await off_loop(self._opened.read, begin, min(BLOCK, stop - begin))


async def get(call: Call) -> Response:
    """GetObject."""
    opened, start, stop, status, head, data = await off_loop(_read, call)
    if data is None:
        return Download(opened, start, stop, status, head)
    return Response(data, status, head)


async def head(call: Call) -> Response:
    """HeadObject."""
    info = await off_loop(call.buckets.head, call.bucket, call.key)
    conditions.check_read(info, call.headers)
    _, _, status, out = _span(call, info)
    return answers.empty(status, out)


async def attributes(call: Call) -> Response:
    """GetObjectAttributes: those that the header asks for."""
    asked = {n.strip() for n in call.headers.get("x-amz-object-attributes", "").split(",")}
    info = await off_loop(call.buckets.head, call.bucket, call.key)
    sums: list[Node] = [
        (f"Checksum{name.upper()}", value) for name, value in info.metadata.checksums.items()
    ]
    known: dict[str, Node] = {
        "ETag": ("ETag", info.etag),
        "Checksum": ("Checksum", sums),
        "ObjectParts": ("ObjectParts", [("TotalPartsCount", len(info.metadata.parts))]),
        "StorageClass": ("StorageClass", "STANDARD"),
        "ObjectSize": ("ObjectSize", info.size),
    }
    if not asked & set(known):
        raise Problem("InvalidArgument", 400, f"Invalid attribute name specified: {sorted(asked)}")
    wanted = [node for name, node in known.items() if name in asked and node[1] != []]
    changed = {"last-modified": headers.of_object(info, {})["last-modified"]}
    return answers.xml("GetObjectAttributesResponse", wanted, changed)


async def delete(call: Call) -> Response:
    """DeleteObject: fine too when there was none."""
    check = conditions.write_check(call.headers)
    await off_loop(call.buckets.delete, call.bucket, call.key, check)
    return answers.empty(204)


async def delete_many(call: Call) -> Response:
    """DeleteObjects: each key has its own outcome."""
    wanted, is_quiet = _to_delete(await document(call))
    nodes = await off_loop(_delete_all, call, wanted)
    return answers.xml("DeleteResult", [n for n in nodes if n[0] == "Error" or not is_quiet])


def _read(call: Call) -> tuple[Opened, int, int, int, dict[str, str], bytes | None]:
    """Small answers are read at once, while we are off the loop."""
    opened = call.buckets.open(call.bucket, call.key)
    try:
        conditions.check_read(opened.info, call.headers)
        start, stop, status, out = _span(call, opened.info)
        small = opened.read(start, stop - start) if stop - start <= BLOCK else None
    except BaseException:
        opened.close()
        raise
    if small is not None:
        opened.close()
    return opened, start, stop, status, out, small


def _span(call: Call, info: ObjectInfo) -> tuple[int, int, int, dict[str, str]]:
    """Start, stop, status and headers of what is asked for."""
    out = headers.of_object(info, call.query)
    span = ranges.parse(call.headers["range"], info.size) if "range" in call.headers else None
    if span is None and call.query.get("partNumber"):
        span = _part(call, info)
        out["x-amz-mp-parts-count"] = str(max(1, len(info.metadata.parts)))
    start, stop = span or (0, info.size)
    out["content-length"] = str(stop - start)
    if span:
        out["content-range"] = f"bytes {start}-{stop - 1}/{info.size}"
        return start, stop, 206, out
    # The checksums are of the whole: beside a part of it clients would find them wrong.
    if call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        out |= headers.of_checksums(info.metadata.checksums)
    return start, stop, 200, out


def _part(call: Call, info: ObjectInfo) -> tuple[int, int] | None:
    number, sizes = part_number(call), info.metadata.parts or (info.size,)
    if number > len(sizes):
        message = "The requested partnumber is not satisfiable"
        raise Problem("InvalidPartNumber", 416, message, ActualPartCount=str(len(sizes)))
    start = sum(sizes[: number - 1])
    return (start, start + sizes[number - 1]) if info.size else None


def _to_delete(body: bytes) -> tuple[list[str], bool]:
    try:
        root = parse(body)
    except Unreadable as error:
        raise malformed_xml() from error
    keys = [one.findtext("Key") or "" for one in root.findall("Object")]
    if root.tag != "Delete" or not 0 < len(keys) <= MOST_DELETED:
        raise malformed_xml()
    return keys, (root.findtext("Quiet") or "").strip().lower() == "true"


def _delete_all(call: Call, keys: list[str]) -> list[Node]:
    call.buckets.require(call.bucket)
    return [_delete_one(call, key) for key in keys]


def _delete_one(call: Call, key: str) -> Node:
    try:
        must_allow(call, "DeleteObject", call.bucket, key)
        call.buckets.delete(call.bucket, key)
    except TidemillError as error:
        problem = explain(error)
        return ("Error", [("Key", key), ("Code", problem.code), ("Message", problem.message)])
    return ("Deleted", [("Key", key)])
