"""What the estimators of text do alike: texts of any kind as lines of words, and the algorithm."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from tidemill.algorithms.blazingtext.classifier import FASTTEXT
from tidemill.algorithms.blazingtext.hyperparameters import NAME, BlazingTextHyperparameters
from tidemill.algorithms.blazingtext.learner import BlazingText, BlazingTextState
from tidemill.algorithms.hyperparameters import read
from tidemill.data.text import Text, text_of
from tidemill.estimators.base import Expressive, InvalidInput

Each = Callable[..., Iterable[Any]]
Texts = Iterable[str | Sequence[str]]
Preprocessor = Callable[[str], str]
_KEPT = frozenset(b"'0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_TO_WORDS = bytes(c if c in _KEPT or c >= 128 else 32 for c in range(256))
_TO_LINE = bytes(32 if c in (0, 10) else c for c in range(256))


class TextEstimator(Expressive):
    """What the estimators of texts do alike."""

    _form = FASTTEXT

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
        parsed = read(BlazingTextHyperparameters, given, algorithm=NAME)
        return BlazingText(parsed, seed=self._seed, each=each, form=self._form)

    def _adopt(self, fitted: Self) -> None:
        self._seed = fitted._seed
        self._take_along(fitted)
        algorithm = self._algorithm()
        self._show(algorithm, replace(algorithm.reopen(copy.deepcopy(fitted.state_)), tally=None))

    @abstractmethod
    def _hyperparameters(self, texts: int) -> dict[str, Any]: ...

    @abstractmethod
    def _take_along(self, fitted: Self) -> None: ...

    @abstractmethod
    def _show(self, algorithm: BlazingText, state: BlazingTextState) -> None: ...


def words_of(text: str) -> str:
    """The text in lower case with blanks for all that is in no word.

    >>> words_of("Don't: a Kettle, twice!").split()
    ["don't", 'a', 'kettle', 'twice']
    """
    return _words(text).decode("utf-8", "replace")


def lines_of(texts: Texts, preprocessor: Preprocessor | None, name: str) -> Text:
    """A line for each text. Raises InvalidInput for what is none.

    A text is a string, that ``preprocessor`` (``words_of`` where None) makes words between blanks
    of, or a list of its words, taken as they are. name: of the estimator, for errors
    """
    if isinstance(texts, str | bytes):
        raise InvalidInput(
            f"{name}: texts must be an iterable of texts",
            got=f"one {type(texts).__name__}",
            do="Put it into a list.",
        )
    return text_of([_line(text, preprocessor, name, at) for at, text in enumerate(texts)])


def _line(text: Any, preprocessor: Preprocessor | None, name: str, at: int) -> bytes:
    if isinstance(text, str):
        return _words(text) if preprocessor is None else _as_is(preprocessor(text))
    if isinstance(text, Sequence) and all(isinstance(word, str) for word in text):
        return _as_is(" ".join(text))
    raise InvalidInput(
        f"{name}: text {at} must be a string, or a list of words",
        got=type(text).__name__,
        do="Leave missing texts out, or give empty strings for them.",
    )


def _words(text: str) -> bytes:
    return text.lower().encode("utf-8", "replace").translate(_TO_WORDS)


def _as_is(text: str) -> bytes:
    return text.encode("utf-8", "replace").translate(_TO_LINE)


def _told(value: Any) -> str:
    """A parameter as a hyperparameter is written."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return str(value)
