"""The character n-grams that words are made of, in hashed buckets of which only those that occur
have a row (Bojanowski et al., "Enriching word vectors with subword information", 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Floats
from tidemill.data.text import Text
from tidemill.kernels import sound, tokens
from tidemill.kernels.tokens import Lines
from tidemill.kernels.word2vec import Parts

Numbers = NDArray[np.int32]
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Grams:
    """low, high: characters of an n-gram · buckets: that they are hashed to"""

    low: int
    high: int
    buckets: int

    def of(self, words: Text) -> tuple[Numbers, NDArray[np.int64]]:
        """The buckets of the n-grams of words, one a line, and where each word's begin."""
        return tokens.subwords(Lines(words.bytes, words.offsets), self.low, self.high, self.buckets)

    def occurring(self, words: Text) -> Numbers:
        """The buckets of the n-grams of all these words, rising."""
        found: Numbers = np.unique(self.of(words)[0])
        return found

    def parts(self, words: Text, occurring: Numbers, first: int) -> Parts:
        """Rows of the n-grams of words; that of ``occurring[i]`` is ``first + i``; others have
        none."""
        buckets, starts = self.of(words)
        at = np.searchsorted(occurring, buckets)
        known = at < len(occurring)
        known[known] = occurring[at[known]] == buckets[known]
        before = np.concatenate([[0], np.cumsum(known)])
        return Parts((at[known] + first).astype(np.int32), before[starts])


def check_buckets(buckets: Numbers, hashed: int) -> None:
    """Raise ValueError unless these are some of so many buckets, rising."""
    sound.between("hashed", hashed, 0, tokens.MOST_BUCKETS)
    sound.shaped("buckets", buckets, None)
    sound.within("buckets", buckets, 0, hashed)
    sound.rising("buckets", buckets, strictly=True)


def means(own: Floats, grams: Floats, parts: Parts) -> Floats:
    """Each word's vector: the mean of its own row and those of its n-grams.

    own : (words, columns) · grams : (rows, columns), which ``parts`` are of, counted from 0
    """
    made = np.empty((len(parts.starts) - 1, own.shape[1]), np.float32)
    for start in range(0, len(made), _BLOCK):
        stop = min(start + _BLOCK, len(made))
        bounds = parts.starts[start : stop + 1]
        rows = grams[parts.rows[bounds[0] : bounds[-1]]]
        counts = np.diff(bounds)
        sums = own[start:stop].copy()
        filled = np.flatnonzero(counts)
        if len(filled):
            sums[filled] += np.add.reduceat(rows, (bounds[:-1] - bounds[0])[filled], axis=0)
        made[start:stop] = sums / (counts + 1)[:, None].astype(np.float32)
    return made
