"""What training on labelled lines leaves: the chance of each label for a line of text."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Columns, Measure
from tidemill.algorithms.blazingtext.subwords import check_buckets
from tidemill.algorithms.blazingtext.tally import LABEL
from tidemill.algorithms.blazingtext.vocabulary import END, Vocabulary
from tidemill.data.batch import Batch, Floats
from tidemill.data.text import Text, text_of
from tidemill.errors import InvalidData
from tidemill.kernels import sound, textclassifier, tokens
from tidemill.kernels.textclassifier import Matrices
from tidemill.kernels.tokens import Buckets, Found, Lines

_TINY = 1e-30


@dataclass(frozen=True)
class Reader:
    """Sees lines as a classifier does.

    buckets : (kept,) int32, the bucket of n-grams that each row after the words' is of
    hashed: buckets in all · word_ngrams: words of the longest n-gram
    """

    vocabulary: Vocabulary
    buckets: NDArray[np.int32]
    hashed: int
    word_ngrams: int

    def read(self, text: Text) -> Found:
        """Rows, labels and numbers of terms of each line."""
        return tokens.features(
            Lines(text.bytes, text.offsets),
            self.vocabulary.table,
            len(self.vocabulary),
            self._buckets,
            label=LABEL,
            end_row=self._end_row,
            word_ngrams=self.word_ngrams,
        )

    @functools.cached_property
    def _buckets(self) -> Buckets:
        return tokens.bucketed(self.buckets, self.hashed, len(self.vocabulary))

    @functools.cached_property
    def _end_row(self) -> int:
        found = int(self.vocabulary.numbers(text_of([END]))[0])
        return found if found < len(self.vocabulary) else -1  # a label is none


@dataclass(frozen=True, slots=True)
class Seen:
    """Lines with labels, how many of them the model had right, and its loss, added up."""

    lines: int = 0
    right: int = 0
    loss: float = 0.0

    def check(self) -> None:
        sound.between("lines", self.lines, 0)
        sound.between("right", self.right, 0, self.lines)

    def merge(self, other: Seen) -> Seen:
        return Seen(self.lines + other.lines, self.right + other.right, self.loss + other.loss)

    @property
    def accuracy(self) -> float | None:
        """None of no lines."""
        return self.right / self.lines if self.lines else None

    def measures(self) -> Sequence[Measure]:
        return [
            Measure("accuracy", self.accuracy or 0.0, "score"),
            Measure("cross_entropy_loss", self.loss / max(1, self.lines)),
        ]


@dataclass(frozen=True)
class TextClasses:
    """vocabulary: words, then labels · weights : (words + buckets, width) float32
    output : (labels, width), or None where a row's weights are the labels' scores
    buckets, hashed, word_ngrams: see Reader · is_distinct, power: see ``kernels.textclassifier``
    """

    vocabulary: Vocabulary
    weights: Floats
    output: Floats | None
    buckets: NDArray[np.int32]
    hashed: int
    word_ngrams: int
    is_distinct: bool
    power: float

    def check(self) -> None:
        labels = self.vocabulary.labels
        sound.shaped("weights", self.weights, len(self.vocabulary) + len(self.buckets), None)
        sound.require(self.weights.size > 0, "there are words, and these have numbers")
        sound.between("labels", labels, 1)
        width = self.weights.shape[1]
        sound.shaped("output", self.output, labels, width)
        sound.require(self.output is not None or width == labels, "there is a score of each label")
        check_buckets(self.buckets, self.hashed)
        sound.between("word_ngrams", self.word_ngrams, 1, tokens.MOST_GRAMS)
        sound.require(self.hashed > 0 or self.word_ngrams == 1, "n-grams have buckets")
        sound.between("power", self.power, 0, 1)

    def predict(self, batch: Batch) -> Columns:
        """``label`` and ``prob``: the likeliest labels of each row, as many as the batch's labels
        ask for at most, or one."""
        wanted = 1 if batch.labels is None else int(batch.labels.max(initial=1))
        chances = self.chances(batch.text or text_of([]))
        best = np.argsort(-chances, axis=1, kind="stable")[:, : max(1, wanted)]
        return {
            "label": self.vocabulary.label_names[best],
            "prob": np.take_along_axis(chances, best, axis=1),
        }

    def chances(self, text: Text) -> Floats:
        """(lines, labels) the chance of each label."""
        return self._chances(self.reader.read(text))

    def judged(self, text: Text) -> Seen:
        """How good the model is on the lines that have labels."""
        found = self.reader.read(text)
        return judge(self._chances(found), found)

    @functools.cached_property
    def reader(self) -> Reader:
        """Made when it is first asked for."""
        return Reader(self.vocabulary, self.buckets, self.hashed, self.word_ngrams)

    def _chances(self, found: Found) -> Floats:
        matrices = Matrices(self.weights, self.output, self.is_distinct, self.power)
        try:
            return textclassifier.chances(matrices, found)
        except (ValueError, IndexError) as error:
            raise InvalidData(
                "a blazingtext model that is whole", got=str(error), do="Train it again."
            ) from error


def judge(chances: Floats, found: Found) -> Seen:
    """Lines are right whose likeliest label is one of theirs; a label never seen in training is
    one that no model can tell."""
    labelled = np.flatnonzero(found.named > 0)
    likeliest = chances.argmax(axis=1)
    lines = np.repeat(np.arange(len(found.named)), np.diff(found.label_starts))
    right = np.unique(lines[likeliest[lines] == found.labels])
    own = chances[lines, found.labels].astype(np.float64)
    shares = 1 / found.named[lines]
    unknown = len(labelled) - float(shares.sum())
    loss = -float(shares @ np.log(np.maximum(own, _TINY))) - unknown * float(np.log(_TINY))
    return Seen(len(labelled), len(right), loss)
