"""Classes of texts: what training on labelled lines remembers, its passes, and how hosts join.

A text is the mean of the rows of its words and hashed word n-grams, as in fastText (Joulin et al.,
"Bag of tricks for efficient text classification", 2017). Two things differ, neither of which a
reader of the model can tell. Where there are no more labels than ``vector_dim`` the rows are the
labels' scores themselves: the matrix behind them would only turn them about. And each row takes
steps at its own pace (Duchi, Hazan & Singer, 2011), rare ones longer ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.blazingtext.class_model import Reader, Seen, TextClasses, judge
from tidemill.algorithms.blazingtext.hyperparameters import BlazingTextHyperparameters
from tidemill.algorithms.blazingtext.reading import in_blocks
from tidemill.algorithms.blazingtext.subwords import check_buckets
from tidemill.algorithms.blazingtext.tally import LABEL, Tally
from tidemill.algorithms.blazingtext.vocabulary import (
    Grown,
    Vocabulary,
    grown,
    nothing,
    without_rare,
)
from tidemill.data.batch import Floats
from tidemill.data.text import Text
from tidemill.errors import Invalid, InvalidData
from tidemill.kernels import sound, textclassifier
from tidemill.kernels.textclassifier import Matrices, Steps
from tidemill.kernels.tokens import Found

Each = Callable[..., Iterable[Any]]
Integers = NDArray[np.int64]
_LEAST_GRAMS = 2
"""An n-gram that comes but once tells nothing that lasts: its bucket has no row."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a line's rows make a score, and how far they go.

    is_distinct: each counts once, however often it comes · power: of the line's terms, that the sum
    is divided by · scale: of steps, in learning rates; what is best varies little from text to text
    """

    is_distinct: bool
    power: float
    scale: float


FASTTEXT = Form(is_distinct=False, power=1.0, scale=40.0)
"""The mean of all terms: what fastText makes of the same model."""
DISTINCT = Form(is_distinct=True, power=0.5, scale=4.0)
"""Better by half a point to a point of accuracy, but no model for fastText."""


@dataclass(frozen=True, slots=True)
class ClassesState:
    """vocabulary: words, then labels · settings: hyperparameters that the rows depend on

    weights : (words + buckets, width) float32, a row for each word and bucket of n-grams
    squares : (rows,) what moved each so far · output : (labels, width), or None where a row's
    weights are the labels' scores · output_squares : (labels,) or none
    buckets : (buckets,) int32, which bucket each further row is of · gram_counts : (buckets,) int64
    length: lines of a pass · workers: that share them · total: lines of all texts so far
    epoch: passes closed · seen, held: of this pass · train, validation: accuracies of the last one
    best: the highest of validation, best_weights and best_output what it was reached with, kept
    where training may end early · stalled: passes since
    """

    vocabulary: Vocabulary
    settings: Mapping[str, int]
    weights: Floats
    squares: Floats
    output: Floats | None
    output_squares: Floats
    buckets: NDArray[np.int32]
    gram_counts: Integers
    length: int = 0
    workers: int = 1
    total: int = 0
    epoch: int = 0
    seen: Seen = Seen()
    held: Seen = Seen()
    train: float | None = None
    validation: float | None = None
    best: float | None = None
    best_weights: Floats | None = None
    best_output: Floats | None = None
    stalled: int = 0

    def check(self) -> None:
        rows, labels = len(self.vocabulary) + len(self.buckets), self.vocabulary.labels
        sound.between("labels", labels, 2)
        sound.require(bool(self.vocabulary.counts.min() > 0), "all words and labels came")
        most, longest = self.settings["vector_dim"], self.settings["word_ngrams"]
        sound.between("vector_dim", most, 1)
        sound.require((self.output is None) == (labels <= most), "many labels have a matrix")
        width = labels if self.output is None else most
        self._check_rows(rows, width)
        check_buckets(self.buckets, self.settings["buckets"] if longest > 1 else 0)
        sound.shaped("gram_counts", self.gram_counts, len(self.buckets))
        sound.counted("gram_counts", self.gram_counts)
        sound.between("workers", self.workers, 1)
        for name in ("length", "total", "epoch", "stalled"):
            sound.between(name, getattr(self, name), 0)

    def _check_rows(self, rows: int, width: int) -> None:
        """That each word and bucket has a row, and each label one of the output, if there is one;
        the best ones are of the same shapes."""
        labels = self.vocabulary.labels
        sound.shaped("weights", self.weights, rows, width)
        sound.shaped("best_weights", self.best_weights, rows, width)
        sound.shaped("squares", self.squares, rows)
        sound.shaped("output", self.output, labels, width)
        sound.shaped("best_output", self.best_output, labels, width)
        sound.shaped("output_squares", self.output_squares, 0 if self.output is None else labels)
        is_kept = self.best_weights is not None and self.output is not None
        sound.require((self.best_output is not None) == is_kept, "the best rows have their matrix")


class ClassesTrainer:
    """Learns classes; see ``learner.BlazingText`` for the passes about it."""

    def __init__(
        self, given: BlazingTextHyperparameters, seed: int, each: Each, form: Form = FASTTEXT
    ) -> None:
        self._given, self._seed, self._each, self._form = given, seed, each, form
        self._reader: tuple[Vocabulary, Reader] | None = None
        self._paces: tuple[Vocabulary, Floats] | None = None

    def begin(self, tally: Tally, before: ClassesState | None) -> ClassesState:
        """After all words are counted: rows for what is new. Raises InvalidData without labels."""
        known = before.vocabulary if before else nothing()
        found = grown(known, tally, self._given.min_count, labelled=True)
        _check_labels(found.vocabulary, tally)
        is_there = tally.grams >= _LEAST_GRAMS
        old = before.buckets if before else np.zeros(0, np.int32)
        is_there[old] = True
        buckets = np.flatnonzero(is_there).astype(np.int32)
        counts = np.zeros(len(buckets), np.int64)
        if before is not None:
            counts[np.searchsorted(buckets, old)] += before.gram_counts
        counts += tally.grams[buckets] if len(tally.grams) else 0
        state = self._placed(found, buckets, counts, before)
        return replace(
            state,
            length=tally.lines,
            workers=max(1, tally.workers),
            total=(before.total if before else 0) + tally.lines,
        )

    def remade(self, state: ClassesState) -> ClassesState:
        """The state for these hyperparameters: without words that came less often than they ask."""
        model = self.model(state)
        fresh = replace(
            state, weights=model.weights, output=model.output, epoch=0, seen=Seen(), held=Seen(),
            best=None, best_weights=None, best_output=None, stalled=0,
        )  # fmt: skip
        words = state.vocabulary.counts[: len(state.vocabulary)]
        if not (words < self._given.min_count).any():
            return fresh
        found = without_rare(state.vocabulary, self._given.min_count)
        made = self._placed(found, state.buckets, state.gram_counts, fresh)
        return replace(made, total=state.total)

    def learn(self, state: ClassesState, text: Text) -> ClassesState:
        """One batch of lines; those without a label are passed over."""
        for found in self.read(state, text):
            state = self.take(state, found)
        return state

    def read(self, state: ClassesState, text: Text) -> Iterable[Found]:
        """What the classifier sees of lines, block by block."""
        return self._each(self._reading(state).read, in_blocks(text))

    def take(self, state: ClassesState, found: Found) -> ClassesState:
        """Learn from lines that were read; the weights given are changed."""
        given = self._given
        done = state.epoch * state.length
        done += min(state.length, state.seen.lines * state.workers)
        steps = Steps(
            self._paces_of(state), state.squares, state.output_squares, self._form.scale,
            given.learning_rate, float(done), float(state.workers),
            float(max(1, given.epochs * state.length)),
        )  # fmt: skip
        seen = Seen(*textclassifier.learn(self._matrices(state), found, steps))
        return replace(state, seen=state.seen.merge(seen))

    def hold_out(self, state: ClassesState, text: Text) -> ClassesState:
        """Judge the model on lines that it does not learn from."""
        held = state.held
        for found in self.read(state, text):
            chances = textclassifier.chances(self._matrices(state), found)
            held = held.merge(judge(chances, found))
        return replace(state, held=held)

    def merge(self, left: ClassesState, right: ClassesState) -> ClassesState:
        """The mean of two workers' weights, by the lines that each has learned from."""
        if not left.seen.lines or not right.seen.lines:
            return left if left.seen.lines else right
        seen = left.seen.merge(right.seen)
        share = np.float32(right.seen.lines / seen.lines)
        for mine, theirs in (
            (left.weights, right.weights),
            (left.squares, right.squares),
            (left.output, right.output),
            (left.output_squares, right.output_squares),
        ):
            if mine is not None and theirs is not None:
                mine += share * (theirs - mine)
        return replace(left, seen=seen)

    def closed(self, state: ClassesState) -> ClassesState:
        """After a pass: its accuracies, and whether it was the best."""
        train, validation = state.seen.accuracy, state.held.accuracy
        if self._given.early_stopping and validation is None:
            raise Invalid(
                "blazingtext: early_stopping needs labelled lines in a validation channel",
                got="none",
                do="Add the channel 'validation', or leave early_stopping out.",
            )
        closed = replace(
            state, epoch=state.epoch + 1, seen=Seen(), held=Seen(), train=train,
            validation=validation,
        )  # fmt: skip
        if validation is None or (state.best is not None and validation <= state.best):
            return replace(closed, stalled=closed.stalled + 1)
        if not self._given.early_stopping:
            return replace(closed, best=validation, stalled=0)
        output = None if state.output is None else state.output.copy()
        return replace(
            closed, best=validation, stalled=0, best_weights=state.weights.copy(),
            best_output=output,
        )  # fmt: skip

    def is_over(self, state: ClassesState) -> bool:
        """Whether another epoch would be one too many, though there are some left."""
        given = self._given
        may_end = given.early_stopping and state.epoch >= given.min_epochs
        return may_end and state.stalled >= given.patience

    def model(self, state: ClassesState) -> TextClasses:
        """The model as of now; where training may end early, that of the best epoch."""
        if state.best_weights is None:
            return self._model_of(state)
        best = replace(state, weights=state.best_weights, output=state.best_output)
        return self._model_of(best)

    def _model_of(self, state: ClassesState) -> TextClasses:
        given, form = self._given, self._form
        return TextClasses(
            state.vocabulary,
            state.weights,
            state.output,
            state.buckets,
            given.buckets if given.word_ngrams > 1 else 0,
            given.word_ngrams,
            form.is_distinct,
            form.power,
        )

    def _reading(self, state: ClassesState) -> Reader:
        if self._reader is None or self._reader[0] is not state.vocabulary:
            self._reader = state.vocabulary, self._model_of(state).reader
        return self._reader[1]

    def _matrices(self, state: ClassesState) -> Matrices:
        form = self._form
        return Matrices(state.weights, state.output, form.is_distinct, form.power)

    def _paces_of(self, state: ClassesState) -> Floats:
        """(rows,) how far each row goes: by the logarithm of how rare it is, 1 in the mean."""
        if self._paces is None or self._paces[0] is not state.vocabulary:
            words = state.vocabulary.counts[: len(state.vocabulary)]
            counts = np.concatenate([words, state.gram_counts]).astype(np.float64)
            lines = max(1, state.total)
            rarity = np.log((1 + lines) / (1 + np.minimum(counts, lines))) + 1
            usual = float(counts @ rarity) / max(1.0, float(counts.sum()))
            self._paces = state.vocabulary, (rarity / usual).astype(np.float32)
        return self._paces[1]

    def _placed(
        self,
        found: Grown,
        buckets: NDArray[np.int32],
        counts: Integers,
        before: ClassesState | None,
    ) -> ClassesState:
        """Rows for a vocabulary and buckets: those that there were, and empty ones."""
        vocabulary, words = found.vocabulary, len(found.vocabulary)
        labels, most = vocabulary.labels, self._given.vector_dim
        rows = words + len(buckets)
        output = _output(labels, most, self._seed) if labels > most else None
        width = most if output is not None else labels
        weights, squares = np.zeros((rows, width), np.float32), np.zeros(rows, np.float32)
        output_squares = np.zeros(0 if output is None else labels, np.float32)
        if before is not None:
            mine, theirs = _rows_kept(found, buckets, before)
            into, old = _labels_kept(found, before)
            old_weights, old_output = before.weights, before.output
            if output is None:
                weights[np.ix_(mine, into)] = old_weights[np.ix_(theirs, old)]
            else:
                old_width = old_weights.shape[1]
                if old_output is None:
                    old_output = np.eye(old_width, dtype=np.float32)
                else:
                    output_squares[into] = before.output_squares[old]
                weights[mine, :old_width] = old_weights[theirs]
                output[into] = 0
                output[into, :old_width] = old_output[old]
            squares[mine] = before.squares[theirs]
        settings = self._given.settings()
        return ClassesState(
            vocabulary, settings, weights, squares, output, output_squares, buckets, counts
        )


def _rows_kept(
    found: Grown, buckets: NDArray[np.int32], before: ClassesState
) -> tuple[Integers, Integers]:
    """Rows that there were before: where they are now, and where they were."""
    words, old_words = len(found.vocabulary), len(before.vocabulary)
    origin = found.origin[:words]
    mine = np.flatnonzero(origin >= 0)
    _, now, then = np.intersect1d(buckets, before.buckets, assume_unique=True, return_indices=True)
    return np.concatenate([mine, words + now]), np.concatenate([origin[mine], old_words + then])


def _labels_kept(found: Grown, before: ClassesState) -> tuple[Integers, Integers]:
    """Labels that there were before: which they are now, and which they were."""
    origin = found.origin[len(found.vocabulary) :]
    mine = np.flatnonzero(origin >= 0)
    return mine, origin[mine] - len(before.vocabulary)


def _output(labels: int, width: int, seed: int) -> Floats:
    """First rows of many labels, each about of length one."""
    draws = np.random.Generator(np.random.Philox(key=np.array([seed, labels], np.uint64)))
    return draws.standard_normal((labels, width), np.float32) * np.float32(1 / math.sqrt(width))


def _check_labels(vocabulary: Vocabulary, tally: Tally) -> None:
    if vocabulary.labels < 2:
        there = vocabulary.label_names.tolist()
        raise InvalidData(
            f"blazingtext: lines must carry at least two different labels, {LABEL.decode()}x",
            got=f"{there or 'none'} in {tally.lines} lines",
            do=f"Put {LABEL.decode()}NAME in front of each line's words, and blanks between them.",
        )
