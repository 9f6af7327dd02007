"""application/x-recordio-protobuf: vector data and answers, dense or sparse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Batch, Csr
from tidemill.data.recordio.decode import decode as decode_frames
from tidemill.data.recordio.encode import records as encode_records
from tidemill.data.recordio.frames import Frames, joined, scan
from tidemill.data.recordio.record import Malformed, Record, parse
from tidemill.data.recordio.template import decode_one
from tidemill.data.where import REQUEST, Where
from tidemill.errors import InvalidData

Buffer = bytes | bytearray | memoryview


def decode(body: Buffer, where: Where = REQUEST) -> Batch:
    """All records as one batch. Raises InvalidData naming record and byte."""
    batch = decode_one(body)
    if batch is not None:
        return batch
    data = np.frombuffer(body, np.uint8)
    return decode_frames(data, scan(data, at_end=True, where=where), where)


def cut(data: NDArray[np.uint8], at_end: bool, where: Where) -> tuple[int, Frames]:
    """Bytes of whole records at the front of a buffer, and where these lie."""
    frames = scan(data, at_end=at_end, where=where)
    return frames.end, frames


def read(data: NDArray[np.uint8], frames: Frames | None, where: Where) -> Batch:
    """The rows of a buffer of whole records."""
    return decode_frames(data, frames or scan(data, at_end=True, where=where), where)


def read_records(body: Buffer, where: Where = REQUEST) -> Iterator[Record]:
    """Every record with all its tensors, by the exact parser: for answers and odd data."""
    data = np.frombuffer(body, np.uint8)
    frames = scan(data, at_end=True, where=where)
    data, starts, lengths, heads = joined(data, frames)
    for index, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        try:
            yield parse(data[start : start + length].tobytes())
        except Malformed as malformed:
            raise InvalidData(
                f"{where.record(index, int(heads[index]))}: must be an aialgs.data Record",
                got=str(malformed),
                do="Check the content type.",
            ) from None


def encode(features: NDArray[Any] | Csr, labels: NDArray[Any] | None = None) -> bytes:
    """Rows as RecordIO-protobuf, byte for byte as the SageMaker SDK writes them.

    features: (rows, columns) of float32, float64 or integers, or Csr
    labels: (rows,) or (rows, width)

    >>> encode(np.array([[1, 2]])).hex()
    '0a23d7ce120000000a100a0676616c75657312063a040a0201020000'
    """
    return b"".join(encode_records(features, labels))


def write(file: BinaryIO, features: NDArray[Any] | Csr, labels: NDArray[Any] | None = None) -> None:
    """Append rows to a file, some megabytes at a time."""
    for block in encode_records(features, labels):
        file.write(block)
