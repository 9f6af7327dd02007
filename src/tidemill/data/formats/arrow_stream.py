"""application/vnd.apache.arrow.stream: columns of numbers in batches of rows, as Arrow sends them.

Nothing is unfolded on the way in: compressed batches, dictionaries and nested columns are refused,
so that a body never takes much more memory than its own size times the widening to float32.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from tidemill.data import arrow
from tidemill.data.batch import Batch
from tidemill.data.formats.parquet import matrix
from tidemill.data.room import require_room
from tidemill.data.where import REQUEST, Where
from tidemill.errors import InvalidData

_HEADER, _COMPRESSION = 2, 3
"""Fields of the tables Message and RecordBatch in Arrow's Message.fbs."""
_LENGTH = 0


def decode(body: bytes, where: Where = REQUEST) -> Batch:
    """The rows of all batches. Raises InvalidData."""
    source = arrow.module().BufferReader(body)
    try:
        messages = arrow.module("ipc").MessageReader.open_stream(source)
        found = _batches(messages, len(body), where)
    except InvalidData:
        raise
    except _faults() as error:
        raise InvalidData(
            f"{where.name}: must be an Arrow IPC stream",
            got=next(iter(str(error).splitlines()), "") or "its end",
            do="Write it with pyarrow.ipc.new_stream, and send all of it.",
        ) from None
    return Batch(matrix(found, where))


def encode(columns: Mapping[str, NDArray[Any]]) -> bytes:
    """An answer's columns as a stream of one batch."""
    table = arrow.table_of(columns)
    sink = arrow.module().BufferOutputStream()
    with arrow.module("ipc").new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _faults() -> tuple[type[Exception], ...]:
    return *arrow.faults(), EOFError, StopIteration, struct.error


def _batches(messages: Any, size: int, where: Where) -> Any:
    """The table of a stream, each batch looked at before it is unpacked."""
    ipc = arrow.module("ipc")
    schema = ipc.read_schema(messages.read_next_message())
    _require_numbers(schema, where)
    rows, batches = 0, []
    while True:
        try:
            message = messages.read_next_message()
        except StopIteration:
            break
        rows += _rows_of(bytes(message.metadata), where)
        require_room(rows, len(schema), size, where)
        batch = ipc.read_record_batch(message, schema)
        batch.validate()  # or lengths beyond the buffers would be believed
        batches.append(batch)
    return arrow.module().Table.from_batches(batches, schema)


def _require_numbers(schema: Any, where: Where) -> None:
    if not len(schema):
        raise InvalidData(f"{where.name}: must have a column", got="none", do="Send the features.")
    types = arrow.module("types")
    for field in schema:
        kind = field.type
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            raise InvalidData(
                f"{where.name}, column {field.name!r}: must be numbers, one in each cell",
                got=str(kind),
                do="Turn the column into floats, decoded and flat, or leave it out.",
            )


def _rows_of(metadata: bytes, where: Where) -> int:
    """The rows that a message's batch claims, from its FlatBuffer."""
    message = _Table.root(metadata)
    batch = message.table(_HEADER)
    if batch.at_field(_COMPRESSION):
        raise InvalidData(
            f"{where.name}: batches must not be compressed",
            got="a compressed batch",
            do="Write the stream without compression.",
        )
    place = batch.at_field(_LENGTH)
    rows = struct.unpack_from("<q", metadata, place)[0] if place else 0
    if rows < 0:
        raise InvalidData(f"{where.name}: must have rows", got=rows, do="Write the stream again.")
    return int(rows)


class _Table:
    """A table of a FlatBuffer, of which single fields are looked up."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    @classmethod
    def root(cls, data: bytes) -> _Table:
        return cls(data, struct.unpack_from("<I", data)[0])

    def at_field(self, number: int) -> int:
        """Where a field lies; 0 when it is not there."""
        fields = self._at - struct.unpack_from("<i", self._data, self._at)[0]
        if fields < 0 or 4 + 2 * number >= struct.unpack_from("<H", self._data, fields)[0]:
            return 0
        offset = struct.unpack_from("<H", self._data, fields + 4 + 2 * number)[0]
        return self._at + int(offset) if offset else 0

    def table(self, number: int) -> _Table:
        """The table that a field refers to."""
        place = self.at_field(number)
        return _Table(self._data, place + struct.unpack_from("<I", self._data, place)[0])
