"""Bodies of requests straight into floats, some hundred megabytes a second; and answers back."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels.load import SIZE, function, library

Form = Literal["json", "jsonlines", "csv"]
Looks = Literal["plain", "brackets", "bare"]
_FORMS: dict[Form, int] = {"json": 0, "jsonlines": 1, "csv": 2}
_LOOKS: dict[Looks, int] = {"plain": 0, "brackets": 1, "bare": 2}
_Pair = ctypes.c_int64 * 2


def read(body: bytes, form: Form) -> NDArray[np.float32] | None:
    """The (rows, columns) of a body, or None when it must be read in another way.

    json: ``{"instances":[…]}`` with instances ``{"features":[1,2]}`` or
    ``{"data":{"features":{"values":[1,2]}}}`` and nothing else · jsonlines: such a one a line
    csv: numbers apart by commas, NaN where there is none
    Each number is the float nearest to the double nearest to what is written.

    >>> read(b"1,2.5\\n3,-4\\n", "csv").tolist()
    [[1.0, 2.5], [3.0, -4.0]]
    """
    functions, size = _functions(), len(body)
    values = np.empty(functions.most(body, size), np.float32)
    shape = _Pair()
    if not functions.read(body, size, _FORMS[form], values.ctypes.data, len(values), shape):
        return None
    rows, columns = shape
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
    bounds = [0, *accumulate(map(len, texts))]
    edges = [0, *accumulate(map(len, words))]
    out = np.empty(bounds[-1] + rows * edges[-1], np.uint8)
    written = _functions().interleave(
        b"".join(texts),
        _int64(bounds[:-1]),
        _int64([_LOOKS[look] for look in looks]),
        len(texts),
        b"".join(words),
        _int64(edges),
        rows,
        _int64(bounds[1:]),
        out.ctypes.data,
        len(out),
    )
    if written < 0:
        raise ValueError(f"texts of {rows} cells each are needed")
    return out[:written].tobytes()


def _int64(numbers: Sequence[int]) -> Any:
    return (ctypes.c_int64 * len(numbers))(*numbers)


class _Functions(NamedTuple):
    most: Any
    read: Any
    interleave: Any


@functools.cache
def _functions() -> _Functions:
    found, count = library("rows"), ctypes.c_int64
    # Plain pointers, for a body of some kilobytes is read in less time than arrays are looked at.
    text, numbers, room = ctypes.c_char_p, ctypes.POINTER(count), ctypes.c_void_p
    cells = [text, numbers, numbers, SIZE, text, numbers, SIZE, numbers, room, SIZE]
    return _Functions(
        function(found, "rows_most", [text, SIZE], count),
        function(found, "rows_read", [text, SIZE, SIZE, room, SIZE, numbers], count),
        function(found, "rows_interleave", cells, count),
    )
