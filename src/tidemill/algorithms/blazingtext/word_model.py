"""The vectors of words that training leaves, and how good they are on other texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Columns, Measure
from tidemill.algorithms.blazingtext.subwords import Grams, check_buckets, means
from tidemill.algorithms.blazingtext.vocabulary import Vocabulary
from tidemill.algorithms.blazingtext.word_pairs import Agreement, agreement, cosines
from tidemill.data.batch import Batch, Floats
from tidemill.data.text import Text, text_of
from tidemill.kernels import sound, tokens
from tidemill.kernels.tokens import Lines


@dataclass(frozen=True)
class WordVectors:
    """vocabulary: the words · vectors : (words, columns) float32

    grams : (kept, columns), what character n-grams add, of the buckets that occurred: buckets,
    (kept,) int32, rising · min_char, max_char: of an n-gram · hashed: buckets in all, 0 without
    subwords · is_judged: whether to tell of WS-353
    """

    vocabulary: Vocabulary
    vectors: Floats
    buckets: NDArray[np.int32]
    grams: Floats
    min_char: int
    max_char: int
    hashed: int
    is_judged: bool = True

    def check(self) -> None:
        sound.require(self.vocabulary.labels == 0, "words are no labels")
        sound.shaped("vectors", self.vectors, len(self.vocabulary), None)
        sound.require(self.vectors.size > 0, "there are words, and these have numbers")
        check_buckets(self.buckets, self.hashed)
        sound.shaped("grams", self.grams, len(self.buckets), self.vectors.shape[1])
        sound.between("min_char", self.min_char, 1)
        sound.between("max_char", self.max_char, 1)

    def predict(self, batch: Batch) -> Columns:
        """``word`` and ``vector`` of each row, a word; nothing but zeros of one that is not known,
        unless it has n-grams that are."""
        words = np.array([line.strip() for line in batch.text or ()], object)
        return {"word": words, "vector": self.of(text_of(list(words)))[0]}

    def of(self, words: Text) -> tuple[Floats, NDArray[np.bool_]]:
        """(lines, columns) the vector of each line, a word, and whether there is one."""
        numbers = self.vocabulary.numbers(words)
        known = numbers >= 0
        made = np.zeros((len(words), self.vectors.shape[1]), np.float32)
        made[known] = self.vectors[numbers[known]]
        if self.hashed and not known.all():
            strange = np.flatnonzero(~known)
            grams = Grams(self.min_char, self.max_char, self.hashed)
            parts = grams.parts(words.take(strange), self.buckets, 0)
            counts = np.diff(parts.starts)
            sums = means(np.zeros((len(strange), made.shape[1]), np.float32), self.grams, parts)
            made[strange] = sums * ((counts + 1) / np.maximum(counts, 1))[:, None]
            known[strange] = counts > 0
        return made, known

    def agreement(self) -> Agreement:
        """With people's judgement of the pairs of WS-353."""

        def vectors_of(words: Sequence[str]) -> tuple[Floats, NDArray[np.bool_]]:
            return self.of(text_of(list(words)))

        return agreement(vectors_of)

    def neighbours(self, text: Text) -> Neighbours:
        """Whether words are more like their neighbours in these lines than like words at random."""
        ids, starts = tokens.numbers(Lines(text.bytes, text.offsets), self.vocabulary.table)
        pairs = np.arange(len(ids) - 1)
        ends = np.isin(pairs + 1, starts)
        first, second = ids[pairs[~ends]], ids[pairs[~ends] + 1]
        place = (pairs - starts[np.searchsorted(starts, pairs, side="right") - 1])[~ends]
        others = self._drawn(first, second, place)
        near = cosines(self.vectors[first], self.vectors[second])
        far = cosines(self.vectors[first], self.vectors[others])
        wins = np.count_nonzero(near > far) + 0.5 * np.count_nonzero(near == far)
        return Neighbours(float(wins), len(first))

    def _drawn(self, *keys: NDArray[np.int32 | np.int64]) -> NDArray[np.int64]:
        """Words as frequent as in the text, one for each key: the same key draws the same word."""
        state = np.zeros(len(keys[0]), np.uint64)
        for key in keys:
            state = _mixed(state + key.astype(np.uint64) + np.uint64(1))
        bounds = np.cumsum(self.vocabulary.counts)
        at = (state >> np.uint64(11)).astype(np.float64) * 2.0**-53 * float(bounds[-1])
        return np.minimum(np.searchsorted(bounds, at, side="right"), len(bounds) - 1)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """wins: words more like their neighbour than like a word at random · pairs: looked at"""

    wins: float
    pairs: int

    def merge(self, other: Neighbours) -> Neighbours:
        return Neighbours(self.wins + other.wins, self.pairs + other.pairs)

    def measures(self) -> Sequence[Measure]:
        return [Measure("neighbour_auc", self.wins / max(1, self.pairs), "score")]


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea & Flood, 2014)."""
    z = z * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
