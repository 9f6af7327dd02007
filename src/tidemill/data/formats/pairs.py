"""Records of an augmented manifest, a text and its label in turns, as rows of text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Batch
from tidemill.data.formats import text
from tidemill.data.recordio.frames import HEADER, WHOLE, Frames, joined, scan
from tidemill.data.shard import Format
from tidemill.data.where import Where
from tidemill.errors import InvalidData


def format_of(attributes: int) -> Format:
    """Frames of so many attributes a row: 1 for texts alone, 2 for texts and labels."""

    def cut(data: NDArray[np.uint8], at_end: bool, where: Where) -> tuple[int, None]:
        frames = scan(data, at_end=at_end, where=where)
        odd = _records(frames) % attributes
        if odd and at_end:
            raise InvalidData(
                f"{where.name}: must have {attributes} records a row",
                got=f"{odd} more",
                do="Give every line of the manifest all attributes.",
            )
        return _without(frames, odd), None

    def read(data: NDArray[np.uint8], token: None, where: Where) -> Batch:
        payloads = _payloads(data, scan(data, at_end=True, where=where))
        labels = payloads[1::2] if attributes == 2 else [b"null"] * len(payloads)
        return text.read_pairs(zip(payloads[::attributes], labels, strict=True), where)

    return Format(cut, read)


def _records(frames: Frames) -> int:
    return int(np.sum(_firsts(frames)))


def _firsts(frames: Frames) -> NDArray[np.bool_]:
    """Which frames begin a record."""
    if frames.flags is None:
        return np.ones(len(frames), np.bool_)
    return frames.flags <= WHOLE + 1


def _without(frames: Frames, records: int) -> int:
    """Bytes before the last so many records."""
    if not records:
        return frames.end
    return int(frames.starts[np.flatnonzero(_firsts(frames))[-records]]) - HEADER


def _payloads(data: NDArray[np.uint8], frames: Frames) -> list[bytes]:
    whole, starts, lengths, _ = joined(data, frames)
    bounds = zip(starts.tolist(), lengths.tolist(), strict=True)
    return [whole[start : start + length].tobytes() for start, length in bounds]
