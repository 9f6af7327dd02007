"""application/x-libsvm: sparse rows, ``label[:weight] [qid:group] index:value … # comment``.

Indices are columns counted from 0, as SageMaker's documentation has it; with ``indexing_mode=1`` in
the content type (xgboost's own word) they count from 1. Nothing is guessed: a guess by the lowest
index of a file, let alone of a request, gives rows of the same data different columns.

A line does not say how wide its row is. The content type may (``feature_dim=126``); else the files
of a channel are looked through once, for their highest index, before the first row is given out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.data import lines
from tidemill.data.batch import Batch, Csr
from tidemill.data.content_type import ContentType
from tidemill.data.shard import ByteShard, Format, open_bytes
from tidemill.data.where import REQUEST, Where
from tidemill.errors import InvalidData
from tidemill.kernels import libsvm as kernel

Bytes = NDArray[np.uint8]
BLOCK = 4 << 20
_SMALL = 16 << 10
"""Bytes of a request up to which a row is taken apart here: a call into the kernel costs more."""
_FORM = 'Write lines such as "1 0:0.5 7:2", a label and then index:value pairs, indices from 0.'


class Layout(NamedTuple):
    """columns: of every row, 0 where nobody knows · base: the index of the first column"""

    columns: int = 0
    base: int = 0


UNKNOWN = Layout()


def layout_of(kind: ContentType) -> Layout:
    """What the content type says. Raises InvalidData."""
    base = _parameter(kind, "indexing_mode", 0)
    if base > 1:
        raise InvalidData(
            f"{kind.media}: indexing_mode must be 0 or 1, the index of the first column",
            got=base,
            do="Leave it out where indices count from 0.",
        )
    return Layout(_parameter(kind, "feature_dim", 0), base)


def measured(paths: Iterable[Path], kind: ContentType, is_compressed: bool) -> Layout:
    """What the content type says, or what the files have: one look at each of their bytes."""
    said = layout_of(kind)
    if said.columns:
        return said
    top = max((_highest(path, is_compressed) for path in paths), default=-1)
    return Layout(max(1, top - said.base + 1), said.base)


def reader(layout: Layout) -> Callable[[Bytes, None, Where], Batch]:
    """The block reader of a channel: every row has a label, and all have the layout's columns."""

    def read(data: Bytes, token: None, where: Where) -> Batch:
        if not layout.columns:
            raise InvalidData(
                f"{where.name}: how many columns its rows have must be known before the first",
                got="lines that come but once, through a pipe",
                do="Add the number to the content type: application/x-libsvm;feature_dim=126.",
            )
        return _rows(data, layout, where, is_labelled=True)

    return read


def decode(body: bytes, kind: ContentType | None = None, where: Where = REQUEST) -> Batch:
    """The rows of a request, as wide as its highest index; labels may stand there or not.

    A first token with a colon is the first entry, so labels with weights are not for requests.
    """
    columns, base = layout_of(kind) if kind is not None else UNKNOWN
    if len(body) <= _SMALL and (row := _one_plain_row(body)) is not None:
        features = _of_layout(row, columns, base)
        if features is not None:
            return Batch(features)
    data = np.frombuffer(body, np.uint8)
    if not columns:
        columns = max(1, kernel.highest(data, is_labelled=False) - base + 1)
    return _rows(data, Layout(columns, base), where, is_labelled=False)


def _one_plain_row(body: bytes) -> tuple[list[int], list[float]] | None:
    """Indices and values of a body that is one row of entries in order, as most requests are.

    None for any other: the careful ways know what to do with it, and take ten times as long.
    """
    indices, values, before = [], [], -1
    if b"_" in body or b"\n" in body.rstrip():
        return None
    for token in body.split():
        name, _, value = token.partition(b":")
        if not name.isdigit() or (index := int(name)) <= before:
            return None
        try:
            values.append(float(value))
        except ValueError:
            return None
        indices.append(index)
        before = index
    return (indices, values) if indices else None


def _of_layout(row: tuple[list[int], list[float]], columns: int, base: int) -> Csr | None:
    indices = np.array(row[0], np.int64) - base
    width = columns or int(indices[-1]) + 1
    if indices[0] < 0 or not indices[-1] < width <= kernel.MOST_COLUMNS:
        return None
    with np.errstate(over="ignore"):
        values = np.array(row[1]).astype(np.float32)
    return Csr(np.array([0, len(indices)]), indices, values, width)


def _highest(path: Path, is_compressed: bool) -> int:
    file, top, at = open_bytes(path, is_compressed), -1, 0
    shard = ByteShard(file, path.name, Format(lines.cut, _look), BLOCK)
    try:
        while (stop := shard.cut(at)) > at:
            top, at = max(top, shard.read(at, stop).columns - 1), stop
    finally:
        shard.close()
    return top


def _look(data: Bytes, token: None, where: Where) -> Batch:
    """No rows, but as wide as those of the block."""
    columns = kernel.highest(data, is_labelled=True) + 1
    none = np.empty(0, np.int64)
    return Batch(Csr(np.zeros(1, np.int64), none, none.astype(np.float32), columns))


def _rows(data: Bytes, layout: Layout, where: Where, *, is_labelled: bool) -> Batch:
    data = _without_mark(data, where)
    table = kernel.room_for(data)
    columns, base = layout
    at = 0
    while True:
        rest = data[at:]
        at += kernel.read(rest, table, columns=columns, base=base, is_labelled=is_labelled)
        if at == len(data):
            break
        at = _slowly(data, at, table, layout, where, is_labelled)
    rows, stored, weighted, grouped, unordered = table.counts.tolist()
    if grouped not in (0, rows):
        raise InvalidData(
            f"{where.name}: either all rows have a qid or none",
            got=f"{grouped} of {rows} in one block of lines",
            do="Give every row the qid of its query.",
        )
    features = Csr(
        table.indptr[: rows + 1], table.indices[:stored], table.values[:stored], layout.columns
    )
    return Batch(
        _ordered(features, where) if unordered else features,
        table.labels[:rows] if is_labelled else None,
        table.weights[:rows] if weighted else None,
        groups=table.groups[:rows] if grouped else None,
    )


def _ordered(features: Csr, where: Where) -> Csr:
    """With ascending indices in every row. Raises InvalidData when one comes twice."""
    row = np.repeat(np.arange(len(features)), np.diff(features.indptr))
    order = np.lexsort((features.indices, row))
    indices = features.indices[order]
    twice = np.flatnonzero((np.diff(indices) == 0) & (np.diff(row) == 0))
    if len(twice):
        raise InvalidData(
            f"{where.row(int(row[twice[0]]))}: must have each index once",
            got=f"two values at column {indices[twice[0]]}",
            do="Leave one of them out.",
        )
    return Csr(features.indptr, indices, features.values[order], features.columns)


def _slowly(
    data: Bytes, at: int, table: kernel.Table, layout: Layout, where: Where, is_labelled: bool
) -> int:
    """Append the line at byte ``at``, by Python's own number parser; the byte after it."""
    newlines = np.flatnonzero(data[at:] == lines.NEWLINE)[:1]
    stop = at + int(newlines[0]) + 1 if len(newlines) else len(data)
    row, stored = (int(n) for n in table.counts[:2])
    line = _Line(data[at:stop].tobytes(), layout, where.row(_rows_before(data[:at])), is_labelled)
    table.labels[row], table.weights[row] = line.label, line.weight
    table.groups[row] = line.group or 0
    table.indptr[row + 1] = end = stored + len(line.indices)
    table.indices[stored:end] = line.indices
    with np.errstate(over="ignore"):
        table.values[stored:end] = np.array(line.values, np.float64)
    is_unordered = bool((np.diff(np.array(line.indices, np.int64)) <= 0).any())
    table.counts[:] += (1, len(line.indices), line.has_weight, line.group is not None, is_unordered)
    return stop


def _rows_before(data: Bytes) -> int:
    """Rows among whole lines, which blank ones and comments are none of."""
    found = (line.strip()[:1] for line in data.tobytes().split(b"\n"))
    return sum(first not in (b"", b"#") for first in found)


class _Line:
    """One line taken apart, or an InvalidData that says what is wrong with it. name: of the row"""

    def __init__(self, text: bytes, layout: Layout, name: str, is_labelled: bool) -> None:
        self._name, self._layout = name, layout
        self.label, self.weight, self.has_weight = 0.0, 1.0, False
        self.group: int | None = None
        self.indices: list[int] = []
        self.values: list[float] = []
        tokens = text.partition(b"#")[0].decode("utf-8", "replace").split()
        if is_labelled or (tokens and ":" not in tokens[0]):
            self._take_label(tokens.pop(0))
        for token in tokens:
            self._take(token)

    def _take_label(self, token: str) -> None:
        label, colon, weight = token.partition(":")
        self.label = self._number(label, "label", token)
        if colon:
            self.weight, self.has_weight = self._number(weight, "weight", token), True

    def _take(self, token: str) -> None:
        name, colon, value = token.partition(":")
        if not colon or not name.isascii():
            raise self._fault("must have index:value pairs after the label", token)
        if name == "qid":
            self.group = self._whole(value, "qid", token, 2**59)
            return
        last = self._layout.columns + self._layout.base - 1
        self.indices.append(self._whole(name, "index", token, last) - self._layout.base)
        self.values.append(self._number(value, "value", token))

    def _number(self, text: str, what: str, token: str) -> float:
        try:
            if "_" not in text:  # which Python would take in a number
                return float(text)
        except ValueError:
            pass
        raise self._fault(f"{what} must be a number", token)

    def _whole(self, text: str, what: str, token: str, most: int) -> int:
        least = self._layout.base if what == "index" else 0
        if not text.isdecimal() or not least <= int(text[:20]) <= most:
            raise self._fault(f"{what} must be a whole number from {least} to {most}", token)
        return int(text)

    def _fault(self, wanted: str, token: str) -> InvalidData:
        return InvalidData(f"{self._name}: {wanted}", got=token[:100], do=_FORM)


def _without_mark(data: Bytes, where: Where) -> Bytes:
    """Without the byte order mark that some editors put first."""
    is_first = where.offset == 0 and data[:3].tobytes() == b"\xef\xbb\xbf"
    return data[3:] if is_first else data


def _parameter(kind: ContentType, name: str, default: int) -> int:
    text = kind.parameters.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) > kernel.MOST_COLUMNS:
        raise InvalidData(
            f"{kind.media}: {name} must be a whole number of at most {kernel.MOST_COLUMNS}",
            got=text,
            do=f"Write for instance {kind.media};{name}=1.",
        )
    return int(text)
