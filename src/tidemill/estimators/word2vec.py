"""Vectors of words as a scikit-learn transformer of texts."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np

from tidemill.algorithms.blazingtext.learner import BlazingText, BlazingTextState
from tidemill.algorithms.blazingtext.tally import Counter, empty
from tidemill.algorithms.blazingtext.word_model import WordVectors
from tidemill.data.batch import Floats, of_text
from tidemill.data.text import Text, text_of
from tidemill.estimators.base import (
    ClassNamePrefixFeaturesOutMixin,
    InMemory,
    TransformerMixin,
    check_is_fitted,
    seed_of,
    side_by_side,
)
from tidemill.estimators.texts import Preprocessor, TextEstimator, Texts
from tidemill.kernels import tokens
from tidemill.kernels.tokens import Lines
from tidemill.training.loop import Position, fit

_BATCH = 5_000
_WORK_OF_A_BYTE = 2000.0


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
        direction = _scaled(self.vector(word)[None])[0]
        alike = self._directions() @ direction
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
        epochs = self._algorithm().given.epochs
        with side_by_side(len(text.bytes) * epochs * _WORK_OF_A_BYTE) as each:
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


def _scaled(rows: Floats) -> Floats:
    """Rows of length one; zeros stay."""
    sizes = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    scaled: Floats = np.divide(rows, sizes, out=np.zeros_like(rows), where=sizes > 0)
    return scaled
