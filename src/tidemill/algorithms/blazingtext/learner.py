"""BlazingText: vectors of words, and classes of texts, as folds over lines of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tidemill.algorithms.base import Algorithm, Evaluation
from tidemill.algorithms.blazingtext import reopening
from tidemill.algorithms.blazingtext.classifier import FASTTEXT, ClassesState, ClassesTrainer, Form
from tidemill.algorithms.blazingtext.hyperparameters import (
    BlazingTextHyperparameters,
    check_together,
)
from tidemill.algorithms.blazingtext.model import BlazingTextModel, lines_of
from tidemill.algorithms.blazingtext.tally import Counter, Tally, empty
from tidemill.algorithms.blazingtext.vectors import Each, VectorsState, VectorsTrainer
from tidemill.data.batch import Batch
from tidemill.kernels import sound

_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class BlazingTextState:
    """tally: the words counted in the first pass, None once it is closed
    vectors, classes: what was learned, of which a job has one, here or from an earlier training"""

    tally: Tally | None
    vectors: VectorsState | None = None
    classes: ClassesState | None = None

    def check(self) -> None:
        learned = (self.vectors is not None) + (self.classes is not None)
        sound.between("vectors and classes", learned, 0 if self.tally is not None else 1, 1)


class BlazingText(Algorithm[BlazingTextState]):
    """word2vec and fastText's classifier as SageMaker's BlazingText offers them.

    A first pass counts words; then come ``epochs`` passes of training.

    seed: of all randomness · each: like ``map``; one that works side by side changes no result
    clock: seconds, for the words per second of the log · form: of a classifier

    >>> from tidemill.data.batch import of_text
    >>> from tidemill.data.text import text_of
    >>> given = BlazingTextHyperparameters(mode="supervised", min_count=1)
    >>> algorithm = BlazingText(given)
    >>> lines = text_of(["__label__sea salt and wind", "__label__tea leaf and cup"] * 20)
    >>> state = algorithm.start()
    >>> while True:
    ...     state = algorithm.close_pass(algorithm.update(state, of_text(lines)))
    ...     if not algorithm.wants_another_pass(state):
    ...         break
    >>> answer = algorithm.finalize(state).predict(of_text(text_of(["a cup"])))
    >>> answer["label"].tolist(), (answer["prob"] > 0.9).all()
    ([['__label__tea']], np.True_)
    """

    exact = False
    batch_rows = _BATCH

    def __init__(
        self,
        given: BlazingTextHyperparameters,
        *,
        seed: int = 0,
        each: Each = map,
        clock: Callable[[], float] | None = None,
        form: Form = FASTTEXT,
    ) -> None:
        check_together(given)
        self.given = given
        self._clock, self._begun, self._rate = clock, 0.0, 0.0
        self._vectors = VectorsTrainer(given, seed, each)
        self.classes = ClassesTrainer(given, seed, each, form)
        self._counter = (
            Counter(labelled=True, word_ngrams=given.word_ngrams)
            if given.is_supervised
            else Counter()
        )

    def start(self) -> BlazingTextState:
        has_grams = self.given.is_supervised and self.given.word_ngrams > 1
        return BlazingTextState(empty(self.given.buckets if has_grams else 0))

    def reopen(self, state: BlazingTextState, *, leads: bool = True) -> BlazingTextState:
        """What was learned, with words to be counted anew. Raises Invalid for another mode, or
        other vectors or n-grams; a higher ``min_count`` leaves words out."""
        reopening.check(self.given, state.vectors, state.classes)
        fresh = self.start()
        if state.vectors is not None:
            return replace(fresh, vectors=self._vectors.remade(state.vectors))
        if state.classes is not None:
            return replace(fresh, classes=self.classes.remade(state.classes))
        return fresh

    def update(self, state: BlazingTextState, batch: Batch) -> BlazingTextState:
        text = lines_of(batch)
        if not len(text):
            return state
        if state.tally is not None:
            return replace(state, tally=self._counter.add(state.tally, text))
        if state.vectors is not None:
            self._time(state.vectors)
            return replace(state, vectors=self._vectors.learn(state.vectors, text))
        assert state.classes is not None
        return replace(state, classes=self.classes.learn(state.classes, text))

    def merge(self, left: BlazingTextState, right: BlazingTextState) -> BlazingTextState:
        """Words counted add up; what was learned is averaged by how much each worker read."""
        if left.tally is not None and right.tally is not None:
            return replace(left, tally=self._counter.merge(left.tally, right.tally))
        if left.vectors is not None and right.vectors is not None:
            return replace(left, vectors=self._vectors.merge(left.vectors, right.vectors))
        assert left.classes is not None
        assert right.classes is not None
        return replace(left, classes=self.classes.merge(left.classes, right.classes))

    def finalize(self, state: BlazingTextState) -> BlazingTextModel:
        if state.tally is not None and state.vectors is None and state.classes is None:
            state = self._begun_with(state, state.tally)
        if state.vectors is not None:
            return BlazingTextModel(words=self._vectors.model(state.vectors))
        assert state.classes is not None
        return BlazingTextModel(classes=self.classes.model(state.classes))

    def evaluate(self, model: BlazingTextModel, batch: Batch) -> Evaluation | None:
        return model.judged(batch)

    def holds_out(self, state: BlazingTextState) -> bool:
        return state.tally is None and state.classes is not None

    def hold_out(self, state: BlazingTextState, batch: Batch) -> BlazingTextState:
        if state.tally is not None or state.classes is None:
            return state
        return replace(state, classes=self.classes.hold_out(state.classes, lines_of(batch)))

    def close_pass(self, state: BlazingTextState) -> BlazingTextState:
        if state.tally is not None:
            return self._begun_with(state, state.tally)
        if state.vectors is not None:
            self._rate = self._words_a_second(state.vectors)
            return replace(state, vectors=self._vectors.closed(state.vectors))
        assert state.classes is not None
        return replace(state, classes=self.classes.closed(state.classes))

    def wants_another_pass(self, state: BlazingTextState) -> bool:
        if state.classes is not None and self.classes.is_over(state.classes):
            return False
        return self._epochs_done(state) < self.given.epochs

    def progress(self, state: BlazingTextState) -> float:
        if not self.wants_another_pass(state):
            return 1.0
        return (1 + self._epochs_done(state)) / (1 + self.given.epochs)

    def epoch(self, state: BlazingTextState, pass_: int) -> int | None:
        return pass_ - 1 if pass_ else None

    def lines(self, state: BlazingTextState) -> Sequence[str]:
        """As BlazingText itself prints them."""
        if state.vectors is not None and state.vectors.epoch:
            return self._vectors_lines(state.vectors)
        if state.classes is not None and state.classes.epoch:
            found = state.classes
            said = (("train", found.train), ("validation", found.validation))
            return [f"#{name}_accuracy: {value:.6g}" for name, value in said if value is not None]
        return ()

    def _vectors_lines(self, state: VectorsState) -> Sequence[str]:
        share, speed = state.epoch / self.given.epochs, self._rate / 1e6
        progress = f"Alpha: {self._vectors.rate(state):.4f} Progress: {share:.2%}"
        if self._clock is not None:
            progress += f" Million Words/sec: {speed:.2f}"
        told = [f"##### {progress} #####"]
        if self.given.evaluation:
            told.append(f"#mean_rho: {self._vectors.model(state).agreement().rho:.6g}")
        return told

    def _begun_with(self, state: BlazingTextState, tally: Tally) -> BlazingTextState:
        """All words are counted; without a line, what was learned before stands."""
        if not tally.lines and (state.vectors is not None or state.classes is not None):
            return replace(state, tally=None)
        if self.given.is_supervised:
            return BlazingTextState(None, classes=self.classes.begin(tally, state.classes))
        return BlazingTextState(None, vectors=self._vectors.begin(tally, state.vectors))

    def _epochs_done(self, state: BlazingTextState) -> int:
        found = state.vectors or state.classes
        return found.epoch if found is not None else 0

    def _time(self, state: VectorsState) -> None:
        if self._clock is not None and not state.trained:
            self._begun = self._clock()

    def _words_a_second(self, state: VectorsState) -> float:
        if self._clock is None or not self._begun:
            return 0.0
        return state.trained / max(1e-9, self._clock() - self._begun)
