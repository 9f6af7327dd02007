"""Objects on their way in: put, copy, tags."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote_to_bytes

from starlette.responses import Response

from tidemill.gateway.s3 import answers, conditions, headers
from tidemill.gateway.s3.body import document, receive
from tidemill.gateway.s3.call import Call, off_loop
from tidemill.gateway.s3.problem import Problem, invalid_argument, malformed_xml
from tidemill.gateway.s3.xml import Node, Unreadable, parse
from tidemill.storage.draft import Draft
from tidemill.storage.metadata import Metadata, ObjectInfo
from tidemill.storage.opened import Opened


async def put(call: Call) -> Response:
    """PutObject."""
    about, check = headers.metadata(call.headers), conditions.write_check(call.headers)

    def keep(draft: Draft, sums: dict[str, str]) -> ObjectInfo:
        full = replace(about, checksums=sums)
        return call.buckets.commit(draft, call.bucket, call.key, full, check=check)

    info = await receive(call, keep, start=lambda: call.buckets.require(call.bucket))
    return answers.empty(headers=_kept(info))


async def copy(call: Call) -> Response:
    """CopyObject: the bytes never leave this machine."""
    info = await off_loop(_copy, call)
    nodes: list[Node] = [
        ("LastModified", answers.moment(info.modified_seconds)),
        ("ETag", f'"{info.etag}"'),
    ]
    nodes += [(f"Checksum{n.upper()}", v) for n, v in info.metadata.checksums.items()]
    return answers.xml("CopyObjectResult", nodes, headers.of_encryption(info.metadata))


async def get_tags(call: Call) -> Response:
    """GetObjectTagging."""
    info = await off_loop(call.buckets.head, call.bucket, call.key)
    tags: list[Node] = [
        ("Tag", [("Key", name), ("Value", value)]) for name, value in info.metadata.tags.items()
    ]
    return answers.xml("Tagging", [("TagSet", tags)])


async def put_tags(call: Call) -> Response:
    """PutObjectTagging: these are all the tags from now on."""
    try:
        found = parse(await document(call)).findall("TagSet/Tag")
    except Unreadable as error:
        raise malformed_xml() from error
    tags = {tag.findtext("Key") or "": tag.findtext("Value") or "" for tag in found}
    headers.check_tags(tags)
    await off_loop(call.buckets.change, call.bucket, call.key, lambda m: replace(m, tags=tags))
    return answers.empty()


async def delete_tags(call: Call) -> Response:
    """DeleteObjectTagging."""
    await off_loop(call.buckets.change, call.bucket, call.key, lambda m: replace(m, tags={}))
    return answers.empty(204)


def source(call: Call) -> Opened:
    """The object that ``x-amz-copy-source`` names, if its conditions hold."""
    bucket, key = source_name(call)
    opened = call.buckets.open(bucket, key)
    try:
        conditions.check_read(opened.info, call.headers, "x-amz-copy-source-")
        _check_not_itself(call, bucket, key)
    except BaseException:
        opened.close()
        raise
    return opened


def source_name(call: Call) -> tuple[str, str]:
    """The bucket and key that ``x-amz-copy-source`` names."""
    header = call.headers["x-amz-copy-source"]
    name, _, version = header.removeprefix("/").partition("?versionId=")
    try:
        bucket, _, key = unquote_to_bytes(name).decode().partition("/")
    except UnicodeDecodeError as error:
        raise _bad_source(header) from error
    if not bucket or not key or version not in ("", "null"):
        raise _bad_source(header)
    return bucket, key


def _copy(call: Call) -> ObjectInfo:
    check = conditions.write_check(call.headers)
    asked = call.headers.get("x-amz-checksum-algorithm", "").lower()
    call.buckets.require(call.bucket)
    with source(call) as opened:
        sums = [name for name, value in opened.info.metadata.checksums.items() if "-" not in value]
        with call.buckets.draft([asked] if asked else sums) as draft:
            draft.copy(opened.file, 0, opened.info.size)
            about = _copied(call, opened.info.metadata, headers.encoded(draft.checksums))
            return call.buckets.commit(draft, call.bucket, call.key, about, check=check)


def _copied(call: Call, before: Metadata, sums: dict[str, str]) -> Metadata:
    new = headers.metadata(call.headers)
    kept = before
    if _replaces(call, "x-amz-metadata-directive"):
        kept = replace(new, tags=before.tags)
    elif headers.of_encryption(new):
        kept = replace(before, headers={**before.headers, **headers.of_encryption(new)})
    if _replaces(call, "x-amz-tagging-directive"):
        kept = replace(kept, tags=new.tags)
    return replace(kept, checksums=sums, parts=())


def _replaces(call: Call, name: str) -> bool:
    value = call.headers.get(name, "COPY")
    if value not in ("COPY", "REPLACE"):
        raise invalid_argument(f"Unknown {name}.", name, value)
    return value == "REPLACE"


def _check_not_itself(call: Call, bucket: str, key: str) -> None:
    changes = _replaces(call, "x-amz-metadata-directive") or any(
        name in call.headers
        for name in ("x-amz-server-side-encryption", "x-amz-storage-class", "x-amz-tagging")
    )
    if (bucket, key) == (call.bucket, call.key) and not changes and call.method == "PUT":
        raise Problem(
            "InvalidRequest",
            400,
            "This copy request is illegal because it is trying to copy an object to itself without "
            "changing the object's metadata, storage class, website redirect location or "
            "encryption attributes.",
        )


def _bad_source(header: str) -> Problem:
    return invalid_argument(
        "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        "x-amz-copy-source",
        header,
    )


def _kept(info: ObjectInfo) -> dict[str, str]:
    return {
        "etag": f'"{info.etag}"',
        **headers.of_checksums(info.metadata.checksums),
        **headers.of_encryption(info.metadata),
    }
