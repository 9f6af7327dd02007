"""Vectors of words: what training on them remembers, its passes, and how hosts put them together.

Two copies of the model learn side by side from two halves of some ten thousand words, then both
take on what either has changed. That there are two does not depend on the cores: nor do the bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.blazingtext.hyperparameters import (
    BATCH_SKIPGRAM,
    CBOW,
    BlazingTextHyperparameters,
)
from tidemill.algorithms.blazingtext.reading import in_blocks
from tidemill.algorithms.blazingtext.subwords import Grams, check_buckets, means
from tidemill.algorithms.blazingtext.tally import Tally
from tidemill.algorithms.blazingtext.vocabulary import Vocabulary, grown, nothing, without_rare
from tidemill.algorithms.blazingtext.word_model import WordVectors
from tidemill.data.batch import Floats
from tidemill.data.text import Text, text_of
from tidemill.errors import InvalidData
from tidemill.kernels import sound, tokens, word2vec
from tidemill.kernels.tokens import Lines
from tidemill.kernels.word2vec import Pace, Parts, Setting

Each = Callable[..., Iterable[Any]]
_COPIES = 2
_SHARE = 3
"""Words that a copy learns from before both meet, for each word of the vocabulary: meeting costs as
much as learning from one word of text for every three of the vocabulary."""
_LEAST_WORDS = 1 << 13
_MOST_BYTES = 1 << 29
"""Of a model that is copied."""
_FIRST, _FIRST_OF_MEANS = 1.0, 4.0
"""First vectors are within ± this / columns: farther for those that means are taken of, cbow's and
n-grams', which small texts gain by."""
_POWER = 0.75


@dataclass(frozen=True, slots=True)
class VectorsState:
    """vocabulary: of all texts so far · settings: hyperparameters that the rows depend on

    inner : (words + buckets, width) float32, a word's row and those of the n-grams that it is made
    of · outer : (words, width) · buckets : (buckets,) int32, which bucket each further row is of
    length: known words that a pass reads · workers: that share them · epoch: passes closed
    trained: words of this pass so far
    """

    vocabulary: Vocabulary
    settings: Mapping[str, int]
    inner: Floats
    outer: Floats
    buckets: NDArray[np.int32]
    length: int
    workers: int = 1
    epoch: int = 0
    trained: int = 0

    def check(self) -> None:
        words, settings = len(self.vocabulary), self.settings
        sound.require(self.vocabulary.labels == 0, "words are no labels")
        sound.between("words", words, 1)
        sound.require(bool(self.vocabulary.counts.min() > 0), "all words came")
        width = word2vec.padded(settings["vector_dim"])
        sound.between("width", width, 1)
        sound.shaped("inner", self.inner, words + len(self.buckets), width)
        sound.shaped("outer", self.outer, words, width)
        check_buckets(self.buckets, settings["buckets"] if settings["subwords"] else 0)
        sound.between("workers", self.workers, 1)
        for name in ("length", "epoch", "trained"):
            sound.between(name, getattr(self, name), 0)


class _Tools(NamedTuple):
    """What follows from the vocabulary. copies: pairs of matrices, equal to the state's"""

    vocabulary: Vocabulary
    setting: Setting
    copies: list[tuple[Floats, Floats]]


class VectorsTrainer:
    """Learns vectors; see ``learner.BlazingText`` for the passes about it."""

    def __init__(self, given: BlazingTextHyperparameters, seed: int, each: Each) -> None:
        self._given, self._seed, self._each = given, seed, each
        self._grams = Grams(given.min_char, given.max_char, given.buckets)
        self._tools: _Tools | None = None
        self._synced: Floats | None = None

    def begin(self, tally: Tally, before: VectorsState | None) -> VectorsState:
        """After all words are counted: rows for those that are new. Raises InvalidData for none."""
        known = before.vocabulary if before else nothing()
        vocabulary, origin = grown(known, tally, self._given.min_count, labelled=False)
        length = _known_words(vocabulary, tally)
        if not len(vocabulary) or not length:
            raise _no_words(self._given.min_count, tally)
        state = self._placed(vocabulary, origin, before)
        return replace(state, length=length, workers=max(1, tally.workers))

    def remade(self, state: VectorsState) -> VectorsState:
        """The state for these hyperparameters: without words that came less often than they ask."""
        if not (state.vocabulary.counts < self._given.min_count).any():
            return replace(state, epoch=0, trained=0)
        vocabulary, origin = without_rare(state.vocabulary, self._given.min_count)
        if not len(vocabulary):
            raise _no_words(self._given.min_count, None)
        return self._placed(vocabulary, origin, state)

    def learn(self, state: VectorsState, text: Text) -> VectorsState:
        """One batch of lines."""
        table = state.vocabulary.table

        def numbers(part: Text) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
            return tokens.numbers(Lines(part.bytes, part.offsets), table)

        parts = list(self._each(numbers, in_blocks(text)))
        ids = np.concatenate([part[0] for part in parts])
        ends = np.cumsum([len(part[0]) for part in parts])
        starts = np.concatenate(
            [np.zeros(1, np.int64)]
            + [p[1][1:] + end - len(p[0]) for p, end in zip(parts, ends, strict=True)]
        )
        if not len(ids):
            return state
        state = self._aligned(state)
        for first, last in self._stretches(state, starts):
            self._stretch(state, ids, starts, first, last)
        return replace(state, trained=state.trained + len(ids))

    def merge(self, left: VectorsState, right: VectorsState) -> VectorsState:
        """The mean of two workers' vectors, by the words that each has learned from."""
        self._synced = None
        total = left.trained + right.trained
        if not left.trained or not right.trained:
            return left if left.trained else right
        share = np.float32(right.trained / total)
        for mine, theirs in ((left.inner, right.inner), (left.outer, right.outer)):
            mine += share * (theirs - mine)
        return replace(left, trained=total)

    def closed(self, state: VectorsState) -> VectorsState:
        """After a pass."""
        return replace(state, epoch=state.epoch + 1, trained=0)

    def rate(self, state: VectorsState) -> float:
        """The size of the next step."""
        return self._given.learning_rate * max(0.0, 1 - state.epoch / self._given.epochs)

    def model(self, state: VectorsState) -> WordVectors:
        """The vectors as of now."""
        given, words = self._given, len(state.vocabulary)
        own = np.ascontiguousarray(state.inner[:words, : given.vector_dim])
        grams = np.ascontiguousarray(state.inner[words:, : given.vector_dim])
        if given.subwords:
            own = means(own, grams, self._grams.parts(state.vocabulary.text, state.buckets, 0))
        return WordVectors(
            state.vocabulary,
            own,
            state.buckets,
            grams,
            given.min_char,
            given.max_char,
            given.buckets if given.subwords else 0,
            given.evaluation,
        )

    def _placed(
        self, vocabulary: Vocabulary, origin: NDArray[np.int64], before: VectorsState | None
    ) -> VectorsState:
        """Rows for a vocabulary: those that words had before, and first ones for the others."""
        given, words, old = self._given, len(vocabulary), origin >= 0
        buckets = self._grams.occurring(vocabulary.text) if given.subwords else np.zeros(0, "i4")
        inner = word2vec.zeros(words + len(buckets), given.vector_dim)
        outer = word2vec.zeros(words, given.vector_dim)
        scale = (_FIRST_OF_MEANS if given.mode == CBOW else _FIRST) / given.vector_dim
        lines = Lines(vocabulary.bytes, vocabulary.offsets)
        word2vec.begin(inner, lines, np.flatnonzero(~old), given.vector_dim, scale, self._seed)
        self._begin_grams(inner[words:], buckets)
        if before is not None:
            inner[np.flatnonzero(old)] = before.inner[origin[old]]
            outer[np.flatnonzero(old)] = before.outer[origin[old]]
            kept, mine, theirs = np.intersect1d(
                buckets, before.buckets, assume_unique=True, return_indices=True
            )
            inner[words + mine] = before.inner[len(before.vocabulary) + theirs]
        return VectorsState(vocabulary, given.settings(), inner, outer, buckets, 0)

    def _begin_grams(self, rows: Floats, buckets: NDArray[np.int32]) -> None:
        """First rows of n-grams, each a function of its bucket."""
        names = text_of([b"%d" % bucket for bucket in buckets.tolist()])
        every, columns = np.arange(len(buckets)), self._given.vector_dim
        lines, scale = Lines(names.bytes, names.offsets), _FIRST_OF_MEANS / columns
        word2vec.begin(rows, lines, every, columns, scale, self._seed)

    def _aligned(self, state: VectorsState) -> VectorsState:
        inner, outer = word2vec.aligned(state.inner), word2vec.aligned(state.outer)
        if inner is state.inner and outer is state.outer:
            return state
        return replace(state, inner=inner, outer=outer)

    def _stretches(
        self, state: VectorsState, starts: NDArray[np.int64]
    ) -> Iterable[tuple[int, int]]:
        """Lines between two meetings of the copies: about as many words in each stretch."""
        lines, words = len(starts) - 1, int(starts[-1])
        rows = (len(state.inner) + len(state.outer)) // 2
        size = _COPIES * max(_LEAST_WORDS, _SHARE * rows)
        count = max(1, round(words / size))
        bounds = np.searchsorted(starts, np.arange(count + 1) * words / count)
        bounds[0], bounds[-1] = 0, lines
        for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            if last > first:
                yield first, last

    def _stretch(
        self,
        state: VectorsState,
        ids: NDArray[np.int32],
        starts: NDArray[np.int64],
        first: int,
        last: int,
    ) -> None:
        """Learn from lines first..last, by two copies where that is worth it."""
        words = int(starts[last] - starts[first])
        setting = self._tools_for(state).setting
        if words < len(state.inner) + len(state.outer) or _bytes(state) > _MOST_BYTES:
            self._synced = None
            pace = self._pace(state, int(starts[first]))
            word2vec.train(setting, state.inner, state.outer, ids, starts[first : last + 1], pace)
            return
        copies = self._copies(state)
        middles = starts[first] + np.arange(1, _COPIES) * words // _COPIES
        bounds = [first, *np.searchsorted(starts, middles).tolist(), last]

        def learn(copy: int) -> None:
            own, start = copies[copy], bounds[copy]
            lines = starts[start : max(start, bounds[copy + 1]) + 1]
            word2vec.train(setting, *own, ids, lines, self._pace(state, int(starts[start])))

        def join(part: int) -> None:
            for which, base in enumerate((state.inner, state.outer)):
                first, last = part * len(base) // _COPIES, (part + 1) * len(base) // _COPIES
                word2vec.join(base, [copy[which] for copy in copies], first, last)

        for work in (learn, join):
            for _ in self._each(work, range(_COPIES)):
                pass

    def _pace(self, state: VectorsState, at: int) -> Pace:
        """Where training stands ``at`` words into the batch, as far as this worker can tell."""
        own = state.trained + at
        done = state.epoch * state.length + min(state.length, own * state.workers)
        length = max(1, self._given.epochs * state.length)
        return Pace(float(done), float(length), float(state.workers), (state.epoch << 40) + own)

    def _copies(self, state: VectorsState) -> list[tuple[Floats, Floats]]:
        """Matrices like the state's for each copy to change."""
        copies = self._tools_for(state).copies
        if not copies:
            for _ in range(_COPIES):
                copies.append(
                    (
                        word2vec.zeros(*state.inner.shape),
                        word2vec.zeros(*state.outer.shape),
                    )
                )
        if self._synced is not state.inner:
            for inner, outer in copies:
                inner[:], outer[:] = state.inner, state.outer
            self._synced = state.inner
        return copies

    def _tools_for(self, state: VectorsState) -> _Tools:
        if self._tools is None or self._tools.vocabulary is not state.vocabulary:
            self._tools = _Tools(state.vocabulary, self._setting(state), [])
            self._synced = None
        return self._tools

    def _setting(self, state: VectorsState) -> Setting:
        given, counts = self._given, state.vocabulary.counts.astype(np.float64)
        share = counts / counts.sum()
        ratio = given.sampling_threshold / share
        keep = np.minimum(1.0, np.sqrt(ratio) + ratio) * (2**32 - 1)
        parts: Parts | None = None
        if given.subwords:
            words = state.vocabulary.text
            parts = self._grams.parts(words, state.buckets, len(state.vocabulary))
        return Setting(
            *word2vec.alias_of(counts**_POWER),
            keep.astype(np.uint32),
            parts,
            given.mode == CBOW,
            given.window_size,
            given.negative_samples,
            min(given.batch_size, word2vec.MOST_GROUP)
            if given.mode == BATCH_SKIPGRAM
            else word2vec.MOST_GROUP,
            # The mean of what several workers did is less than one would have done in all.
            given.learning_rate * math.sqrt(state.workers),
            self._seed,
        )


def _bytes(state: VectorsState) -> int:
    return state.inner.nbytes + state.outer.nbytes


def _known_words(vocabulary: Vocabulary, tally: Tally) -> int:
    """Words of a counted text that are known."""
    known = vocabulary.numbers(tally.text()) >= 0
    return int(tally.counts[: tally.words][known].sum())


def _no_words(min_count: int, tally: Tally | None) -> InvalidData:
    got = "none" if tally is None else f"{tally.words} words in {tally.lines} lines"
    return InvalidData(
        f"blazingtext: some word must come at least min_count = {min_count} times",
        got=got,
        do="Lower min_count, or train on more text: a sentence a line, blanks between words.",
    )
