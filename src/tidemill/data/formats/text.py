"""text/plain: one row a line, UTF-8; and texts with labels from the objects of JSON Lines.

Rows with labels have the form that fastText introduced: ``__label__1 __label__3 the text``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tidemill.data import lines
from tidemill.data.batch import Batch, of_text
from tidemill.data.text import Text, text_of
from tidemill.data.where import REQUEST, Where
from tidemill.errors import InvalidData

LABEL = "__label__"
LONG = 1 << 20
"""Bytes without a line ending, from which on a line is several rows, parted at blanks. Corpora are
known that are a single line."""
_PIECE = 16 << 10
"""Bytes of such a row, about."""
_MARK, _OTHER_MARKS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
_BLANKS = np.array([c in b" \t\v\f" for c in range(256)])
_RETURN = 13
_FORMS = 'Write for instance {"source": "the text", "label": 1}, or "label": [1, 3].'


def cut(data: NDArray[np.uint8], at_end: bool, where: Where) -> tuple[int, None]:
    """Bytes of whole lines at the front of a buffer, or of whole words where a line is ``LONG``."""
    whole, _ = lines.cut(data, at_end, where)
    if whole or len(data) < LONG:
        return whole, None
    for stop in range(len(data), 0, -lines.STEP):
        blanks = np.flatnonzero(_BLANKS[data[max(0, stop - lines.STEP) : stop]])
        if len(blanks):
            return max(0, stop - lines.STEP) + int(blanks[-1]) + 1, None
    return 0, None


def read(data: NDArray[np.uint8], token: None, where: Where) -> Batch:
    """The lines of a block, without their endings and without empty ones."""
    data = _without_mark(data, where)
    if len(data) >= LONG and not (data == lines.NEWLINE).any():
        return of_text(_pieces(data))
    return of_text(_lines(data))


def decode(body: bytes, where: Where = REQUEST) -> Batch:
    """The lines of a request."""
    return read(np.frombuffer(body, np.uint8), None, where)


def read_objects(data: NDArray[np.uint8], token: None, where: Where) -> Batch:
    """Lines of JSON, each ``{"source": text}`` with or without ``"label"``, as rows of text.

    A label is a number, a text or a list of such. This is the form of an augmented manifest.
    """
    rows = [line for line in data.tobytes().split(b"\n") if line.strip()]
    return of_text(text_of([_row(line, where.row(index)) for index, line in enumerate(rows)]))


def read_pairs(pairs: Iterable[tuple[bytes, bytes]], where: Where) -> Batch:
    """Records of an augmented manifest with AttributeNames source, label as rows of text.

    pairs: the text, and its label as JSON or as a bare word
    """
    return of_text(
        text_of(
            [
                labelled(source.decode("utf-8", "replace"), _parsed(label), where.row(index))
                for index, (source, label) in enumerate(pairs)
            ]
        )
    )


def labelled(source: Any, label: Any, name: str) -> str:
    """One row of a text and its label or labels. name: of the row, for errors

    >>> labelled("good, but long", [1, "fun"], "row 1")
    '__label__1 __label__fun good, but long'
    """
    if not isinstance(source, str):
        raise InvalidData(f"{name}: $.source must be a text", got=source, do=_FORMS)
    labels = label if isinstance(label, list) else [] if label is None else [label]
    return " ".join([*(_word(one, name) for one in labels), *source.splitlines()])


def _row(line: bytes, name: str) -> str:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidData(f"{name}: must be one JSON object", got=str(error), do=_FORMS) from None
    if not isinstance(found, dict) or "source" not in found:
        got = sorted(found) if isinstance(found, dict) else type(found).__name__
        raise InvalidData(f"{name}: must be an object with a source", got=got, do=_FORMS)
    return labelled(found["source"], found.get("label"), name)


def _parsed(label: bytes) -> Any:
    try:
        return orjson.loads(label)
    except orjson.JSONDecodeError:
        return label.decode("utf-8", "replace").strip()


def _word(label: Any, name: str) -> str:
    """A label as the word of a row."""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    text = str(label) if isinstance(label, str | int | float) else ""
    if isinstance(label, bool) or not text or len(text.split()) != 1:
        raise InvalidData(
            f"{name}: $.label must be a number or a word, or a list of them", got=label, do=_FORMS
        )
    return text if text.startswith(LABEL) else LABEL + text


def _without_mark(data: NDArray[np.uint8], where: Where) -> NDArray[np.uint8]:
    """Without the byte order mark that some editors put first."""
    if where.offset == 0:
        head = data[:3].tobytes()
        if head.startswith(_OTHER_MARKS):
            raise InvalidData(
                f"{where.name}: text must be UTF-8",
                got="the byte order mark of UTF-16",
                do="Save the file as UTF-8.",
            )
        if head == _MARK:
            return data[3:]
    return data


def _pieces(data: NDArray[np.uint8]) -> Text:
    """A part of a long line, parted at the first blank after every ``_PIECE`` bytes."""
    blanks = np.flatnonzero(_BLANKS[data])
    after = np.searchsorted(blanks, np.arange(_PIECE, len(data), _PIECE))
    cuts = blanks[after[after < len(blanks)]]
    bounds = np.unique(np.concatenate([[0], cuts, [len(data)]]))
    return Text(data.copy(), bounds.astype(np.int64))


def _lines(data: NDArray[np.uint8]) -> Text:
    ends = np.flatnonzero(data == lines.NEWLINE)
    if len(data) and (len(ends) == 0 or ends[-1] != len(data) - 1):
        ends = np.append(ends, len(data))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])[: len(ends)]
    stops = ends - ((ends > starts) & (data[ends - 1] == _RETURN)) if len(ends) else ends
    lengths = stops - starts
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    kept = np.ones(len(data), np.bool_)
    kept[ends[ends < len(data)]] = False
    kept[stops[stops < ends]] = False
    filled = np.concatenate([[True], lengths > 0])  # an empty line's end is the start of the next
    return Text(data[kept], offsets[filled])
