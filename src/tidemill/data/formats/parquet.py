"""application/x-parquet: a table of numbers by row groups; labels in the first columns."""

from __future__ import annotations

import bisect
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from tidemill.data import arrow
from tidemill.data.batch import Batch, Floats
from tidemill.data.formats.npy import Layout, TableShard
from tidemill.data.labels import labelled
from tidemill.data.where import REQUEST, Where
from tidemill.errors import InvalidData

PIECE = 64 << 10
"""Bytes of each column that are read in one go."""


def decode(body: bytes, where: Where = REQUEST) -> Batch:
    """All rows of a body. Raises InvalidData."""
    file = open_file(arrow.module().BufferReader(body), where)
    try:
        table = file.read()
    except _faults() as error:
        raise _unreadable(where, error) from None
    return Batch(matrix(table, where))


def open_file(source: Any, where: Where) -> Any:
    """A pyarrow ParquetFile. Raises InvalidData when it is none."""
    try:
        # Left alone, it would hold all bytes of a row group, which may be the whole file.
        return arrow.module("parquet").ParquetFile(source, pre_buffer=False, buffer_size=PIECE)
    except _faults() as error:
        raise _unreadable(where, error) from None


def matrix(table: Any, where: Where) -> Floats:
    """An Arrow table's columns as (rows, columns); nulls become NaN. Raises InvalidData."""
    if not table.num_columns:
        return np.empty((table.num_rows, 0), np.float32)
    columns = [
        _numbers(column, name, where)
        for name, column in zip(table.schema.names, table.columns, strict=True)
    ]
    plain = arrow.module().table(columns, [str(i) for i in range(len(columns))])
    # By way of a tensor, for an array's own to_numpy would load pandas.
    parts = [part.to_tensor(null_to_nan=True).to_numpy() for part in plain.to_batches()]
    return np.concatenate(parts) if parts else np.empty((0, len(columns)), np.float32)


def _numbers(column: Any, name: str, where: Where) -> Any:
    """The column as float32."""
    try:
        return column.cast(arrow.module().float32(), safe=False)
    except arrow.module().ArrowException:
        raise InvalidData(
            f"{where.name}, column {name!r}: must be numbers",
            got=str(column.type),
            do="Turn the column into numbers, or leave it out.",
        ) from None


def _faults() -> tuple[type[Exception], ...]:
    """What damaged bytes make Arrow raise."""
    return arrow.module().ArrowException, OSError, ValueError


def _unreadable(where: Where, error: object) -> InvalidData:
    return InvalidData(
        f"{where.name}: must be a Parquet file",
        got=next(iter(str(error).splitlines()), type(error).__name__),
        do="Check the content type, and write the file again if it is damaged.",
    )


class ParquetShard:
    """A Parquet file by rows; offsets count rows. Keeps some columns' pages and a block."""

    def __init__(self, file: BinaryIO, name: str, label_size: int, block: int) -> None:
        self.name = name
        self._label_size = label_size
        self._file = file
        self._where = Where(name)
        self._parquet = open_file(file, self._where)
        meta = self._parquet.metadata
        sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
        self._bounds: list[int] = np.cumsum([0, *sizes]).tolist()
        self._step = max(1, block // (4 * max(1, meta.num_columns)))
        self._at = -1
        self._ahead: Iterator[Any] = iter(())

    def cut(self, start: int) -> int:
        group = bisect.bisect_right(self._bounds, start)
        return min(start + self._step, self._bounds[group]) if group < len(self._bounds) else start

    def read(self, start: int, stop: int) -> Batch:
        try:
            if self._at != start or start in self._bounds:
                self._seek(start)
            table, self._at = next(self._ahead, None), stop
        except _faults() as error:
            raise _unreadable(self._where, error) from None
        if table is None or table.num_rows != stop - start:
            raise _unreadable(self._where, "other row groups than it says")
        return labelled(matrix(table, self._where), self._label_size, self.name)

    def close(self) -> None:
        self._parquet.close()
        self._file.close()

    def _seek(self, start: int) -> None:
        """Stand before a block: its row group is decoded up to there."""
        group = bisect.bisect_right(self._bounds, start) - 1
        self._ahead = self._parquet.iter_batches(self._step, row_groups=[group])
        for _ in range((start - self._bounds[group]) // self._step):
            next(self._ahead, None)


def spilled(shard: ParquetShard, label_size: int, block: int) -> TableShard:
    """The rows of a shard in an unnamed plain file, to be read in any order; closes the shard.

    Parquet itself is read forwards only: a page cannot be reached but through those before it.
    """
    plain = tempfile.TemporaryFile()  # noqa: SIM115 - the shard closes it
    rows = columns = at = 0
    try:
        while (stop := shard.cut(at)) > at:
            table = shard.read(at, stop).dense()
            plain.write(table.data)
            rows, columns, at = rows + len(table), table.shape[1], stop
    except BaseException:
        plain.close()
        raise
    finally:
        shard.close()
    plain.flush()
    layout = Layout(0, (rows, columns), "C", np.dtype(np.float32))
    return TableShard(plain, shard.name, layout, label_size, block)
