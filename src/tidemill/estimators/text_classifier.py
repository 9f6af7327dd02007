"""Classes of texts as a scikit-learn classifier."""

from __future__ import annotations

import copy
import math
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.blazingtext.class_model import TextClasses
from tidemill.algorithms.blazingtext.classifier import DISTINCT
from tidemill.algorithms.blazingtext.hyperparameters import SUPERVISED
from tidemill.algorithms.blazingtext.learner import BlazingText, BlazingTextState
from tidemill.algorithms.blazingtext.reading import in_blocks
from tidemill.algorithms.blazingtext.tally import LABEL
from tidemill.data.batch import Batch, Floats, of_text
from tidemill.data.text import Text, text_of
from tidemill.estimators.base import (
    ClassifierMixin,
    InMemory,
    InvalidInput,
    check_classification_targets,
    check_is_fitted,
    seed_of,
    side_by_side,
)
from tidemill.estimators.texts import Preprocessor, TextEstimator, Texts

_BATCH = 5_000
_WORK_OF_A_BYTE = 50.0
_STEPS, _MOST_EPOCHS, _FEWEST_EPOCHS = 40_000, 20, 3
"""Texts to learn from in all, where ``epochs`` is left to the number of texts."""
_RATE_OF_TWO, _RATE_OF_MANY = 0.03, 0.06
_NO_LABEL = b"__Label__"


class TextClassifier(ClassifierMixin, TextEstimator):  # type: ignore[misc]
    """Classes of texts by their words and word n-grams, as fastText's, from text to classes.

    Parameters
    ----------
    word_ngrams : words of the longest n-gram
    epochs : passes over the texts; "auto" takes more the fewer there are
    learning_rate : the size of the first steps; "auto" makes longer ones where there are more than
        two classes
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

    def __init__(
        self,
        *,
        word_ngrams: int = 2,
        epochs: int | Literal["auto"] = "auto",
        learning_rate: float | Literal["auto"] = "auto",
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

    def _lines(self, texts: Texts) -> Text:
        """Words that would be taken for labels are spelled otherwise."""
        text = super()._lines(texts)
        whole: bytes = text.bytes.tobytes()
        if LABEL not in whole:
            return text
        return Text(np.frombuffer(whole.replace(LABEL, _NO_LABEL), np.uint8), text.offsets)

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
        self._kinds = len(named)
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
        self._named, self._kinds, self.n_iter_ = fitted._named, fitted._kinds, fitted.n_iter_

    def _hyperparameters(self, texts: int) -> dict[str, Any]:
        epochs = self.epochs
        if epochs == "auto":
            wanted = math.ceil(_STEPS / max(1, texts))
            epochs = min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, wanted))
        rate = self.learning_rate
        if rate == "auto":
            rate = _RATE_OF_TWO if self._kinds == 2 else _RATE_OF_MANY
        return {
            "mode": SUPERVISED,
            "word_ngrams": self.word_ngrams,
            "epochs": epochs,
            "learning_rate": rate,
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
