"""The words that a model knows, by number: the most frequent first, and labels after all words."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.blazingtext.tally import LABEL, Tally, starts_with
from tidemill.data.text import Text, join_text
from tidemill.kernels import sound, tokens
from tidemill.kernels.tokens import Lines, Words

Integers = NDArray[np.int64]
END = b"</s>"
"""The word that ends a line, for a classifier."""


@dataclass(frozen=True)
class Vocabulary:
    """Word i is ``bytes[offsets[i]:offsets[i + 1]]``.

    counts : (words + labels,) int64, how often each came · labels: how many of them, the last
    """

    bytes: NDArray[np.uint8]
    offsets: Integers
    counts: Integers
    labels: int = 0

    def check(self) -> None:
        tokens.check(Lines(self.bytes, self.offsets))
        is_whole = self.offsets[0] == 0 and self.offsets[-1] == len(self.bytes)
        sound.require(is_whole, "words are all of the bytes")
        sound.shaped("counts", self.counts, len(self.offsets) - 1)
        sound.counted("counts", self.counts)
        sound.between("counts in all", float(self.counts.sum(dtype=np.float64)), 0)
        sound.between("labels", self.labels, 0, len(self.counts))

    def __len__(self) -> int:
        """Words, without labels."""
        return len(self.counts) - self.labels

    @property
    def text(self) -> Text:
        """Words and labels, one a line."""
        return Text(self.bytes, self.offsets)

    @functools.cached_property
    def table(self) -> Words:
        """To look words up in, made when it is first asked for. Raises ValueError when damaged."""
        return tokens.opened(Lines(self.bytes, self.offsets))

    @functools.cached_property
    def label_names(self) -> NDArray[np.object_]:
        """(labels,) as they stand in the text, ``__label__1``."""
        return np.array(list(self.text.rows(len(self), len(self.counts))), object)

    def numbers(self, words: Text) -> Integers:
        """(lines,) the number of each line that is a known word; else -1."""
        found, starts = tokens.numbers(Lines(words.bytes, words.offsets), self.table)
        known = np.full(len(words), -1, np.int64)
        is_one = np.diff(starts) == 1
        known[is_one] = found[starts[:-1][is_one]]
        return known


class Grown(NamedTuple):
    """vocabulary: after more text · origin : (words + labels,) int64, the number that each word had
    before, or -1"""

    vocabulary: Vocabulary
    origin: Integers


def nothing() -> Vocabulary:
    """No words."""
    return Vocabulary(np.zeros(0, np.uint8), np.zeros(1, np.int64), np.zeros(0, np.int64))


def grown(before: Vocabulary, tally: Tally, min_count: int, *, labelled: bool) -> Grown:
    """The words known before, with those of a tally that came ``min_count`` times or more.

    labelled: whether there are labels, of which all are kept, and ends of lines, which are words
    """
    words, counts = tally.text(), tally.counts[: tally.words]
    if labelled:
        words, counts = _with_ends(words, counts, tally.lines)
    known = before.numbers(words)
    total = before.counts.copy()
    np.add.at(total, known[known >= 0], counts[known >= 0])
    fresh = known < 0
    is_label = starts_with(words, LABEL) if labelled else np.zeros(len(words), np.bool_)
    fresh &= is_label | (counts >= max(1, min_count))
    new = np.flatnonzero(fresh)
    every = join_text([before.text, words.take(new)])
    labels = np.concatenate([np.arange(len(before.counts)) >= len(before), is_label[new]])
    origin = np.concatenate([np.arange(len(before.counts)), np.full(len(new), -1)])
    return _sorted(every, np.concatenate([total, counts[new]]), labels, origin)


def without_rare(before: Vocabulary, min_count: int) -> Grown:
    """The words that came ``min_count`` times or more, and all labels."""
    is_label = np.arange(len(before.counts)) >= len(before)
    kept = np.flatnonzero((before.counts >= min_count) | is_label)
    return _sorted(before.text.take(kept), before.counts[kept], is_label[kept], kept)


def _with_ends(words: Text, counts: Integers, lines: int) -> tuple[Text, Integers]:
    """The ends of lines as one more word, unless it is there in so many letters."""
    ends = Text(np.frombuffer(END, np.uint8), np.array([0, len(END)]))
    there = np.flatnonzero(starts_with(words, END) & (np.diff(words.offsets) == len(END)))
    if len(there):
        counts = counts.copy()
        counts[there] += lines
        return words, counts
    return join_text([words, ends]), np.append(counts, lines)


def _sorted(words: Text, counts: Integers, is_label: NDArray[np.bool_], origin: Integers) -> Grown:
    """Words before labels, frequent before rare, else in the order of their bytes: an order that
    does not depend on which worker saw a word first."""
    whole, bounds = words.bytes.tobytes(), words.offsets.tolist()
    spelled = [whole[start:stop] for start, stop in zip(bounds[:-1], bounds[1:], strict=True)]
    by_bytes = np.array(sorted(range(len(spelled)), key=spelled.__getitem__), np.int64)
    order = by_bytes[np.lexsort([-counts[by_bytes], is_label[by_bytes]])]
    ordered = words.take(order)
    labels = int(np.count_nonzero(is_label))
    return Grown(Vocabulary(ordered.bytes, ordered.offsets, counts[order], labels), origin[order])
