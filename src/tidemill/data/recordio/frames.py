"""Where the records of a RecordIO stream lie, without a Python object for any of them.

A frame is the magic, a length word, the payload, zeros up to a multiple of four bytes. The length
word's top three bits are MXNet's continuation flag (0 whole, 1 first, 2 middle, 3 last part: a
payload that held the magic was cut there), the other 29 the length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.data.where import Where
from tidemill.errors import InvalidData

MAGIC = 0xCED7230A
LENGTH = 0x1FFFFFFF
HEADER = 8
WHOLE, FIRST, MIDDLE, LAST = 0, 1, 2, 3
REMEDY = "Write the file again with a RecordIO writer, and upload it whole."

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of one buffer, in order.

    starts, lengths: (frames,) int64, of the payloads in bytes · flags: (frames,), or None when
    every frame is a whole record · end: bytes taken, up to the end of the last whole record
    stride: bytes from a frame to the next where all are alike, else 0
    """

    starts: Integers
    lengths: Integers
    flags: Integers | None
    end: int
    stride: int = 0

    def __len__(self) -> int:
        return len(self.starts)


def scan(data: Bytes, *, at_end: bool, where: Where) -> Frames:
    """All whole frames from the front of a buffer, which begins at a frame.

    at_end: nothing follows the buffer, so a part of a frame is an error.
    Raises InvalidData naming record and byte where no frame stands.
    """
    words = data[: len(data) & ~3].view("<u4")
    uniform = _uniform(words)
    if uniform is not None:
        rest = len(data) - uniform.end
        if rest == 0 or (not at_end and rest < uniform.stride):
            return uniform
    heads = _chain(words, where)
    starts = heads * 4 + HEADER
    control = words[heads + 1].astype(np.int64)
    lengths = control & LENGTH
    ends = starts + lengths
    padded = (ends + 3) & ~3
    if len(heads) and (ends[-1] if at_end else padded[-1]) > len(data):
        if at_end:
            _truncated(data, len(heads) - 1, int(heads[-1] * 4), int(lengths[-1]), where)
        starts, lengths, padded, control = starts[:-1], lengths[:-1], padded[:-1], control[:-1]
    end = min(int(padded[-1]), len(data)) if len(starts) else 0
    if at_end and end < len(data):
        _truncated(data, len(starts), end, None, where)
    flags = control >> 29
    if not flags.any():
        return Frames(starts, lengths, None, end)
    return _closed(Frames(starts, lengths, flags, end), at_end, where)


def _uniform(words: NDArray[np.uint32]) -> Frames | None:
    """The frames, when all of them look like the first: the usual dense file."""
    if len(words) < 2 or words[0] != MAGIC or words[1] > LENGTH:
        return None
    length = int(words[1])
    stride = 2 + (length + 3) // 4
    count = len(words) // stride
    if count == 0:
        return None
    table = words[: count * stride].reshape(count, stride)
    if not (np.all(table[:, 0] == MAGIC) and np.all(table[:, 1] == length)):
        return None
    starts = np.arange(count, dtype=np.int64) * (stride * 4) + HEADER
    return Frames(starts, np.full(count, length, np.int64), None, count * stride * 4, stride * 4)


def _chain(words: NDArray[np.uint32], where: Where) -> Integers:
    """Word positions of the frames' headers: every magic that the frame before it leads to."""
    heads = np.flatnonzero(words == MAGIC)
    heads = heads[heads + 1 < len(words)]
    if len(words) > 1 and (len(heads) == 0 or heads[0] != 0):
        _no_frame(words, 0, 0, where)
    after = heads + 2 + ((words[heads + 1].astype(np.int64) & LENGTH) + 3) // 4
    breaks = np.flatnonzero(after[:-1] != heads[1:])
    if len(breaks) == 0:
        return _ended(words, heads, after, where)
    kept: list[Integers] = []
    at = records = 0
    while at < len(heads):  # a turn for each magic that lies within a payload
        position = np.searchsorted(breaks, at)
        last = int(breaks[position]) if position < len(breaks) else len(heads) - 1
        kept.append(heads[at : last + 1])
        records += last + 1 - at
        target = int(after[last])
        at = int(np.searchsorted(heads, target))
        if at == len(heads) or heads[at] != target:
            if target + 1 < len(words):
                _no_frame(words, target, records, where)
            break
    return np.concatenate(kept)


def _ended(words: NDArray[np.uint32], heads: Integers, after: Integers, where: Where) -> Integers:
    if len(heads) and after[-1] + 1 < len(words):
        _no_frame(words, int(after[-1]), len(heads), where)
    return heads


def _closed(frames: Frames, at_end: bool, where: Where) -> Frames:
    """The same frames without a record at the end whose last part is yet to come."""
    flags = frames.flags
    assert flags is not None
    opens = (flags == FIRST) | (flags == MIDDLE)
    follows = (flags == MIDDLE) | (flags == LAST)
    wrong = np.flatnonzero((opens[:-1] != follows[1:]) | (flags[1:] > LAST))
    if follows[0] or flags[0] > LAST or len(wrong):
        index = 0 if follows[0] or flags[0] > LAST else int(wrong[0]) + 1
        raise InvalidData(
            f"{where.record(index, int(frames.starts[index]) - HEADER)}: the parts of a record "
            "must follow each other (flags 1, 2 …, 3 in the length word)",
            got=int(flags[index]),
            do=REMEDY,
        )
    if not opens[-1]:
        return frames
    keep = int(np.flatnonzero(~follows)[-1])
    if at_end:
        byte = int(frames.starts[keep]) - HEADER
        raise InvalidData(
            f"{where.record(keep, byte)}: a record in parts must have its last part",
            got=f"{len(frames) - keep} parts and the end of the data",
            do=REMEDY,
        )
    end = int(frames.starts[keep]) - HEADER
    cut = slice(0, keep)
    return Frames(frames.starts[cut], frames.lengths[cut], flags[cut], end)


def _no_frame(words: NDArray[np.uint32], at: int, record: int, where: Where) -> None:
    raise InvalidData(
        f"{where.record(record, at * 4)}: a RecordIO frame must begin with the bytes 0a23d7ce",
        got=words[at : at + 1].tobytes().hex(),
        do="Check the content type, and write the file again if it is damaged.",
    )


def _truncated(data: Bytes, record: int, at: int, length: int | None, where: Where) -> None:
    promised = "a header of 8 bytes" if length is None else f"{length} bytes of payload"
    left = len(data) - at - (0 if length is None else HEADER)
    raise InvalidData(
        f"{where.record(record, at)}: the frame must hold {promised}",
        got=f"{left} bytes before the end of the data",
        do=f"The data is cut short. {REMEDY}",
    )


def joined(data: Bytes, frames: Frames) -> tuple[Bytes, Integers, Integers, Integers]:
    """Whole records: (buffer, payload starts in it, lengths, byte of each one's first frame).

    Records in parts are put together behind the data, with the magic between their parts.
    """
    flags = frames.flags
    if flags is None:
        return data, frames.starts, frames.lengths, frames.starts - HEADER
    firsts = np.flatnonzero((flags == WHOLE) | (flags == FIRST))
    starts, lengths = frames.starts[firsts], frames.lengths[firsts]
    magic = np.frombuffer(MAGIC.to_bytes(4, "little"), np.uint8)
    parts, size = [data], len(data)
    for record in np.flatnonzero(flags[firsts] == FIRST):
        first = int(firsts[record])
        last = first + int(np.argmax(flags[first:] == LAST))
        pieces: list[Bytes] = []
        for part in range(first, last + 1):
            start = int(frames.starts[part])
            pieces += [magic, data[start : start + int(frames.lengths[part])]]
        payload = np.concatenate(pieces[1:])
        starts[record], lengths[record] = size, len(payload)
        parts.append(payload)
        size += len(payload)
    return np.concatenate(parts), starts, lengths, frames.starts[firsts] - HEADER
