"""The answer to one request in parts: its rows are predicted and written a slice at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tidemill.algorithms.base import Columns
from tidemill.data.batch import Batch
from tidemill.data.seam import Seam
from tidemill.workers.serve.form import Form
from tidemill.workers.serve.load import Load

FIRST_ROWS, MOST_ROWS = 100, 1000
"""Of the first slice, which should be there soon, and of any other."""
BYTES = 64 << 10
"""Of the answer to a slice, about."""


def in_parts(
    form: Form, seam: Seam, batch: Batch, predict: Callable[[Batch], Columns], *, row_by_row: bool
) -> Iterator[bytes]:
    """The pieces of the body, which joined are what ``form`` makes of all rows at once.

    row_by_row: rows may be predicted in slices, too; else all of them are before the first piece
    """
    columns = None if row_by_row else predict(batch)
    start, size, rows = 0, FIRST_ROWS, len(batch)
    while start < rows:
        stop = min(rows, start + size)
        some = batch.rows(start, stop)
        mine = predict(some) if columns is None else _cut(columns, start, stop)
        [body] = form.deal(mine, Load(some, [0], [stop - start]))
        yield seam.piece(body, first=start == 0, last=stop == rows)
        size = max(1, min(MOST_ROWS, BYTES * (stop - start) // max(1, len(body))))
        start = stop


def _cut(columns: Columns, start: int, stop: int) -> Columns:
    return {name: column[start:stop] for name, column in columns.items()}
