"""Data in memory as the RecordIO-protobuf that a training channel reads fastest."""

from __future__ import annotations

from typing import Any, BinaryIO

from tidemill.data.batch import Csr, floats
from tidemill.data.formats import recordio
from tidemill.data.memory import features_of, labels_of

ROWS = 8192
"""Rows converted at a time."""


def encode_recordio(features: Any, labels: Any = None) -> bytes:
    """Rows as RecordIO-protobuf with Float32 tensors, which every built-in takes.

    features: whatever ``memory.features_of`` takes, sparse stays sparse · labels: (rows,) or
    (rows, width) numbers. Raises InvalidData for what is no table of numbers.
    """
    table = features_of(features)
    label_table = labels_of(labels, len(table))
    return recordio.encode(
        table if isinstance(table, Csr) else floats(table),
        None if label_table is None else floats(label_table),
    )


def write_recordio(file: BinaryIO, features: Any, labels: Any = None) -> None:
    """Append such rows to a file; memory is bounded by some thousand rows beside the data."""
    table = features_of(features)
    label_table = labels_of(labels, len(table))
    for start in range(0, len(table), ROWS):
        cut = slice(start, min(start + ROWS, len(table)))
        recordio.write(
            file,
            table.rows(cut.start, cut.stop) if isinstance(table, Csr) else floats(table[cut]),
            None if label_table is None else floats(label_table[cut]),
        )
