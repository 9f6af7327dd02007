"""Documents whose topics are known, for the tests of lda."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.lda.hyperparameters import LdaHyperparameters
from tidemill.algorithms.lda.learner import Lda
from tidemill.algorithms.lda.state import LdaState
from tidemill.data.batch import Batch, Floats
from tidemill.testing.algorithm import Stream
from tidemill.training.loop import Position, fit

Doubles = NDArray[np.float64]


def grid(documents: int = 6000, length: int = 60, seed: int = 0) -> tuple[Doubles, Floats]:
    """Topics and documents of the known example: words are the cells of a 3 x 3 grid, topics its
    rows and two of its columns (the third is what the others leave)."""
    cells = np.arange(9).reshape(3, 3)
    topics = np.zeros((5, 9))
    for topic, line in zip(topics, [*cells, *cells.T[:2]], strict=True):
        topic[line] = 1 / 3
    return topics, written(topics, np.full(5, 0.2), documents, length, seed)


def written(topics: Doubles, alpha: Doubles, documents: int, length: int, seed: int) -> Floats:
    """(documents, words) counts as the model has them."""
    draws = np.random.default_rng(seed)
    chances = draws.dirichlet(alpha, documents) @ topics
    chances /= chances.sum(axis=1, keepdims=True)
    lengths = draws.poisson(length, documents)
    return np.array(
        [draws.multinomial(n, c) for n, c in zip(lengths, chances, strict=True)], np.float32
    )


def random_topics(topics: int, words: int, seed: int = 0) -> Doubles:
    return np.random.default_rng(seed).dirichlet(np.full(words, 0.1), topics)


def lda(words: int, topics: int, *, seed: int = 0, each: Any = map, **more: Any) -> Lda:
    more = {"mini_batch_size": 500, **more}
    given = LdaHyperparameters(num_topics=topics, feature_dim=words, **more)
    return Lda(given, seed=seed, each=each)


def train(algorithm: Lda, rows: Floats, state: LdaState | None = None) -> LdaState:
    batches = Stream(list(Batch(rows).split(algorithm.batch_rows)))
    return fit(algorithm, batches, resume=None if state is None else Position(state))


def errors(topics: Doubles, beta: Floats) -> Doubles:
    """Of each topic how far off the nearest one found is: absolute differences, added up."""
    gaps: Doubles = np.abs(topics[:, None] - beta[None]).sum(axis=2).min(axis=1)
    return gaps


def likelihood(algorithm: Lda, state: LdaState, rows: Floats) -> float:
    """Per word, of the state's model."""
    evaluation = algorithm.evaluate(algorithm.finalize(state), Batch(rows))
    return evaluation.measures()[0].value
