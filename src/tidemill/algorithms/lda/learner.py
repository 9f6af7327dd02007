"""Latent Dirichlet allocation by the method of moments, refined by expectation maximisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tidemill.algorithms.base import Algorithm, Measure
from tidemill.algorithms.lda import moments as sums
from tidemill.algorithms.lda.counts import Counts, begun, fade_at, learn, merged, settled, widened
from tidemill.algorithms.lda.documents import Doubles, Each, chunks, width_error
from tidemill.algorithms.lda.hyperparameters import NAME, LdaHyperparameters
from tidemill.algorithms.lda.model import LdaEvaluation, LdaModel
from tidemill.algorithms.lda.moments import Moments
from tidemill.algorithms.lda.outcome import counts_of, model_of, share_read
from tidemill.algorithms.lda.reopening import reopened
from tidemill.algorithms.lda.spectral import found, surplus, topics, width
from tidemill.algorithms.lda.state import DONE, MOMENTS, REFINE, SKETCH, LdaState
from tidemill.data.batch import Batch
from tidemill.errors import InvalidHyperparameter
from tidemill.kernels.lda import Documents

_DENSE_FLOATS = 1 << 24
_FEWEST_ROWS, _MOST_ROWS = 256, 1 << 16


class Lda(Algorithm[LdaState]):
    """Topics of documents: a spectral method, then passes that refine what it found.

    A first pass looks at pairs and triples of words through random directions, a second one
    through those that mattered (one is enough for a small vocabulary); whitening and alternating
    least squares make topics of these moments. ``epochs`` further passes of expectation
    maximisation, which SageMaker's algorithm has not, fit them to the documents; with 0 of them
    workers give the model of one to rounding.

    seed: of all randomness · each: like ``map``; one that works side by side changes no result

    Memory: words x topics x 70 bytes or so, and (2.5 topics)³ x 8. Cost: linear in stored counts.

    >>> rows = np.repeat([[2, 2, 0, 0], [0, 0, 3, 1]], 50, axis=0).astype(np.float32)
    >>> given = LdaHyperparameters(num_topics=2, feature_dim=4, mini_batch_size=100)
    >>> algorithm = Lda(given)
    >>> state = algorithm.start()
    >>> while algorithm.wants_another_pass(
    ...     state := algorithm.close_pass(algorithm.update(state, Batch(rows)))
    ... ):
    ...     pass
    >>> sorted(algorithm.finalize(state).beta.round(2).tolist())
    [[0.0, 0.0, 0.75, 0.25], [0.5, 0.5, 0.0, 0.0]]
    """

    def __init__(self, given: LdaHyperparameters, *, seed: int = 0, each: Each = map) -> None:
        if not given.epochs and surplus(given.num_topics) < given.num_topics:
            raise InvalidHyperparameter(
                f"{NAME}: num_topics must be at most {surplus(given.num_topics)} without epochs "
                "that refine the topics, for the spectral method keeps the cube of it",
                got=given.num_topics,
                do="Lower num_topics, or give epochs.",
            )
        self.given = given
        self.exact = given.epochs == 0
        most = min(_MOST_ROWS, max(_FEWEST_ROWS, _DENSE_FLOATS // given.feature_dim))
        self.batch_rows = min(given.mini_batch_size, most)
        self._width = width(given.num_topics, given.feature_dim)
        self._seed = seed
        self._each = each

    def start(self) -> LdaState:
        return LdaState()

    def update(self, state: LdaState, batch: Batch) -> LdaState:
        if len(batch) == 0 or state.stage == DONE:
            return state
        if batch.columns != self.given.feature_dim:
            raise width_error(self.given.feature_dim, batch.columns)
        state = state if state.rows else self._opened(state)
        for documents, weights in chunks(batch, self.given.feature_dim, state.rows):
            state = self._taken(state, documents, weights)
            state = replace(state, rows=state.rows + len(documents))
        return state

    def merge(self, left: LdaState, right: LdaState) -> LdaState:
        """What both gathered in this pass; what they began with, they have in common."""
        if not left.gathered or not right.gathered:
            return left if left.gathered else right
        both = replace(
            left,
            gathered=left.gathered + right.gathered,
            rows=left.rows + right.rows,
            fit=left.fit + right.fit,
            words=left.words + right.words,
        )
        if left.stage == REFINE and left.counts and right.counts:
            return replace(both, counts=merged(left.counts, right.counts))
        if left.lead_in == 0:
            both = replace(both, moments=sums.merged(left.moments, right.moments))
        return replace(both, recent=sums.merged(left.recent, right.recent))

    def finalize(self, state: LdaState) -> LdaModel:
        counts = counts_of(state, self.given, self._seed, self._each)
        return model_of(counts, self.given.alpha0, self.given.eta)

    def reopen(self, state: LdaState, *, leads: bool = True) -> LdaState:
        """Moments go on in the same basis, and refined topics from where they were."""
        return reopened(state, self.given, leads=leads)

    def evaluate(self, model: LdaModel, batch: Batch) -> LdaEvaluation:
        fits, words = model.fits(batch, self._each)
        weights = np.ones(len(batch)) if batch.weights is None else batch.weights
        return LdaEvaluation(float(fits @ weights), float(words @ weights))

    def close_pass(self, state: LdaState) -> LdaState:
        if state.stage == REFINE:
            state = self._settled(state)
        elif state.stage != DONE:
            state = self._looked(state)
        return replace(
            state,
            gathered=0,
            gathered_before=state.gathered,
            rows=0,
            rows_before=state.rows,
            fit=0.0,
            words=0.0,
        )

    def wants_another_pass(self, state: LdaState) -> bool:
        return state.stage != DONE

    def progress(self, state: LdaState) -> float:
        if state.stage == DONE:
            return 1.0
        lead_in = 2 if state.stage == MOMENTS else state.lead_in
        return (state.lead_in + state.epoch) / (lead_in + self.given.epochs)

    def epoch(self, state: LdaState, pass_: int) -> int | None:
        """The passes that gather moments come before the first."""
        counts = state.stage in (REFINE, DONE) and pass_ >= state.lead_in
        return pass_ - state.lead_in if counts else None

    def report(self, state: LdaState) -> Mapping[str, Sequence[Measure]]:
        """Log-likelihood per word, of documents as they came, by the topics as they then were."""
        return {} if state.pwll is None else {"train": [Measure("pwll", state.pwll, "score")]}

    def _opened(self, state: LdaState) -> LdaState:
        """Ready for the first rows of a pass."""
        basis = state.next_basis
        if state.stage == SKETCH:
            basis = sums.random_basis(self.given.feature_dim, self._width, self._seed)
        opened = replace(state, gathered=1, next_basis=None)
        return opened if basis is None else replace(opened, recent=sums.nothing(basis))

    def _taken(self, state: LdaState, documents: Documents, weights: Doubles | None) -> LdaState:
        if state.stage == REFINE and state.counts:
            return self._refined(state, state.counts, documents, weights)
        recent, moments = state.recent, state.moments
        if recent is not None:
            recent = sums.add(recent, documents, weights, self._each)
        if moments is not None and state.lead_in == 0:
            moments = sums.add(moments, documents, weights, self._each)
        return replace(state, recent=recent, moments=moments)

    def _refined(
        self, state: LdaState, counts: Counts, documents: Documents, weights: Doubles | None
    ) -> LdaState:
        given, fade = self.given, fade_at(share_read(state))
        fit = learn(counts, documents, weights, fade, given.alpha0, given.eta, self._each)
        lengths = documents.lengths
        words = float(lengths.sum() if weights is None else lengths @ weights)
        return replace(state, fit=state.fit + fit, words=state.words + words)

    def _looked(self, state: LdaState) -> LdaState:
        """After a pass that gathered moments: another basis for them, or topics."""
        recent, moments = state.recent, state.moments or state.recent
        if not state.rows or moments is None:
            return replace(state, stage=DONE, recent=None, moments=moments)
        state = replace(state, lead_in=state.lead_in + 1)
        if state.stage == SKETCH and recent and recent.basis.shape[0] > recent.basis.shape[1]:
            basis = sums.turned(recent, self.given.alpha0)
            return replace(state, stage=MOMENTS, next_basis=basis)
        closed = replace(state, stage=DONE, recent=None, moments=moments)
        if not self.given.epochs or not moments.ones.any():
            return closed
        return replace(closed, stage=REFINE, counts=self._begun(state, moments))

    def _begun(self, state: LdaState, moments: Moments) -> Counts:
        """Counts to refine, of topics that are known from before and those that moments show."""
        if state.counts and state.recent:
            fresh = found(state.recent, self.given, self._seed, self._each)
            return widened(state.counts, fresh, float(state.recent.ones.sum()))
        ours = float(moments.ones.sum()) - state.earlier
        shown = topics(moments, self.given, self._seed, self._each)
        return begun(shown, state.earlier, max(ours, 0.0))

    def _settled(self, state: LdaState) -> LdaState:
        """After a pass that refined topics."""
        epoch, counts = state.epoch + 1, state.counts
        if counts is not None and state.rows:
            counts = settled(counts, fade_at(share_read(state)))
        return replace(
            state,
            counts=counts,
            pwll=state.fit / state.words if state.words else state.pwll,
            epoch=epoch,
            stage=DONE if epoch >= self.given.epochs else REFINE,
        )
