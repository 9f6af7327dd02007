"""Uploads in parts: start, send or copy parts, complete, abort, look."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

from starlette.responses import Response

from tidemill.gateway.s3 import answers, conditions, headers, ranges
from tidemill.gateway.s3.body import document, receive
from tidemill.gateway.s3.call import Call, off_loop
from tidemill.gateway.s3.parameters import number, part_number
from tidemill.gateway.s3.problem import Problem, invalid_argument, malformed_xml, not_implemented
from tidemill.gateway.s3.puts import source
from tidemill.gateway.s3.xml import Node, Unreadable, parse
from tidemill.storage.checksum import ALGORITHMS, CRCS
from tidemill.storage.draft import Draft
from tidemill.storage.errors import BadDigest
from tidemill.storage.multipart import COMPOSITE, FULL, MOST_PARTS, Part, Upload


async def create(call: Call) -> Response:
    """CreateMultipartUpload."""
    about = headers.metadata(call.headers)
    name = call.headers.get("x-amz-checksum-algorithm", "").lower()
    if name and name not in ALGORITHMS:
        raise not_implemented(f"the checksum {name.upper()}; use {', '.join(ALGORITHMS)}")
    default = FULL if name == "crc64nvme" else COMPOSITE
    kind = call.headers.get("x-amz-checksum-type", default).upper()
    if kind not in (FULL, COMPOSITE) or (kind == FULL and name and name not in CRCS):
        raise Problem(
            "InvalidRequest",
            400,
            f"The {kind} checksum type cannot be used with the {name} checksum algorithm.",
        )
    upload = await off_loop(call.uploads.create, call.bucket, call.key, about, name, kind)
    nodes: list[Node] = [("Bucket", call.bucket), ("Key", call.key), ("UploadId", upload.id)]
    out = headers.of_encryption(about)
    if name:
        out |= {"x-amz-checksum-algorithm": name.upper(), "x-amz-checksum-type": kind}
    return answers.xml("InitiateMultipartUploadResult", nodes, out)


async def put_part(call: Call) -> Response:
    """UploadPart."""
    which = part_number(call)

    def keep(draft: Draft, _: dict[str, str]) -> Part:
        return call.uploads.put_part(call.bucket, _find_now(call), which, draft)

    part = await receive(call, keep, start=lambda: _find_now(call))
    out = headers.of_checksums(_base64(part))
    out.pop("x-amz-checksum-type", None)
    return answers.empty(headers={"etag": f'"{part.etag}"', **out})


async def copy_part(call: Call) -> Response:
    """UploadPartCopy: a part from (a range of) an object."""
    upload, which = await _find(call), part_number(call)
    part = await off_loop(_copy_part, call, upload, which)
    nodes: list[Node] = [
        ("LastModified", answers.moment(part.modified)),
        ("ETag", f'"{part.etag}"'),
        *((f"Checksum{n.upper()}", v) for n, v in _base64(part).items()),
    ]
    return answers.xml("CopyPartResult", nodes)


async def complete(call: Call) -> Response:
    """CompleteMultipartUpload."""
    upload, check = await _find(call), conditions.write_check(call.headers)
    named = _named(await document(call, is_summed=False))  # its checksums are of the object
    wanted = [(which, etag) for which, etag, _ in named]

    def verify(known: Mapping[int, Part], whole: Mapping[str, str]) -> None:
        for which, _, sums in named:
            _compare(sums, _base64(known[which]), f"part {which}")
        _compare(headers.checksums(call.headers), whole, "the object")

    info = await off_loop(
        call.uploads.complete, call.bucket, upload, wanted, verify=verify, check=check
    )
    location = f"http://{call.headers.get('host', '')}/{call.bucket}/{call.key}"
    nodes: list[Node] = [
        ("Location", location),
        ("Bucket", call.bucket),
        ("Key", call.key),
        ("ETag", f'"{info.etag}"'),
        *((f"Checksum{n.upper()}", v) for n, v in info.metadata.checksums.items()),
    ]
    if info.metadata.checksums:
        nodes.append(("ChecksumType", upload.checksum_type))
    out = headers.of_encryption(info.metadata)
    return answers.xml("CompleteMultipartUploadResult", nodes, out)


async def abort(call: Call) -> Response:
    """AbortMultipartUpload."""
    upload = await _find(call)
    await off_loop(call.uploads.abort, call.bucket, upload)
    return answers.empty(204)


async def list_parts(call: Call) -> Response:
    """ListParts."""
    upload = await _find(call)
    after = number(call, "part-number-marker", low=0, high=MOST_PARTS, default=0)
    most = number(call, "max-parts", low=0, high=1000, default=1000)
    known = await off_loop(call.uploads.parts, call.bucket, upload)
    parts = [part for part in known if part.number > after]
    page = parts[:most]
    nodes: list[Node] = [
        ("Bucket", call.bucket),
        ("Key", call.key),
        ("UploadId", upload.id),
        answers.owner(call.server.account, "Initiator"),
        answers.owner(call.server.account),
        ("StorageClass", "STANDARD"),
        ("PartNumberMarker", after),
        ("NextPartNumberMarker", page[-1].number if page else after),
        ("MaxParts", most),
        ("IsTruncated", len(parts) > len(page) > 0),
    ]
    return answers.xml("ListPartsResult", [*nodes, *(_part_node(part) for part in page)])


async def list_uploads(call: Call) -> Response:
    """ListMultipartUploads."""
    prefix = call.query.get("prefix", "")
    marker, id_marker = call.query.get("key-marker", ""), call.query.get("upload-id-marker", "")
    most = number(call, "max-uploads", low=0, high=1000, default=1000)
    found = await off_loop(call.uploads.list, call.bucket, prefix)
    ids = [u.id for u in found if u.key == marker]
    left = set(ids[ids.index(id_marker) + 1 :]) if id_marker in ids else set()
    rest = [u for u in found if u.key > marker or u.id in left or not marker]
    page = rest[:most]
    nodes: list[Node] = [
        ("Bucket", call.bucket),
        ("KeyMarker", marker),
        ("UploadIdMarker", id_marker),
        ("Prefix", prefix),
        ("MaxUploads", most),
        ("IsTruncated", len(rest) > len(page) > 0),
    ]
    if len(rest) > len(page) > 0:
        nodes += [("NextKeyMarker", page[-1].key), ("NextUploadIdMarker", page[-1].id)]
    uploads = [_upload_node(call, upload) for upload in page]
    return answers.xml("ListMultipartUploadsResult", [*nodes, *uploads])


async def _find(call: Call) -> Upload:
    return await off_loop(_find_now, call)


def _find_now(call: Call) -> Upload:
    return call.uploads.find(call.bucket, call.key, call.query.get("uploadId", ""))


def _copy_part(call: Call, upload: Upload, which: int) -> Part:
    header = call.headers.get("x-amz-copy-source-range")
    names = [upload.algorithm] if upload.algorithm else []
    with source(call) as opened, call.buckets.draft(names) as draft:
        span = ranges.parse(header, opened.info.size) if header else (0, opened.info.size)
        if span is None:
            raise invalid_argument(
                "The x-amz-copy-source-range value must be of the form bytes=first-last",
                "x-amz-copy-source-range",
                header or "",
            )
        draft.copy(opened.file, *span)
        return call.uploads.put_part(call.bucket, upload, which, draft)


def _named(body: bytes) -> list[tuple[int, str, dict[str, str]]]:
    """Number, etag and checksums of each part that the client lists."""
    try:
        root = parse(body)
    except Unreadable as error:
        raise malformed_xml() from error
    parts = [_named_part(one) for one in root.findall("Part")]
    if root.tag != "CompleteMultipartUpload" or not 0 < len(parts) <= MOST_PARTS:
        raise malformed_xml()
    return parts


def _named_part(one: ElementTree.Element) -> tuple[int, str, dict[str, str]]:
    text = (one.findtext("PartNumber") or "").strip()
    if not (text.isascii() and text.isdecimal()):
        raise malformed_xml()
    sums = {
        child.tag.removeprefix("Checksum").lower(): (child.text or "").strip()
        for child in one
        if child.tag.startswith("Checksum")
    }
    return int(text), (one.findtext("ETag") or "").strip().strip('"'), sums


def _compare(given: Mapping[str, str], known: Mapping[str, str], what: str) -> None:
    for name, value in given.items():
        # A composite may be given without its "-N".
        if name in known and value not in (known[name], known[name].rpartition("-")[0]):
            raise BadDigest(
                f"the {name.upper()} of {what}, {value!r}",
                got=known[name],
                do="Upload it again, or send the checksum that was answered.",
            )


def _base64(part: Part) -> dict[str, str]:
    return headers.encoded({name: bytes.fromhex(hex_) for name, hex_ in part.checksums.items()})


def _part_node(part: Part) -> Node:
    return (
        "Part",
        [
            ("PartNumber", part.number),
            ("LastModified", answers.moment(part.modified)),
            ("ETag", f'"{part.etag}"'),
            ("Size", part.size),
            *((f"Checksum{n.upper()}", v) for n, v in _base64(part).items()),
        ],
    )


def _upload_node(call: Call, upload: Upload) -> Node:
    return (
        "Upload",
        [
            ("Key", upload.key),
            ("UploadId", upload.id),
            answers.owner(call.server.account, "Initiator"),
            answers.owner(call.server.account),
            ("StorageClass", "STANDARD"),
            ("Initiated", answers.moment(upload.started)),
        ],
    )
