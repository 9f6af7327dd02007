"""Object keys as paths: plainly where a file system can hold them, else by a reversible escape.

Two trees hold a bucket. In the *plain* tree the path is the key, so people may look at the files
and drop in their own. What no file system can hold so (``a//b``, ``../x``, ``a/``, names over 255
bytes, ``a/b`` beside ``a``) goes to the *odd* tree, whose names are made here: a segment of
the key is cut into pieces of 80 bytes, percent-encoded, and marked as going on (``,``), as ended
by a slash (``+``) or as the end of the key (``=``). From the 64th slash on, slashes are bytes like
any other, so that no directory is too deep for the programs that people point at it. Escaped names
hold no slash and are never ``.`` or ``..``, so nothing can leave the tree.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from tidemill.storage.errors import InvalidBucketName, InvalidKey, KeyTooLong

LONGEST_KEY = 1024
LONGEST_NAME = 255
DEEPEST = 64
# 80 bytes are at most 240 once percent-encoded: with its mark a piece fits any file system.
PIECE = 80
GOES_ON, SLASH, END = ",", "+", "="
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}")
_PLAIN_NEVER = frozenset(("", ".", ".."))


def check_bucket(name: str) -> str:
    """The name itself, if S3 allows it for a bucket; raises InvalidBucketName."""
    if not _BUCKET.fullmatch(name) or ".." in name or _ADDRESS.fullmatch(name):
        raise InvalidBucketName(
            "a bucket name of 3 to 63 lower-case letters, digits, dots and hyphens, "
            "not formed like an IP address",
            got=name,
            do="Choose another name.",
        )
    return name


def check_key(key: str) -> str:
    """The key itself, if S3 allows it; raises InvalidKey or KeyTooLong."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidKey("a key in UTF-8", got=key, do="Encode the key as UTF-8.") from error
    if not size:
        raise InvalidKey("a key of at least one byte", got=key, do="Name the object.")
    if size > LONGEST_KEY:
        raise KeyTooLong(f"a key of at most {LONGEST_KEY} bytes", got=size, do="Shorten the key.")
    return key


def plain(key: str) -> tuple[str, ...] | None:
    """The key as names of directories and a file; None when a file system cannot hold it so.

    >>> plain("a/b.csv"), plain("a/../b")
    (('a', 'b.csv'), None)
    """
    names = tuple(key.split("/"))
    if "\0" in key or len(names) > DEEPEST or any(n in _PLAIN_NEVER or _is_long(n) for n in names):
        return None
    return names


def escape(key: str) -> tuple[str, ...]:
    """The key as names in the odd tree; ``unescape`` undoes it, whatever the key.

    >>> escape("a//é")
    ('a+', '+', '%C3%A9=')
    """
    *before, last = key.split("/", DEEPEST)
    names = [name for segment in before for name in _pieces(segment, SLASH)]
    return (*names, *_pieces(last, END))


def label(name: str) -> bytes | None:
    """The bytes of the key that one name of the odd tree stands for; None if it is not ours."""
    if name[-1:] not in (GOES_ON, SLASH, END):
        return None
    return unquote_to_bytes(name[:-1]) + (b"/" if name.endswith(SLASH) else b"")


def unescape(names: tuple[str, ...]) -> str:
    """The key that ``escape`` made these names from.

    >>> unescape(escape("a/../b"))
    'a/../b'
    """
    return b"".join(label(name) or b"" for name in names).decode()


def after_all(prefix: str) -> bytes:
    """The least bytes above all keys that begin with ``prefix`` (which is not empty).

    >>> after_all("a/")
    b'a0'
    """
    raw = prefix.encode()
    return raw[:-1] + bytes([raw[-1] + 1])  # UTF-8 never ends in 255


def _pieces(segment: str, mark: str) -> list[str]:
    raw = segment.encode()
    cuts = range(0, len(raw) + 1, PIECE)
    pieces = [quote(raw[cut : cut + PIECE], safe="") for cut in cuts]
    return [*(piece + GOES_ON for piece in pieces[:-1]), pieces[-1] + mark]


def _is_long(name: str) -> bool:
    return len(name) > LONGEST_NAME or len(name.encode()) > LONGEST_NAME
