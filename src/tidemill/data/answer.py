"""Answers by name to the bytes that the caller accepts: one encoder for every algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tidemill.data import content_type as types
from tidemill.data.batch import floats
from tidemill.data.formats import arrow_stream, npy, npz, parquet
from tidemill.data.recordio import encode as recordio
from tidemill.data.recordio.record import LABEL
from tidemill.errors import UnsupportedType
from tidemill.kernels import rows as kernel

Columns = Mapping[str, NDArray[Any]]

ANSWERED = (
    types.JSON,
    types.JSON_LINES,
    types.CSV,
    types.RECORDIO,
    types.NPY,
    types.NPZ,
    types.PARQUET,
    types.ARROW,
)
"""Content types that an answer can have, the preferred one first."""

FEW = 4
"""Rows up to which a dictionary for each is the quickest way."""

MANY = 64
"""Rows from which on the kernel is worth its call."""


def encode(
    columns: Columns,
    accept: str | None = None,
    *,
    response_key: str = "predictions",
    response_columns: Sequence[str] = (),
    default: str = types.JSON,
) -> tuple[bytes, str]:
    """The body of an answer and its content type.

    columns: name → (rows,) or (rows, width); integers and floats keep their looks (1 and 1.0)
    accept: the request's Accept header · response_key: the list's name in JSON
    response_columns: which columns, in which order; all, when empty
    default: the type for no preference (see ``in_kind``)
    Raises UnsupportedType when nothing that the caller accepts can be written.
    """
    media = negotiate(accept, default)
    if response_columns:
        columns = {name: columns[name] for name in response_columns if name in columns}
    return ENCODERS[media](columns, response_key), media


def in_kind(content_type: str | None, csv_accept: str = types.CSV) -> str:
    """The answer's type for a caller without a preference, from the type of the request.

    CSV is answered as the algorithm's declaration says, JSON Lines in kind, the rest in JSON.
    """
    media = types.parse(content_type).media
    if media == types.CSV:
        return types.parse(csv_accept).media
    return media if media == types.JSON_LINES else types.JSON


@lru_cache(maxsize=256)
def negotiate(
    accept: str | None, default: str = types.JSON, answered: Sequence[str] = ANSWERED
) -> str:
    """The type to answer with: the supported one of the highest q, the first one among equals.

    default: for no preference · answered: all that can be (a tuple)

    >>> negotiate("text/html, text/csv;q=0.5, application/*;q=0.9")
    'application/json'
    """
    ranges = [part for part in (accept or "*/*").split(",") if part.strip()]
    wanted = [(q, media) for q, media in map(_range, ranges) if media is not None and q > 0]
    for _, media in sorted(wanted, key=lambda pair: -pair[0]):
        found = _match(media, default, answered)
        if found:
            return found
    raise UnsupportedType(
        f"Accept must allow one of {', '.join(answered)}",
        got=accept,
        do="Send one of these as Accept, or */*.",
    )


@lru_cache(maxsize=256)
def parameters_of(accept: str | None, media: str) -> Mapping[str, str]:
    """The parameters that an Accept header gives to a type, under any of its names.

    >>> parameters_of("application/json; verbose=true", "application/json")
    {'verbose': 'true'}
    """
    for part in (accept or "").split(","):
        named, parameters = types.split(part)
        if types.ALIASES.get(named) == media:
            return parameters
    return {}


@lru_cache(maxsize=256)
def is_verbose(accept: str | None) -> bool:
    """Whether the caller wants all that there is to say (``verbose=true`` in Accept)."""
    parts = [types.split(part)[1] for part in (accept or "").split(",")]
    return any(parameters.get("verbose", "").lower() == "true" for parameters in parts)


def _range(part: str) -> tuple[float, str]:
    media, parameters = types.split(part)
    try:
        return float(parameters.get("q", "1")), media
    except ValueError:
        return 0.0, media


def _match(media: str, default: str, answered: Sequence[str]) -> str | None:
    """The answer's type for one media range."""
    if media.endswith("/*"):
        prefix = "" if media == "*/*" else media[:-1]
        return next((m for m in (default, *answered) if m.startswith(prefix)), None)
    known = types.ALIASES.get(media)
    return known if known in answered else None


def _json(columns: Columns, response_key: str) -> bytes:
    if _rows(columns) <= FEW:
        return orjson.dumps({response_key: _records(columns)}, option=orjson.OPT_SERIALIZE_NUMPY)
    key = orjson.dumps(response_key)
    if lines := _lines(columns, *_members(columns, b"},")):
        return b"{%b:[%b]}" % (key, lines[:-1])
    return b"{%b:[%b]}" % (key, b",".join(_objects(columns)))


def _json_lines(columns: Columns, response_key: str) -> bytes:
    if _rows(columns) <= FEW:
        option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
        return b"".join([orjson.dumps(r, option=option) for r in _records(columns)])
    lines = _lines(columns, *_members(columns, b"}\n"))
    return lines or b"\n".join([*_objects(columns), b""])


def _csv(columns: Columns, response_key: str) -> bytes:
    commas = [b"", *[b","] * (len(columns) - 1), b"\n"]
    if lines := _lines(columns, commas, "bare"):
        return lines
    cells = [_texts(column) for column in columns.values()]
    if any(column.ndim == 2 for column in columns.values()):
        cells = [[text.strip(b"[]") for text in column] for column in cells]
    return b"\n".join([*map(b",".join, zip(*cells, strict=True)), b""])


def _recordio(columns: Columns, response_key: str) -> bytes:
    tensors = [(LABEL, name, floats(a)) for name, a in columns.items()]
    return recordio.fixed(tensors)


ENCODERS: Mapping[str, Callable[[Columns, str], bytes]] = {
    types.JSON: _json,
    types.JSON_LINES: _json_lines,
    types.CSV: _csv,
    types.RECORDIO: _recordio,
    types.NPY: lambda columns, _: npy.encode(columns),
    types.NPZ: lambda columns, _: npz.encode(columns),
    types.PARQUET: lambda columns, _: parquet.encode(columns),
    types.ARROW: lambda columns, _: arrow_stream.encode(columns),
}


def _rows(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _records(columns: Columns) -> list[dict[str, Any]]:
    """A dictionary for each row, of NumPy values, which orjson writes as they are."""
    return [{name: a[i] for name, a in columns.items()} for i in range(_rows(columns))]


def _objects(columns: Columns) -> list[bytes]:
    """The JSON object of each row, put together from the texts of whole columns."""
    names = [orjson.dumps(name).replace(b"%", b"%%") for name in columns]
    form = b"{%b}" % b",".join([name + b":%b" for name in names])
    return list(map(form.__mod__, zip(*map(_texts, columns.values()), strict=True)))


def _members(columns: Columns, end: bytes) -> tuple[list[bytes], kernel.Looks]:
    """What stands around the values of a JSON object, and how wide ones look there."""
    names = [orjson.dumps(name) for name in columns]
    opened = [b"{", *[b","] * (len(names) - 1)]
    words = [mark + name + b":" for mark, name in zip(opened, names, strict=True)]
    return [*words, end], "brackets"


def _lines(columns: Columns, words: list[bytes], wide: kernel.Looks) -> bytes | None:
    """All rows by the kernel; None where they are few, or not of numbers."""
    if _rows(columns) < MANY or any(a.dtype.kind not in "fiub" for a in columns.values()):
        return None
    looks: list[kernel.Looks] = [wide if a.ndim == 2 else "plain" for a in columns.values()]
    return kernel.interleave(
        [_text(column) for column in columns.values()], looks, words, _rows(columns)
    )


def _texts(column: NDArray[Any]) -> list[bytes]:
    """The JSON of each row's value, written in one go."""
    if len(column) == 0:
        return []
    if column.dtype.kind not in "fiub":
        return [orjson.dumps(value) for value in column.tolist()]
    text = _text(column)
    if column.ndim == 1:
        return text.split(b",")
    return [b"[%b]" % row for row in text[1:-1].split(b"],[")]


def _text(column: NDArray[Any]) -> bytes:
    """The JSON of all values with commas between them; a float32 in its shortest form."""
    text = orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY)
    return text[1:-1]
