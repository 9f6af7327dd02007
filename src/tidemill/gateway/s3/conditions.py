"""If-Match and its kin: should this request be answered, given what the object is now?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

from tidemill.gateway.s3.problem import Problem, not_implemented
from tidemill.storage.errors import NoSuchKey, PreconditionFailed
from tidemill.storage.metadata import ObjectInfo

Check = Callable[[ObjectInfo | None], None]


def check_read(info: ObjectInfo, headers: Mapping[str, str], prefix: str = "") -> None:
    """Raises PreconditionFailed, or Problem 304 when the client already has it (RFC 9110, 13.2.2).

    prefix: ``x-amz-copy-source-`` for the source of a copy, where "has it" is a failure too.
    """
    match, since = headers.get(f"{prefix}if-match"), headers.get(f"{prefix}if-unmodified-since")
    if match is not None:
        if not _matches(info, match):
            raise _failed("If-Match", match)
    elif since is not None and _is_modified(info, since, default=False):
        raise _failed("If-Unmodified-Since", since)
    none, new = headers.get(f"{prefix}if-none-match"), headers.get(f"{prefix}if-modified-since")
    if none is not None:
        has_it = _matches(info, none)
    else:
        has_it = new is not None and not _is_modified(info, new, default=True)
    if has_it and prefix:
        raise _failed("If-None-Match" if none else "If-Modified-Since", none or new or "")
    if has_it:
        raise Problem("NotModified", 304, "Not Modified", {"etag": f'"{info.etag}"'})


def write_check(headers: Mapping[str, str]) -> Check | None:
    """What to hold against the object that a put, completed upload or delete would replace."""
    match, none = headers.get("if-match"), headers.get("if-none-match")
    if none is not None and none.strip() != "*":
        raise not_implemented("If-None-Match other than *")
    if match is None and none is None:
        return None

    def check(now: ObjectInfo | None) -> None:
        if none is not None and now is not None:
            raise _failed("If-None-Match", now.etag)
        if match is not None and now is None:
            raise NoSuchKey("an object to match", got=None, do="Leave out If-Match to create it.")
        if match is not None and now is not None and not _matches(now, match):
            raise _failed("If-Match", now.etag)

    return check


def _matches(info: ObjectInfo, header: str) -> bool:
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")]
    return "*" in tags or info.etag in tags


def _is_modified(info: ObjectInfo, date: str, *, default: bool) -> bool:
    """HTTP dates have whole seconds; one that cannot be read counts as none."""
    try:
        return int(info.modified_seconds) > parsedate_to_datetime(date).timestamp()
    except ValueError:
        return default


def _failed(condition: str, got: str) -> PreconditionFailed:
    return PreconditionFailed(
        f"a fulfilled {condition}", got=got, do="Read the object's ETag anew."
    )
