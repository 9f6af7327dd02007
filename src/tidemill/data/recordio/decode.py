"""Records to one batch: those of equal layout are read together, the odd ones one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Batch, Csr, Floats, concatenate, floats
from tidemill.data.recordio import layout, tensors
from tidemill.data.recordio.frames import Frames, joined
from tidemill.data.recordio.layout import Odd, Spans
from tidemill.data.recordio.record import Malformed, Tensor, parse
from tidemill.data.recordio.template import decode_table
from tidemill.data.where import Where
from tidemill.errors import InvalidData

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

MOST_LAYOUTS = 16
"""Layouts read in step in one buffer; the records of any further ones are read one by one."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some records as rows. index: (rows,) which · labels: (rows, width) or None"""

    index: Integers
    features: Floats | Csr
    labels: Floats | None


def decode(data: Bytes, frames: Frames, where: Where) -> Batch:
    """The rows of all frames of a buffer. Raises InvalidData naming record and byte."""
    if len(frames) == 0:
        return Batch(np.empty((0, 0), np.float32))
    if frames.stride:
        batch = decode_table(data, len(frames), frames.stride, int(frames.lengths[0]))
        if batch is not None:
            return batch
    data, starts, lengths, heads = joined(data, frames)
    try:
        return _assemble(_parts(data, starts, lengths))
    except tensors.Fault as fault:
        raise InvalidData(
            f"{where.record(fault.index, int(heads[fault.index]))}: {fault.wanted}",
            got=fault.got,
            do=fault.do,
        ) from None


def _parts(data: Bytes, starts: Integers, lengths: Integers) -> list[Part]:
    """All records, in groups of one layout each."""
    left = np.arange(len(starts))
    parts: list[Part] = []
    layouts, slow = 0, 1
    while len(left):
        first = data[starts[left[0]] : starts[left[0]] + lengths[left[0]]].tobytes()
        try:
            if layouts == MOST_LAYOUTS:
                raise Odd
            steps = layout.steps_of(first)
        except Odd:
            # twice as many each time, so that many odd records cost no more than their number
            parts += [_exact(data, i, starts, lengths) for i in left[:slow].tolist()]
            left, slow = left[slow:], slow * 2
            continue
        except Malformed as malformed:
            _not_a_record(int(left[0]), malformed)
        fits, spans = layout.read(data, starts[left], lengths[left], steps)
        parts.append(
            _group(data, left[fits], {k: (a[fits], b[fits]) for k, (a, b) in spans.items()})
        )
        left, layouts = left[~fits], layouts + 1
    return parts


def _group(data: Bytes, index: Integers, spans: Spans) -> Part:
    try:
        features = tensors.features(data, spans, len(index))
        return Part(index, features, tensors.labels(data, spans, len(index)))
    except tensors.Fault as fault:
        fault.index = int(index[fault.index])
        raise


def _exact(data: Bytes, index: int, starts: Integers, lengths: Integers) -> Part:
    """One record by the exact parser."""
    payload = data[starts[index] : starts[index] + lengths[index]].tobytes()
    try:
        record = parse(payload)
        features, label = record.features.get("values"), record.label.get("values")
        labels = None if label is None else floats(label.values)[None, :]
        return Part(np.array([index]), _row(features), labels)
    except Malformed as malformed:
        _not_a_record(index, malformed)
    except tensors.Fault as fault:
        fault.index = index
        raise


def _row(tensor: Tensor | None) -> Floats | Csr:
    if tensor is None:
        return tensors.features(np.empty(0, np.uint8), {}, 1)
    is_sparse = len(tensor.keys) > 0 or (len(tensor.values) == 0 and len(tensor.shape) > 0)
    if not is_sparse:
        return floats(tensor.values)[None, :]
    ragged = (tensor.values, tensor.keys, np.array(tensor.shape, np.int64))
    return tensors.sparse(*(tensors.Ragged(a, np.array([0, len(a)])) for a in ragged))


def _not_a_record(index: int, malformed: Malformed) -> NoReturn:
    raise tensors.Fault(
        index,
        "the payload must be an aialgs.data Record in protobuf",
        got=str(malformed),
        do="Check the content type, and write the file again if it is damaged.",
    ) from None


def _assemble(parts: list[Part]) -> Batch:
    """Rows of all parts, in the order of the records."""
    _agree(parts)
    batch = concatenate([Batch(p.features, p.labels) for p in parts])
    batch = Batch(batch.features, _flat(batch.labels))
    if len(parts) == 1:
        return batch
    return batch.take(np.argsort(np.concatenate([p.index for p in parts])))


def _agree(parts: list[Part]) -> None:
    """Check that all parts are of one width, and labelled alike."""
    parts = sorted(parts, key=lambda p: int(p.index[0]))
    first = parts[0]
    for part in parts[1:]:
        index = int(part.index[0])
        wanted, got = first.features.shape[1], part.features.shape[1]
        if got != wanted:
            raise tensors.Fault(
                index,
                f"a record must have {wanted} columns, as in the records before",
                got=got,
                do="Give every record of the channel the same number of columns.",
            )
        width, got_width = _width(first.labels), _width(part.labels)
        if got_width != width:
            raise tensors.Fault(
                index,
                f"a record must have {width} labels, as in the records before",
                got=got_width,
                do="Label every record of the channel alike, or none of them.",
            )


def _width(labels: Floats | None) -> int:
    return 0 if labels is None else labels.shape[1]


def _flat(labels: Floats | None) -> Floats | None:
    """(rows,) where there is one label a row."""
    return labels[:, 0] if labels is not None and labels.shape[1] == 1 else labels
