"""The answers of one batch dealt out to the requests that its rows came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from tidemill.algorithms.base import Columns
from tidemill.data import answer
from tidemill.data import content_type as types


def deal(
    columns: Columns, counts: Sequence[int], media: str, response_key: str, names: Sequence[str]
) -> list[bytes]:
    """The body of each request's answer, the same bytes as if it had been answered alone.

    counts: rows of each request · names: columns to answer with; all, when empty
    """
    if sum(counts) >= answer.MANY * len(counts) or len(counts) == 1 or media not in _DEALERS:
        return _by_slices(columns, counts, media, response_key, names)
    line_media, front, between, back = _DEALERS[media]
    lines = answer.encode(columns, line_media, response_columns=names)[0].split(b"\n")
    front = front.replace(b"KEY", orjson.dumps(response_key))
    if len(lines) == len(counts) + 1:
        return [front + line + back for line in lines[:-1]]
    bodies, at = [], 0
    for count in counts:
        bodies.append(front + between.join(lines[at : at + count]) + back)
        at += count
    return bodies


def _by_slices(
    columns: Columns, counts: Sequence[int], media: str, response_key: str, names: Sequence[str]
) -> list[bytes]:
    bodies, at = [], 0
    for count in counts:
        mine = {name: column[at : at + count] for name, column in columns.items()}
        body, _ = answer.encode(mine, media, response_key=response_key, response_columns=names)
        bodies.append(body)
        at += count
    return bodies


# media → (the line format to write, what stands before, between and after the lines of a request)
_DEALERS: Mapping[str, tuple[str, bytes, bytes, bytes]] = {
    types.JSON: (types.JSON_LINES, b"{KEY:[", b",", b"]}"),
    types.JSON_LINES: (types.JSON_LINES, b"", b"\n", b"\n"),
    types.CSV: (types.CSV, b"", b"\n", b"\n"),
}
