"""What one algorithm answers, read as another one's request: the steps of a pipeline.

An answer with one number or vector a row has the rows of the next step in it, be it written as
``{"projections":[{"projection":[1,2]}]}``, as ``{"projection":[1,2]}`` a line, or as records whose
label is named ``projection``. CSV needs no such reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tidemill.data import content_type as types
from tidemill.data.batch import Batch, floats
from tidemill.data.formats import recordio
from tidemill.data.recordio.frames import HEADER
from tidemill.data.recordio.record import Malformed, parse
from tidemill.errors import InvalidData

KEYS = ("projections", "predictions", "scores")
"""Of the list that a JSON answer holds."""
MEMBERS = ("projection", "topic_mixture", "score", "predicted_label")
"""What an answer's one member can be."""


def read(body: bytes, media: str) -> Batch | None:
    """The rows of an answer; None when it is none, or has more than one member a row."""
    finder = _FINDERS.get(media)
    try:
        values = finder(body) if finder else ()
        table = values if isinstance(values, np.ndarray) else np.array(list(values))
    except (InvalidData, Malformed, ValueError, TypeError, KeyError, AttributeError):
        return None
    if table.dtype.kind not in "fiu" or table.ndim > 2 or not table.size:
        return None
    return Batch(floats(table.reshape(len(table), -1)))


def _json(body: bytes) -> Iterable[Any]:
    [(key, records)] = orjson.loads(body).items()
    return map(_member, records) if key in KEYS else ()


def _json_lines(body: bytes) -> Iterable[Any]:
    return (_member(orjson.loads(line)) for line in body.splitlines() if line.strip())


def _records(body: bytes) -> Iterable[Any]:
    table = _alike(body)
    return _one_by_one(body) if table is None else table


def _alike(body: bytes) -> NDArray[Any] | None:
    """The values of many records of one length that differ in nothing else, and end with them."""
    length = int.from_bytes(body[4:HEADER], "little")
    stride, end = HEADER + (length + 3 & ~3), HEADER + length
    if len(body) <= stride or len(body) % stride:
        return None
    record = parse(body[HEADER:end])
    values: NDArray[Any] = _member(record.label).values
    begin = end - values.nbytes
    table = np.frombuffer(body, np.uint8).reshape(-1, stride)
    around = np.r_[0:begin, end:stride]
    is_alike = (table[:, around] == table[0, around]).all()
    if record.features or body[begin:end] != values.tobytes() or not is_alike:
        return None
    return np.ascontiguousarray(table[:, begin:end]).view(values.dtype)


def _one_by_one(body: bytes) -> Iterable[Any]:
    for record in recordio.read_records(body):
        if record.features:
            raise ValueError("a request's record")
        yield _member(record.label).values


def _member(record: Mapping[str, Any]) -> Any:
    """The one value of a row. Raises ValueError."""
    [(name, value)] = record.items()
    if name not in MEMBERS:
        raise ValueError(name)
    return value


_FINDERS: Mapping[str, Callable[[bytes], Iterable[Any]]] = {
    types.JSON: _json,
    types.JSON_LINES: _json_lines,
    types.RECORDIO: _records,
}
