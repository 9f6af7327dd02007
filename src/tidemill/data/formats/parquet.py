"""application/x-parquet: a table of numbers by row groups; labels in the first columns."""

from __future__ import annotations

import bisect
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tidemill.data import arrow
from tidemill.data.batch import Batch, Floats
from tidemill.data.formats.npy import Layout, TableShard
from tidemill.data.labels import labelled
from tidemill.data.room import require_room
from tidemill.data.where import REQUEST, Where
from tidemill.errors import InvalidData

PIECE = 64 << 10
"""Bytes of each column that are read in one go."""


def decode(body: bytes, where: Where = REQUEST) -> Batch:
    """All rows of a body. Raises InvalidData."""
    file = open_file(arrow.module().BufferReader(body), where, is_whole=True)
    meta = file.metadata
    groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
    require_room(sum(group.num_rows for group in groups), meta.num_columns, len(body), where)
    unpacked = sum(max(0, group.total_byte_size) for group in groups)
    require_room(1, unpacked // 8, len(body), where)
    try:
        table = file.read(use_threads=False)
    except arrow.faults() as error:
        raise _unreadable(where, error) from None
    return Batch(matrix(table, where))


def encode(columns: Mapping[str, NDArray[Any]]) -> bytes:
    """An answer's columns as a file of one row group."""
    sink = arrow.module().BufferOutputStream()
    table = arrow.table_of(columns)
    plain = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    arrow.module("parquet").write_table(table, sink, **plain)
    return bytes(sink.getvalue())


def open_file(source: Any, where: Where, *, is_whole: bool = False) -> Any:
    """A pyarrow ParquetFile. Raises InvalidData when it is none. is_whole: all is in memory"""
    # Left alone, it would hold all bytes of a row group, which may be the whole file.
    piece = 0 if is_whole else PIECE
    try:
        return arrow.module("parquet").ParquetFile(source, pre_buffer=False, buffer_size=piece)
    except arrow.faults() as error:
        raise _unreadable(where, error) from None


def matrix(table: Any, where: Where) -> Floats:
    """An Arrow table's columns as (rows, columns); nulls become NaN. Raises InvalidData."""
    columns = np.empty((table.num_columns, table.num_rows), np.float32)
    for values, column, name in zip(columns, table.columns, table.schema.names, strict=True):
        at = 0
        found = _numbers(column, name, where)
        for chunk in getattr(found, "chunks", [found]):
            # From the bytes themselves: an array's own to_numpy would load pandas.
            if size := len(chunk):
                data = np.frombuffer(chunk.buffers()[1], np.float32, size, 4 * chunk.offset)
                values[at : at + size] = data
            at += size
    return np.ascontiguousarray(columns.T)


def _numbers(column: Any, name: str, where: Where) -> Any:
    """The column as float32, without nulls."""
    types = arrow.module("types")
    try:
        if types.is_nested(column.type) or types.is_dictionary(column.type):
            raise arrow.module().ArrowInvalid
        if column.type != arrow.module().float32():
            column = column.cast(arrow.module().float32(), safe=False)
        return column.fill_null(float("nan")) if column.null_count else column
    except arrow.module().ArrowException:
        raise InvalidData(
            f"{where.name}, column {name!r}: must be numbers",
            got=str(column.type),
            do="Turn the column into numbers, or leave it out.",
        ) from None


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
        except arrow.faults() as error:
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
