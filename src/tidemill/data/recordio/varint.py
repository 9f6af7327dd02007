"""Protobuf's variable-length integers, thousands at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

LONGEST = 10
"""Bytes of the longest varint: a negative int32 takes all of them."""


def decode(data: Bytes) -> tuple[Integers, Integers]:
    """All varints of a byte string: (values, index of each one's last byte).

    Bytes after the last whole varint are left out; values wrap to 64 bits as in protobuf.
    """
    last = np.flatnonzero(data < 128)
    if len(last) == len(data):
        return data.astype(np.int64), last
    first = np.empty_like(last)
    first[:1] = 0
    first[1:] = last[:-1] + 1
    values = (data.take(first) & 127).astype(np.int64)
    two = last > first
    if np.count_nonzero(two) * 2 < len(two):
        longer, begin = np.flatnonzero(two), 1
    else:  # most have a second byte: read it for all at once
        second = data.take(first + 1, mode="clip") & 127
        second *= two
        values += second.astype(np.int64) << 7
        longer, begin = np.flatnonzero(last - first > 1), 2
    for byte in range(begin, LONGEST):
        if len(longer) == 0:
            break
        more = (data[first[longer] + byte] & 127).astype(np.int64)
        values[longer] |= more << (7 * byte)
        longer = longer[last[longer] - first[longer] > byte]
    return values, last


def read_at(data: Bytes, at: Integers) -> tuple[Integers, Integers, Flags]:
    """One length at each position: (values, positions after, whether it is a sane length).

    A length is sane when it ends within 5 bytes; positions past the end read the last byte.
    """
    byte = data.take(at, mode="clip")
    values = (byte & 127).astype(np.int64)
    after = at + 1
    more = byte >= 128
    for shift in (7, 14, 21, 28):
        if not more.any():
            break
        byte = data.take(after, mode="clip")
        values += np.where(more, (byte & 127).astype(np.int64) << shift, 0)
        after = after + more
        more &= byte >= 128
    return values, after, ~more


def encode(values: NDArray[np.uint64]) -> tuple[Bytes, Integers]:
    """The varints of many numbers: (all bytes, bytes of each)."""
    lengths = np.ones(len(values), np.int64)
    rest = values >> np.uint64(7)
    while rest.any():
        lengths += rest > 0
        rest = rest >> np.uint64(7)
    starts = np.cumsum(lengths) - lengths
    text = np.empty(int(lengths.sum()), np.uint8)
    text[starts] = values & np.uint64(127)
    longer = np.flatnonzero(lengths > 1)
    for byte in range(1, LONGEST):
        if len(longer) == 0:
            break
        at = starts[longer] + byte
        text[at - 1] |= 128
        text[at] = (values[longer] >> np.uint64(7 * byte)) & np.uint64(127)
        longer = longer[lengths[longer] > byte + 1]
    return text, lengths


def one(value: int) -> bytes:
    """The varint of one number that is not negative.

    >>> one(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
