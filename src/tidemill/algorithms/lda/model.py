"""The topics that lda leaves: how much of each is in a document, and how well they explain it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tidemill.algorithms.base import Columns, Measure
from tidemill.algorithms.lda.counts import Told, explain
from tidemill.algorithms.lda.documents import Doubles, Each, chunks
from tidemill.data.batch import Batch, Floats
from tidemill.kernels import sound
from tidemill.kernels.lda import Documents

_STEPS, _TOLERANCE = 100, 1e-4


@dataclass(frozen=True, slots=True)
class LdaModel:
    """alpha : (topics,) float32, the Dirichlet's weights · beta : (topics, words) float32, chances
    of the words under each topic; rows sum to 1
    """

    alpha: Floats
    beta: Floats
    row_by_row: ClassVar[bool] = True

    def check(self) -> None:
        sound.shaped("alpha", self.alpha, None)
        sound.shaped("beta", self.beta, len(self.alpha), None)
        sound.require(self.beta.size > 0, "a model has topics, and these have words")
        sound.counted("alpha", self.alpha)
        sound.require(bool((self.alpha > 0).all()), "alpha is above 0")
        sound.counted("beta", self.beta)

    @property
    def columns(self) -> int:
        """Width of the rows that it takes."""
        return int(self.beta.shape[1])

    def predict(self, batch: Batch) -> Columns:
        """``topic_mixture``, (rows, topics) float32: the share of each topic, summing to 1.

        That of a document without words is the prior's, alpha scaled.
        """
        return {"topic_mixture": self.mixtures(batch)}

    def mixtures(self, batch: Batch, each: Each = map) -> Floats:
        """The same, perhaps side by side."""
        parts = [np.empty((0, len(self.alpha)), np.float32)]
        for documents, _ in chunks(batch, self.beta.shape[1]):
            mixed = self._told(documents, each).mixtures
            parts.append(mixed / mixed.sum(axis=1, keepdims=True))
        return np.concatenate(parts)

    def fits(self, batch: Batch, each: Each = map) -> tuple[Doubles, Doubles]:
        """(rows,) log-likelihood of each document's words under its mixture; and its words."""
        fits, words = [np.empty(0)], [np.empty(0)]
        for documents, _ in chunks(batch, self.beta.shape[1]):
            fits.append(self._told(documents, each).fits)
            words.append(documents.lengths)
        return np.concatenate(fits), np.concatenate(words)

    def _told(self, documents: Documents, each: Each) -> Told:
        chances = np.ascontiguousarray(self.beta[:, documents.words].T)
        return explain(documents, chances, self.alpha, _STEPS, _TOLERANCE, each)


@dataclass(frozen=True, slots=True)
class LdaEvaluation:
    """fit: log-likelihood of the words of documents, added up · words: how many they are"""

    fit: float
    words: float

    def merge(self, other: LdaEvaluation) -> LdaEvaluation:
        return LdaEvaluation(self.fit + other.fit, self.words + other.words)

    def measures(self) -> Sequence[Measure]:
        return [Measure("pwll", self.fit / (self.words or 1.0), "score")]
