"""text/csv: numbers separated by commas, a row a line, no header; labels in the first columns.

An empty cell is a missing value, NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import orjson
from numpy.typing import NDArray

from tidemill.data import arrow
from tidemill.data.batch import Batch, Floats
from tidemill.data.labels import labelled
from tidemill.data.where import REQUEST, Where
from tidemill.errors import InvalidData
from tidemill.kernels import rows as kernel

LARGE = 512
"""Bytes from which on a body is worth a call of the kernel."""

SMALL = 64 << 10
"""Bytes up to which an odd body is parsed here: larger ones are worth loading Arrow for."""

PLAIN = b"0123456789+-.,eE \t\r\n"
"""The characters that numbers are written with; a body of others takes the careful path."""

Bytes = NDArray[np.uint8]


def decode(body: bytes, label_size: int = 0, where: Where = REQUEST) -> Batch:
    """All rows of a body. Raises InvalidData naming row, column and value."""
    return labelled(_table(body, where), label_size, where.name)


def reader(label_size: int) -> Callable[[Bytes, None, Where], Batch]:
    """The block reader for training data with so many label columns."""

    def read(data: Bytes, token: None, where: Where) -> Batch:
        return labelled(_table(data.tobytes(), where), label_size, where.name)

    return read


def _table(body: bytes, where: Where) -> Floats:
    """(rows, columns); spaces around numbers, quotes and blank lines are tolerated."""
    table = kernel.read(body, "csv") if len(body) >= LARGE else None
    if table is None:
        table = _fast(body)
    if table is None and len(body) > SMALL:
        table = _arrow(body)
    return careful(body, where) if table is None else table


def _fast(body: bytes) -> Floats | None:
    """Rows by the JSON parser, which reads numbers fastest; None where they are not plain ones."""
    text = body.strip()
    if not text or body.translate(None, PLAIN):
        return None
    try:
        with np.errstate(over="ignore"):
            if b"\n" not in text:
                return np.array([orjson.loads(b"[" + text + b"]")], np.float32)
            return np.array(orjson.loads(b"[[" + text.replace(b"\n", b"],[") + b"]]"), np.float32)
    except ValueError:
        return None


def _arrow(body: bytes) -> Floats | None:
    """Rows by Arrow's reader; None where it refuses, for the careful path to say why."""
    pyarrow, reader = arrow.module(), arrow.module("csv")
    columns = body[: body.find(b"\n")].count(b",") + 1
    names = [str(i) for i in range(columns)]
    types = dict.fromkeys(names, pyarrow.float32())
    # a chunk of many columns needs many rows, or the columns' overheads weigh too much
    chunk = max(1 << 20, columns << 12)
    try:
        table = reader.read_csv(
            pyarrow.BufferReader(body),
            read_options=reader.ReadOptions(column_names=names, block_size=chunk),
            convert_options=reader.ConvertOptions(column_types=types, null_values=[""]),
        )
    except pyarrow.ArrowInvalid:
        return None
    parts = [
        batch.to_tensor(row_major=True, null_to_nan=True).to_numpy() for batch in table.to_batches()
    ]
    return np.concatenate(parts) if parts else None


def careful(body: bytes, where: Where) -> Floats:
    """Rows by Python's own number parser, which finds the fault that stopped the fast ones."""
    rows: list[list[float]] = []
    for index, line in enumerate(body.decode("utf-8-sig", "replace").splitlines()):
        if not line.strip():
            continue
        cells = line.split(",")
        rows.append([_number(cell, index, column, where) for column, cell in enumerate(cells)])
        if len(cells) != len(rows[0]):
            raise InvalidData(
                f"{where.row(index)}: must have {len(rows[0])} columns, as the rows before",
                got=len(cells),
                do="Give every row the same number of commas.",
            )
    with np.errstate(over="ignore"):
        return np.array(rows, np.float32) if rows else np.empty((0, 0), np.float32)


def _number(cell: str, index: int, column: int, where: Where) -> float:
    text = cell.strip().removeprefix('"').removesuffix('"')
    try:
        if "_" not in text:  # which Python would take in a number
            return float(text or "nan")
    except ValueError:
        pass
    do = "Write a number; an empty cell is a missing value."
    if any(separator in text for separator in ";\t|"):
        do = "Separate the columns with commas."
    elif index == 0 and where.offset == 0:
        do = f"Remove the line if it is a header: CSV has none here. {do}"
    raise InvalidData(
        f"{where.row(index)}, column {column + 1}: must be a number", got=text[:100], do=do
    )
