"""Lines of text as one buffer: what a batch holds where a channel's rows are no vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Text:
    """Line i is ``bytes[offsets[i]:offsets[i + 1]]``, UTF-8 without its line ending.

    bytes : (length,) uint8 · offsets : (lines + 1,) int64, from 0
    """

    bytes: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[str]:
        """Each line as a string; bytes that are no UTF-8 come back as replacement marks."""
        whole = self.bytes.tobytes()
        bounds = self.offsets.tolist()
        for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
            yield whole[start:stop].decode("utf-8", "replace")

    def rows(self, start: int, stop: int) -> Text:
        """Lines start..stop, sharing the buffer."""
        offsets = self.offsets[start : stop + 1]
        return Text(self.bytes[offsets[0] : offsets[-1]], offsets - offsets[0])

    def take(self, order: NDArray[np.int64]) -> Text:
        """The lines at these indices, in this order, copied."""
        lengths = np.diff(self.offsets)[order]
        offsets = _offsets(lengths)
        where = np.repeat(self.offsets[:-1][order] - offsets[:-1], lengths)
        return Text(self.bytes[where + np.arange(offsets[-1])], offsets)


def text_of(lines: Sequence[str | bytes]) -> Text:
    """Text of these lines.

    >>> list(text_of(["one line", "another"]).take(np.array([1, 0])))
    ['another', 'one line']
    """
    encoded = [line.encode() if isinstance(line, str) else line for line in lines]
    lengths = np.array([len(line) for line in encoded], np.int64)
    return Text(np.frombuffer(b"".join(encoded), np.uint8), _offsets(lengths))


def join_text(parts: Sequence[Text]) -> Text:
    """All lines of several, in order."""
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Text(np.concatenate([part.bytes for part in parts]), _offsets(lengths))


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
