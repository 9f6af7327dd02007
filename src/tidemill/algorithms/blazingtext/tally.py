"""Counting words, in bounded memory: the first look at a text, and what workers add up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import spread
from tidemill.data.text import Text
from tidemill.kernels import sound, tokens
from tidemill.kernels.tokens import Lines, Room

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)
LABEL = b"__label__"
MOST_WORDS = 1 << 22
"""Different words that are counted side by side; then the rarest go, as in word2vec."""
_FEW_WORDS, _FEW_BYTES = 1 << 10, 1 << 13


@dataclass(frozen=True, slots=True)
class Tally:
    """How often words came; the arrays have room for more than the ``words`` that there are.

    bytes : (room,) uint8, ``used`` of them · offsets : (room + 1,) int64 · counts : (room,) int64
    grams : (buckets,) uint32, how often the word n-grams of a bucket came; none without n-grams
    tokens: words counted in all · lines: that they came in · dropped: words that came no more than
    so often may be missing · workers: whose lines are counted
    """

    bytes: Bytes
    offsets: Integers
    counts: Integers
    grams: NDArray[np.uint32]
    words: int = 0
    used: int = 0
    tokens: int = 0
    lines: int = 0
    dropped: int = 0
    workers: int = 0

    def check(self) -> None:
        sound.shaped("bytes", self.bytes, None)
        sound.shaped("counts", self.counts, None)
        sound.shaped("offsets", self.offsets, len(self.counts) + 1)
        sound.shaped("grams", self.grams, None)
        sound.between("words", self.words, 0, len(self.counts))
        sound.between("used", self.used, 0, len(self.bytes))
        text = self.text()
        tokens.check(Lines(text.bytes, text.offsets))
        is_whole = text.offsets[0] == 0 and text.offsets[-1] == self.used
        sound.require(is_whole, "words are all of the bytes in use")
        sound.counted("counts", self.counts)
        for name in ("tokens", "lines", "dropped", "workers"):
            sound.between(name, getattr(self, name), 0)

    def text(self) -> Text:
        """The words, one a line."""
        return Text(self.bytes[: self.used], self.offsets[: self.words + 1])


def empty(buckets: int = 0) -> Tally:
    """Nothing counted yet. buckets: for word n-grams"""
    return Tally(
        np.zeros(_FEW_BYTES, np.uint8),
        np.zeros(_FEW_WORDS + 1, np.int64),
        np.zeros(_FEW_WORDS, np.int64),
        np.zeros(buckets, np.uint32),
    )


class Counter:
    """Counts words into tallies; the hash table of the tally that it saw last is at hand.

    labelled: whether words that begin with ``__label__`` stand for classes: they are never dropped,
    and no n-gram has them · most_words: above which rare words are dropped
    """

    def __init__(
        self, *, labelled: bool = False, word_ngrams: int = 1, most_words: int = MOST_WORDS
    ) -> None:
        self._label = LABEL if labelled else b""
        self._word_ngrams, self._most_words = word_ngrams, most_words
        self._slots = tokens.slots_for(_FEW_WORDS)
        self._of: Integers | None = None

    def add(self, tally: Tally, text: Text) -> Tally:
        """With the words of these lines; the tally given is changed."""
        if not len(text):
            return tally
        counted = self._count(tally, text, None)
        return replace(counted, lines=counted.lines + len(text), workers=max(1, counted.workers))

    def merge(self, left: Tally, right: Tally) -> Tally:
        """Of both workers' lines; the left one given is changed."""
        if not left.lines or not right.lines:
            return left if left.lines else right
        both = self._count(left, right.text(), right.counts[: right.words])
        return replace(
            both,
            grams=left.grams + right.grams,
            tokens=left.tokens + right.tokens,
            lines=left.lines + right.lines,
            dropped=max(both.dropped, right.dropped),
            workers=left.workers + right.workers,
        )

    def _count(self, tally: Tally, text: Text, amounts: Integers | None) -> Tally:
        """amounts: how often each line counts, once where None. n-grams count in lines of once."""
        lines = Lines(text.bytes, text.offsets)
        grams = tally.grams if amounts is None else tally.grams[:0]
        first = 0
        while True:
            self._know(tally)
            room = Room(tally.bytes, tally.offsets, tally.counts, self._slots, grams)
            sizes = np.array([tally.words, tally.used, tally.tokens], np.int64)
            first = tokens.count(
                lines, first, room, sizes, amounts=amounts, label=self._label,
                word_ngrams=self._word_ngrams,
            )  # fmt: skip
            words, used, seen = (int(size) for size in sizes)
            tally = replace(tally, words=words, used=used, tokens=seen)
            if first == len(text):
                return tally
            tally = self._with_room(tally, int(text.offsets[first + 1] - text.offsets[first]))

    def _with_room(self, tally: Tally, line: int) -> Tally:
        """With room for the words of one more line of so many bytes."""
        most_new = (line + 1) // 2
        if tally.words + most_new > self._most_words:
            tally = self._pruned(tally, max(self._most_words - most_new, self._most_words // 2))
        words = _room(len(tally.counts), tally.words + most_new)
        return replace(
            tally,
            bytes=_longer(tally.bytes, _room(len(tally.bytes), tally.used + line)),
            offsets=_longer(tally.offsets, words + 1),
            counts=_longer(tally.counts, words),
        )

    def _pruned(self, tally: Tally, most: int) -> Tally:
        """With the rarest words gone until there are no more than so many; labels stay."""
        words = tally.text()
        is_label = starts_with(words, self._label) if self._label else np.zeros(len(words), bool)
        dropped, counts = tally.dropped, tally.counts[: tally.words]
        kept = np.ones(tally.words, np.bool_)
        while np.count_nonzero(kept & ~is_label) > most:
            dropped += 1
            kept = (counts > dropped) | is_label
        left = words.take(np.flatnonzero(kept))
        fresh = replace(
            tally,
            bytes=_longer(left.bytes, len(tally.bytes)),
            offsets=_longer(left.offsets, len(tally.offsets)),
            counts=_longer(counts[kept], len(tally.counts)),
        )
        return replace(fresh, words=len(left), used=len(left.bytes), dropped=dropped)

    def _know(self, tally: Tally) -> None:
        """Have the hash table of this tally's words."""
        if self._of is tally.offsets:
            return
        self._slots = tokens.slots_for(len(tally.counts))
        tokens.fill(Lines(tally.bytes, tally.offsets), tally.words, self._slots)
        self._of = tally.offsets


def starts_with(words: Text, prefix: bytes) -> NDArray[np.bool_]:
    """Which of these words begin so.

    >>> from tidemill.data.text import text_of
    >>> starts_with(text_of(["__label__1", "word"]), LABEL).tolist()
    [True, False]
    """
    long_enough = np.flatnonzero(np.diff(words.offsets) >= len(prefix))
    heads = spread(words.offsets[:-1][long_enough], np.full(len(long_enough), len(prefix)))
    same = words.bytes[heads].reshape(-1, len(prefix)) == np.frombuffer(prefix, np.uint8)
    found = np.zeros(len(words), np.bool_)
    found[long_enough] = same.all(axis=1)
    return found


def _room(has: int, needs: int) -> int:
    """Doubled as often as it takes."""
    while has < needs:
        has *= 2
    return has


def _longer(array: NDArray[Number], room: int) -> NDArray[Number]:
    longer = np.zeros(room, array.dtype)
    longer[: len(array)] = array
    return longer
