"""How the answer to many rows is put together of the answers to slices of them."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from tidemill.data import content_type as types


class Seam(NamedTuple):
    """What stands before the rows of an answer, between two of them, and behind the last.

    >>> seam = Seam(b"[", b",", b"]")
    >>> seam.piece(b"[1,2]", first=True, last=False) + seam.piece(b"[3]", first=False, last=True)
    b'[1,2,3]'
    """

    front: bytes = b""
    between: bytes = b""
    back: bytes = b""

    def piece(self, answer: bytes, *, first: bool, last: bool) -> bytes:
        """What the answer to a slice adds to the answer to all."""
        end = len(answer) if last else len(answer) - len(self.back)
        return answer[:end] if first else self.between + answer[len(self.front) : end]


def seam(media: str, response_key: str) -> Seam | None:
    """That of answers as ``answer`` writes them; None for types that do not go row by row.

    >>> seam("application/json", "predictions").front
    b'{"predictions":['
    """
    if media == types.JSON:
        return Seam(b"{%b:[" % orjson.dumps(response_key), b",", b"]}")
    return Seam() if media in (types.JSON_LINES, types.CSV, types.RECORDIO) else None
