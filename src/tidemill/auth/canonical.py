"""The one form of a request that both sides sign (AWS Signature Version 4, canonical request)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

# Paths that normalisation and double encoding leave alone: nearly all of them.
_PLAIN = re.compile(r"/|(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+/?")
_SPACES = re.compile(r"[ \t]+")


def path(sent: str, service: str) -> str:
    """S3 signs the path as sent; every other service signs it normalised and encoded once more.

    >>> path("/a//b/../c%20d", "sagemaker")
    '/a/c%2520d'
    >>> path("/a//b/../c%20d", "s3")
    '/a//b/../c%20d'
    """
    if service == "s3" or _PLAIN.fullmatch(sent):
        return sent
    return quote(_without_dots(sent), safe="/~")


def _without_dots(sent: str) -> str:
    kept: list[str] = []
    for part in sent.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    closing = "/" if kept and sent.endswith("/") else ""
    return "/" + "/".join(kept) + closing


def query(sent: str, *, without: str = "") -> str:
    """The parameters in order of name and value, as encoded by the sender.

    >>> query("b=2&uploads&a=1&a=0", without="b")
    'a=0&a=1&uploads='
    """
    if not sent:
        return ""
    pairs = [pair.partition("=") for pair in sent.split("&")]
    kept = sorted((name, value) for name, _, value in pairs if name != without or not without)
    return "&".join([f"{name}={value}" for name, value in kept])


def headers(sent: Mapping[str, str], names: Sequence[str]) -> str:
    """One line a signed header. A header that is signed but absent counts as empty."""
    return "".join([f"{name}:{_trimmed(sent.get(name, ''))}\n" for name in names])


def _trimmed(value: str) -> str:
    value = value.strip(" \t")
    return _SPACES.sub(" ", value) if "  " in value or "\t" in value else value
