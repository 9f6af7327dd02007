"""Every hyperparameter of blazingtext, as SageMaker documents it."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.algorithms.hyperparameters import Range, hyperparameter
from tidemill.errors import InvalidHyperparameter
from tidemill.kernels.tokens import MOST_BUCKETS, MOST_GRAMS
from tidemill.kernels.word2vec import MOST_NEGATIVES

NAME = "blazingtext"
BATCH_SKIPGRAM, SKIPGRAM, CBOW, SUPERVISED = "batch_skipgram", "skipgram", "cbow", "supervised"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlazingTextHyperparameters:
    """What a training job may set. Those of the other modes are passed over."""

    mode: str = hyperparameter(
        "choice",
        "what is learned: vectors of words (three ways), or classes of texts",
        choices=(BATCH_SKIPGRAM, SKIPGRAM, CBOW, SUPERVISED),
        tunable=(BATCH_SKIPGRAM, SKIPGRAM, CBOW),
    )
    epochs: int = hyperparameter(
        "int", "passes over the text", default=5, low=1, tunable=Range(5, 15)
    )
    learning_rate: float = hyperparameter(
        "float", "size of the first steps; they fall to nothing", default=0.05, low=0,
        open_low=True, tunable=Range(0.005, 0.01),
    )  # fmt: skip
    min_count: int = hyperparameter(
        "int", "words that come less often are not learned", default=5, low=0,
        tunable=Range(0, 100),
    )  # fmt: skip
    vector_dim: int = hyperparameter(
        "int", "numbers of a vector; for classes: at most", default=100, low=1,
        tunable=Range(32, 300),
    )  # fmt: skip
    buckets: int = hyperparameter(
        "int", "hash buckets of n-grams", default=2_000_000, low=1,
        tunable=Range(1_000_000, 10_000_000),
    )  # fmt: skip
    batch_size: int = hyperparameter(
        "int", "batch_skipgram: words that share their negatives", default=11, low=1,
        tunable=Range(8, 32),
    )  # fmt: skip
    window_size: int = hyperparameter(
        "int", "vectors: words of context to each side, at most", default=5, low=1,
        tunable=Range(1, 10),
    )  # fmt: skip
    negative_samples: int = hyperparameter(
        "int", "vectors: words drawn against each", default=5, low=1, tunable=Range(5, 25)
    )
    sampling_threshold: float = hyperparameter(
        "float", "vectors: share of the text from which on a word is left out at times",
        default=0.0001, low=0, open_low=True, high=1e-3, tunable=Range(0.0001, 0.001),
    )  # fmt: skip
    subwords: bool = hyperparameter(
        "bool", "vectors: whether words are made of their character n-grams too", default=False
    )
    min_char: int = hyperparameter(
        "int", "subwords: characters of the shortest n-gram", default=3, low=1
    )
    max_char: int = hyperparameter(
        "int", "subwords: characters of the longest n-gram", default=6, low=1
    )
    evaluation: bool = hyperparameter(
        "bool", "vectors: whether they are judged by the word pairs of WS-353", default=True
    )
    word_ngrams: int = hyperparameter(
        "int", "classes: words of the longest n-gram", default=2, low=1, tunable=Range(1, 3)
    )
    early_stopping: bool = hyperparameter(
        "bool", "classes: whether to end when the validation accuracy stalls", default=False
    )
    patience: int = hyperparameter("int", "early stopping: epochs without gain", default=4, low=1)
    min_epochs: int = hyperparameter(
        "int", "early stopping: epochs that come first", default=5, low=1
    )

    @property
    def is_supervised(self) -> bool:
        return self.mode == SUPERVISED

    def settings(self) -> dict[str, int]:
        """What the rows that are learned depend on; training that goes on must keep it."""
        if self.is_supervised:
            found = {"vector_dim": self.vector_dim, "word_ngrams": self.word_ngrams}
            return found | ({"buckets": self.buckets} if self.word_ngrams > 1 else {})
        found = {"vector_dim": self.vector_dim, "subwords": int(self.subwords)}
        if not self.subwords:
            return found
        chars = {"min_char": self.min_char, "max_char": self.max_char}
        return found | chars | {"buckets": self.buckets}


def check_together(given: BlazingTextHyperparameters) -> None:
    """Raise InvalidHyperparameter for what is right alone but cannot be done."""
    if given.subwords and given.min_char > given.max_char:
        raise InvalidHyperparameter(
            f"{NAME}: min_char must be at most max_char, {given.max_char}",
            got=given.min_char,
            do="Lower 'min_char' or raise 'max_char' in HyperParameters.",
        )
    for name, most in (
        ("word_ngrams", MOST_GRAMS),
        ("negative_samples", MOST_NEGATIVES),
        ("buckets", MOST_BUCKETS),
    ):
        if getattr(given, name) > most:
            raise InvalidHyperparameter(
                f"{NAME}: {name} must be at most {most}",
                got=getattr(given, name),
                do=f"Lower {name!r} in HyperParameters.",
            )
