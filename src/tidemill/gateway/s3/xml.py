"""S3's documents: written from nested pairs, read without trusting them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree
from xml.sax.saxutils import escape

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
Node = tuple[str, "str | int | bool | Sequence[Node]"]
MOST_TAGS = 200_000
"""The longest document that has a meaning completes an upload of 10,000 parts, ten tags a part."""
_UNSAFE = re.compile("[\x00-\x1f\x7f]")


class Unreadable(ValueError):
    """Not well-formed, or with declarations that no S3 document has."""


def document(root: str, children: Sequence[Node], *, namespace: str = NAMESPACE) -> bytes:
    """The XML of nested (name, text or children) pairs.

    >>> document("A", [("B", "1 < 2"), ("C", [("D", True)])], namespace="").decode()
    '<?xml version="1.0" encoding="UTF-8"?>\\n<A><B>1 &lt; 2</B><C><D>true</D></C></A>'
    """
    out = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    out.append(f'<{root} xmlns="{namespace}">' if namespace else f"<{root}>")
    _write(children, out)
    out.append(f"</{root}>")
    return "".join(out).encode("utf-8", "replace")


def parse(body: bytes) -> ElementTree.Element:
    """The root of a document, names without their namespace; raises Unreadable.

    A document type could define entities that grow without bound, so there may be none.
    """
    if b"\0" in body or b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise Unreadable("a document type or a null character")
    if body.count(b"<") > MOST_TAGS:  # elements cost a hundred times the bytes that spell them
        raise Unreadable(f"more than {MOST_TAGS} tags")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  (no document type: nothing to expand)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Unreadable(str(error)) from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _write(children: Sequence[Node], out: list[str]) -> None:
    for name, value in children:
        out.append(f"<{name}>")
        if isinstance(value, str):
            out.append(_text(value))
        elif isinstance(value, bool):
            out.append("true" if value else "false")
        elif isinstance(value, int):
            out.append(str(value))
        else:
            _write(value, out)
        out.append(f"</{name}>")


def _text(value: str) -> str:
    """Control characters by number, as S3 does, though XML 1.0 knows few of them."""
    return _UNSAFE.sub(lambda found: f"&#x{ord(found[0]):x};", escape(value, {'"': "&quot;"}))
