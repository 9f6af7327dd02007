"""Bodies of requests straight into floats, some hundred megabytes a second; and answers back."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels.load import BYTES, FLOATS, INT64, SIZE, function, library

Form = Literal["json", "jsonlines", "csv"]
Looks = Literal["plain", "brackets", "bare"]
_FORMS: dict[Form, int] = {"json": 0, "jsonlines": 1, "csv": 2}
_LOOKS: dict[Looks, int] = {"plain": 0, "brackets": 1, "bare": 2}


def read(body: bytes, form: Form) -> NDArray[np.float32] | None:
    """The (rows, columns) of a body, or None when it must be read in another way.

    json: ``{"instances":[…]}`` with instances ``{"features":[1,2]}`` or
    ``{"data":{"features":{"values":[1,2]}}}`` and nothing else · jsonlines: such a one a line
    csv: numbers apart by commas, NaN where there is none
    Each number is the float nearest to the double nearest to what is written.

    >>> read(b"1,2.5\\n3,-4\\n", "csv").tolist()
    [[1.0, 2.5], [3.0, -4.0]]
    """
    functions = _functions()
    data = np.frombuffer(body, np.uint8)
    values = np.empty(functions.most(data, len(data)), np.float32)
    shape = np.zeros(2, np.int64)
    if not functions.read(data, len(data), _FORMS[form], values, len(values), shape):
        return None
    rows, columns = shape.tolist()
    return values[: rows * columns].reshape(rows, columns)


def interleave(
    texts: Sequence[bytes], looks: Sequence[Looks], words: Sequence[bytes], rows: int
) -> bytes:
    """Rows of one cell from each column's text, with words before each cell and behind the last.

    texts: cells with commas between them · looks: whether a cell is ``plain``, or a list in
    ``brackets``, which are left away when it is to be ``bare`` · words: one more than texts
    Raises ValueError when a text does not have that many cells.

    >>> interleave([b"1,2", b"[3],[4]"], ["plain", "bare"], [b"(", b" ", b")"], 2)
    b'(1 3)(2 4)'
    """
    if not len(texts) == len(looks) == len(words) - 1:
        raise ValueError("a look for each text, and one word more, are needed")
    bounds = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    starts, ends = bounds[:-1].copy(), bounds[1:].copy()
    edges = np.cumsum([0, *map(len, words)], dtype=np.int64)
    kinds = np.array([_LOOKS[look] for look in looks], np.int64)
    out = np.empty(int(bounds[-1]) + rows * int(edges[-1]), np.uint8)
    written = _functions().interleave(
        np.frombuffer(b"".join(texts), np.uint8),
        starts,
        kinds,
        len(texts),
        np.frombuffer(b"".join(words), np.uint8),
        edges,
        rows,
        ends,
        out,
        len(out),
    )
    if written < 0:
        raise ValueError(f"texts of {rows} cells each are needed")
    return out[:written].tobytes()


class _Functions(NamedTuple):
    most: Any
    read: Any
    interleave: Any


@functools.cache
def _functions() -> _Functions:
    found, count = library("rows"), ctypes.c_int64
    cells = [BYTES, INT64, INT64, SIZE, BYTES, INT64, SIZE, INT64, BYTES, SIZE]
    return _Functions(
        function(found, "rows_most", [BYTES, SIZE], count),
        function(found, "rows_read", [BYTES, SIZE, SIZE, FLOATS, SIZE, INT64], count),
        function(found, "rows_interleave", cells, count),
    )
