"""BlazingText as scikit-learn estimators: vectors of words, and classes of texts."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.blazingtext.class_model import TextClasses
from tidemill.algorithms.blazingtext.classifier import DISTINCT, FASTTEXT
from tidemill.algorithms.blazingtext.hyperparameters import (
    NAME,
    SUPERVISED,
    BlazingTextHyperparameters,
)
from tidemill.algorithms.blazingtext.learner import BlazingText, BlazingTextState
from tidemill.algorithms.blazingtext.reading import in_blocks
from tidemill.algorithms.blazingtext.tally import LABEL, Counter, empty
from tidemill.algorithms.blazingtext.word_model import WordVectors
from tidemill.algorithms.hyperparameters import read
from tidemill.data.batch import Batch, Floats, of_text
from tidemill.data.text import Text, text_of
from tidemill.estimators.base import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    Expressive,
    InMemory,
    InvalidInput,
    TransformerMixin,
    check_classification_targets,
    check_is_fitted,
    seed_of,
    side_by_side,
)
from tidemill.estimators.texts import Preprocessor, lines_of
from tidemill.kernels import tokens
from tidemill.kernels.tokens import Lines
from tidemill.training.loop import Position, fit

Each = Callable[..., Iterable[Any]]
Texts = Iterable[str | Sequence[str]]
_BATCH = 5_000
_WORK_OF_A_BYTE, _WORK_OF_A_VECTOR = 50.0, 2000.0
_STEPS, _MOST_EPOCHS, _FEWEST_EPOCHS = 40_000, 20, 3
"""Texts to learn from in all, where ``epochs`` is left to the number of texts."""


class TextEstimator(Expressive):
    """What both estimators do alike."""

    state_: BlazingTextState
    preprocessor: Preprocessor | None
    random_state: Any
    _seed: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _lines(self, texts: Texts) -> Text:
        return lines_of(texts, self.preprocessor, type(self).__name__)

    def _algorithm(self, each: Each = map, texts: int = 0) -> BlazingText:
        given = {name: _told(value) for name, value in self._hyperparameters(texts).items()}
        form = getattr(self, "_form", FASTTEXT)
        parsed = read(BlazingTextHyperparameters, given, algorithm=NAME)
        return BlazingText(parsed, seed=self._seed, each=each, form=form)

    def _adopt(self, fitted: Self) -> None:
        self._seed = fitted._seed
        self._take_along(fitted)
        algorithm = self._algorithm()
        self._show(algorithm, algorithm.reopen(copy.deepcopy(fitted.state_)))

    @abstractmethod
    def _hyperparameters(self, texts: int) -> dict[str, Any]: ...

    @abstractmethod
    def _take_along(self, fitted: Self) -> None: ...

    @abstractmethod
    def _show(self, algorithm: BlazingText, state: BlazingTextState) -> None: ...


class Word2Vec(ClassNamePrefixFeaturesOutMixin, TransformerMixin, TextEstimator):  # type: ignore[misc]
    """Vectors of words, by which words that are used alike are near: skip-gram and CBOW.

    Parameters
    ----------
    vector_size : numbers of a vector
    mode : "skipgram", "cbow", or "batch_skipgram", where fewer words share their negatives
    window, negative : words of context to each side; words drawn against each
    min_count : words that come less often are left out
    epochs, learning_rate : passes over the texts; the size of the first steps
    sample : share of the texts from which on a word is left out at times
    subwords : whether words are made of their character n-grams too, so that words that never came
        have vectors; n-grams of min_n to max_n characters, hashed to so many buckets
    preprocessor : from a text to words between blanks; None: lower case, punctuation to blanks
    random_state : None, a number or a NumPy generator; the same number gives the same bytes,
        whatever the number of cores

    Attributes
    ----------
    words_ : (words,) the words that there are vectors of, the most frequent first
    vectors_ : (words, vector_size) float32, theirs
    counts_ : (words,) how often each came in all texts so far
    state_ : the algorithm's state, which ``partial_fit`` goes on from

    Examples
    --------
    >>> texts = ["the kettle and the cup of tea", "the boat and the tide of the sea"] * 50
    >>> vectors = Word2Vec(16, min_count=1, random_state=0).fit(texts)
    >>> vectors.vector("tea").shape
    (16,)
    >>> vectors.transform(["a cup of tea", "a boat"]).shape
    (2, 16)
    """

    _scaled_vectors: Floats | None

    def __init__(
        self,
        vector_size: int = 100,
        *,
        mode: str = "skipgram",
        window: int = 5,
        negative: int = 5,
        min_count: int = 5,
        epochs: int = 5,
        learning_rate: float = 0.05,
        sample: float = 1e-4,
        subwords: bool = False,
        min_n: int = 3,
        max_n: int = 6,
        buckets: int = 2_000_000,
        preprocessor: Preprocessor | None = None,
        random_state: Any = None,
    ) -> None:
        self.vector_size = vector_size
        self.mode = mode
        self.window = window
        self.negative = negative
        self.min_count = min_count
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.sample = sample
        self.subwords = subwords
        self.min_n = min_n
        self.max_n = max_n
        self.buckets = buckets
        self.preprocessor = preprocessor
        self.random_state = random_state

    def fit(self, X: Texts, y: Any = None) -> Self:
        """Learn from texts, each a string or a list of words."""
        self._seed = seed_of(self.random_state)
        return self._learn(self._lines(X), None)

    def partial_fit(self, X: Texts, y: Any = None) -> Self:
        """Go on with further texts, whose words may be new; after ``fit`` too."""
        state = getattr(self, "state_", None)
        return self.fit(X) if state is None else self._learn(self._lines(X), state)

    def vector(self, word: str) -> Floats:
        """(vector_size,) the word's vector. Raises KeyError for one that has none."""
        check_is_fitted(self, "state_")
        found, known = self.model_.of(text_of([word]))
        if not known[0]:
            raise KeyError(word)
        row: Floats = found[0]
        return row

    def most_similar(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """The n other words nearest to it by the cosine, the nearest first."""
        alike = self._directions() @ _scaled(self.vector(word)[None])[0]
        order = np.argsort(-alike, kind="stable")[: n + 1]
        return [(self.words_[i], float(alike[i])) for i in order if self.words_[i] != word][:n]

    def transform(self, X: Texts) -> Floats:
        """(texts, vector_size) the mean of the vectors of a text's words; zeros without any."""
        check_is_fitted(self, "state_")
        text = self._lines(X)
        tally = Counter().add(empty(), text)
        vectors, known = self.model_.of(tally.text())
        words = tally.text().take(np.flatnonzero(known))
        table = tokens.opened(Lines(words.bytes, words.offsets))
        ids, starts = tokens.numbers(Lines(text.bytes, text.offsets), table)
        counts, means = np.diff(starts), np.zeros((len(text), vectors.shape[1]), np.float32)
        filled = np.flatnonzero(counts)
        if len(filled):
            sums = np.add.reduceat(vectors[known][ids], starts[:-1][filled], axis=0)
            means[filled] = sums / counts[filled, None].astype(np.float32)
        return means

    @property
    def _n_features_out(self) -> int:
        return int(self.vector_size)

    def _directions(self) -> Floats:
        """The vectors, each of length one; kept."""
        if self._scaled_vectors is None:
            self._scaled_vectors = _scaled(self.vectors_)
        return self._scaled_vectors

    def _learn(self, text: Text, state: BlazingTextState | None) -> Self:
        with side_by_side(len(text.bytes) * self.epochs * _WORK_OF_A_VECTOR) as each:
            algorithm = self._algorithm(each)
            resume = None if state is None else Position(algorithm.reopen(copy.deepcopy(state)))
            self._show(algorithm, fit(algorithm, InMemory(of_text(text), _BATCH), resume=resume))
        return self

    def _show(self, algorithm: BlazingText, state: BlazingTextState) -> None:
        self.state_ = state
        words = algorithm.finalize(state).words
        assert words is not None
        self.model_: WordVectors = words
        self.words_ = list(words.vocabulary.text)
        self.vectors_, self.counts_ = words.vectors, words.vocabulary.counts
        self._scaled_vectors = None

    def _take_along(self, fitted: Self) -> None:
        """There is nothing but the state."""

    def _hyperparameters(self, texts: int) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "vector_dim": self.vector_size,
            "window_size": self.window,
            "negative_samples": self.negative,
            "min_count": self.min_count,
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "sampling_threshold": self.sample,
            "subwords": self.subwords,
            "min_char": self.min_n,
            "max_char": self.max_n,
            "buckets": self.buckets,
            "evaluation": False,
        }


class TextClassifier(ClassifierMixin, TextEstimator):  # type: ignore[misc]
    """Classes of texts by their words and word n-grams, as fastText's, from text to classes.

    Parameters
    ----------
    word_ngrams : words of the longest n-gram
    epochs : passes over the texts; "auto" takes more the fewer there are
    learning_rate : the size of the first steps
    min_count : words that come less often are left out
    buckets : that n-grams are hashed to
    vector_dim : numbers of a word's row where there are more classes than that
    preprocessor : from a text to words between blanks; None: lower case, punctuation to blanks
    random_state : None, a number or a NumPy generator; the same number gives the same bytes,
        whatever the number of cores

    Attributes
    ----------
    classes_ : (classes,) those that came in ``y``, rising
    n_iter_ : passes over the texts given last
    state_ : the algorithm's state, which ``partial_fit`` goes on from

    Examples
    --------
    >>> texts = ["salt and wind", "leaf and cup", "a salt wind", "a leaf in a cup"] * 10
    >>> classifier = TextClassifier(random_state=0).fit(texts, ["sea", "tea"] * 20)
    >>> classifier.predict(["One cup, please!"]).tolist()
    ['tea']
    """

    _form = DISTINCT
    _estimator_type = "classifier"

    def __init__(
        self,
        *,
        word_ngrams: int = 2,
        epochs: int | Literal["auto"] = "auto",
        learning_rate: float = 0.04,
        min_count: int = 1,
        buckets: int = 2_000_000,
        vector_dim: int = 100,
        preprocessor: Preprocessor | None = None,
        random_state: Any = None,
    ) -> None:
        self.word_ngrams = word_ngrams
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.min_count = min_count
        self.buckets = buckets
        self.vector_dim = vector_dim
        self.preprocessor = preprocessor
        self.random_state = random_state

    def fit(self, X: Texts, y: Any) -> Self:
        """Learn from texts, each a string or a list of words, and the class of each."""
        self._seed = seed_of(self.random_state)
        return self._learn(*self._labelled(X, y, np.zeros(0)), None)

    def partial_fit(self, X: Texts, y: Any, classes: Any = None) -> Self:
        """Go on with further texts, whose words and classes may be new; after ``fit`` too.

        classes: taken for what scikit-learn's tools give; those of ``y`` count alone
        """
        state = getattr(self, "state_", None)
        if state is None:
            return self.fit(X, y)
        return self._learn(*self._labelled(X, y, self._named), state)

    def predict(self, X: Texts) -> NDArray[Any]:
        """(texts,) the likeliest class of each."""
        chances = self.predict_proba(X)
        likeliest: NDArray[Any] = self.classes_[chances.argmax(axis=1)]
        return likeliest

    def predict_proba(self, X: Texts) -> Floats:
        """(texts, classes) the chance of each class, as ``classes_`` has them."""
        check_is_fitted(self, "state_")
        text = self._lines(X)
        with side_by_side(len(text.bytes) * _WORK_OF_A_BYTE) as each:
            parts = list(each(self.model_.chances, in_blocks(text)))
        return np.concatenate(parts)[:, self._columns]

    def _labelled(
        self, X: Texts, y: Any, known: NDArray[Any]
    ) -> tuple[Text, NDArray[np.int64], NDArray[Any]]:
        """Lines, each one's number of its class, and the classes by these numbers."""
        name, text, target = type(self).__name__, self._lines(X), np.asarray(y)
        if target.ndim != 1 or len(target) != len(text):
            raise InvalidInput(
                f"{name}: y must hold a class for each of {len(text)} texts",
                got=f"shape {target.shape}",
                do="Give one class a text.",
            )
        check_classification_targets(target)
        found = np.unique(target)
        fresh = found[~np.isin(found, known)] if len(known) else found
        named = np.concatenate([known, fresh]) if len(known) else found
        if len(named) < 2:
            raise InvalidInput(
                f"{name}: y must hold at least two classes",
                got=f"{len(named)} class",
                do="Fit on texts of other classes too.",
            )
        order = np.argsort(named, kind="stable")
        numbers = order[np.searchsorted(named, target, sorter=order)]
        return text, numbers, named

    def _learn(
        self,
        text: Text,
        numbers: NDArray[np.int64],
        named: NDArray[Any],
        earlier: BlazingTextState | None,
    ) -> Self:
        """Count the words, see each line once, and learn from what was seen in every epoch."""
        order = np.random.Generator(np.random.Philox(key=self._seed)).permutation(len(text))
        lines = of_text(_with_labels(text, numbers, order))
        with side_by_side(len(text.bytes) * _WORK_OF_A_BYTE) as each:
            algorithm = self._algorithm(each, len(text))
            state = (
                algorithm.start() if earlier is None else algorithm.reopen(copy.deepcopy(earlier))
            )
            state = algorithm.close_pass(_counted(algorithm, state, lines))
            assert lines.text is not None
            assert state.classes is not None
            trainer, classes = algorithm.classes, state.classes
            seen = list(trainer.read(classes, lines.text))
            for _ in range(algorithm.given.epochs):
                for found in seen:
                    classes = trainer.take(classes, found)
                classes = trainer.closed(classes)
        self._named, self.n_iter_ = named, algorithm.given.epochs
        self._show(algorithm, BlazingTextState(None, classes=classes))
        return self

    def _show(self, algorithm: BlazingText, state: BlazingTextState) -> None:
        self.state_ = state
        classes = algorithm.finalize(state).classes
        assert classes is not None
        self.model_: TextClasses = classes
        self.classes_ = np.sort(self._named)
        known = [int(name[len(LABEL) :]) for name in classes.vocabulary.label_names]
        column_of = np.argsort(np.array(known))
        self._columns = column_of[np.argsort(self._named, kind="stable")]

    def _take_along(self, fitted: Self) -> None:
        self._named, self.n_iter_ = fitted._named, fitted.n_iter_

    def _hyperparameters(self, texts: int) -> dict[str, Any]:
        epochs = self.epochs
        if epochs == "auto":
            wanted = math.ceil(_STEPS / max(1, texts))
            epochs = min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, wanted))
        return {
            "mode": SUPERVISED,
            "word_ngrams": self.word_ngrams,
            "epochs": epochs,
            "learning_rate": self.learning_rate,
            "min_count": self.min_count,
            "buckets": self.buckets,
            "vector_dim": self.vector_dim,
        }


def _counted(algorithm: BlazingText, state: BlazingTextState, lines: Batch) -> BlazingTextState:
    for batch, _ in InMemory(lines, _BATCH).read(0):
        state = algorithm.update(state, batch)
    return state


def _with_labels(text: Text, numbers: NDArray[np.int64], order: NDArray[np.int64]) -> Text:
    """The lines in this order, each with its label in front."""
    whole, bounds = text.bytes.tobytes(), text.offsets.tolist()
    prefixes = [b"%b%d " % (LABEL, n) for n in range(int(numbers.max(initial=-1)) + 1)]
    labels = numbers.tolist()
    return text_of([prefixes[labels[i]] + whole[bounds[i] : bounds[i + 1]] for i in order.tolist()])


def _scaled(rows: Floats) -> Floats:
    """Rows of length one; zeros stay."""
    sizes = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    scaled: Floats = np.divide(rows, sizes, out=np.zeros_like(rows), where=sizes > 0)
    return scaled


def _told(value: Any) -> str:
    """A parameter as a hyperparameter is written."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return str(value)
