"""Latent Dirichlet allocation as a scikit-learn estimator."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np

from tidemill.algorithms.lda.documents import Doubles, Each
from tidemill.algorithms.lda.hyperparameters import LdaHyperparameters
from tidemill.algorithms.lda.learner import Lda
from tidemill.algorithms.lda.model import LdaModel
from tidemill.algorithms.lda.outcome import counts_of, model_of
from tidemill.algorithms.lda.state import LdaState
from tidemill.data.batch import Batch, Csr, Floats, to_csr
from tidemill.estimators.base import (
    ClassNamePrefixFeaturesOutMixin,
    Expressive,
    InMemory,
    InvalidInput,
    TransformerMixin,
    check_is_fitted,
    features_of,
    seed_of,
    side_by_side,
)
from tidemill.training.loop import Position, fit

_BATCH = 1 << 14
_LOWEST = {"n_components": 1, "max_iter": 0, "max_restarts": 1}
_ABOVE_ZERO = ("alpha0", "topic_word_prior")


class LatentDirichletAllocation(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Expressive):  # type: ignore[misc]
    """Topics of documents, rows of word counts: a spectral method, then passes that refine it.

    Parameters
    ----------
    n_components : topics to find
    alpha0 : concentration of the mixtures; the smaller, the fewer topics a document has. The prior
        of a topic is its share of all words times this
    topic_word_prior : how often every word came in every topic before any was read
    max_iter : passes of expectation maximisation after the spectral method; 0 is that method alone
    max_restarts : starts of the spectral method's least squares, of which the best goes on
    random_state : None, a number or a NumPy generator; the same number gives the same bytes,
        whatever the number of cores

    Attributes
    ----------
    components_ : (n_components, columns) how often each word is expected to have come in each
        topic, with the prior; scaled to sum to 1, the chances of words
    alpha_ : (n_components,) float32, the prior of each topic; they sum to alpha0
    n_iter_ : passes of expectation maximisation over the rows given last
    state_ : the algorithm's state, which ``partial_fit`` goes on from

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.repeat([[2, 2, 0, 0], [0, 0, 3, 1]], 50, axis=0)
    >>> lda = LatentDirichletAllocation(n_components=2, random_state=0).fit(rows)
    >>> lda.transform(rows[:1]).max() > 0.8
    np.True_
    >>> lda.perplexity(rows) < 2.3
    True
    """

    n_iter_: int
    _seed: int

    def __init__(
        self,
        n_components: int = 10,
        *,
        alpha0: float = 1.0,
        topic_word_prior: float = 0.05,
        max_iter: int = 3,
        max_restarts: int = 10,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.alpha0 = alpha0
        self.topic_word_prior = topic_word_prior
        self.max_iter = max_iter
        self.max_restarts = max_restarts
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the topics of these documents, (rows, columns) counts, dense or scipy.sparse."""
        return self._learn(self._documents(X, "fit", reset=True), None)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Go on with further documents, as many at a time as there are; after ``fit`` too."""
        state = getattr(self, "state_", None)
        return self._learn(self._documents(X, "partial_fit", reset=state is None), state)

    def transform(self, X: Any) -> Floats:
        """(rows, n_components) float32: the share of each topic in each document."""
        check_is_fitted(self)
        batch = self._documents(X, "transform", reset=False)
        with side_by_side(self._operations(batch)) as each:
            return self._model.mixtures(batch, each)

    def score(self, X: Any, y: Any = None) -> float:
        """The log-likelihood of these documents' words under their mixtures, added up."""
        return float(self._fits(X, "score")[0].sum())

    def perplexity(self, X: Any) -> float:
        """How many words each one is drawn among, as it were: exp of minus the mean score."""
        fits, words = self._fits(X, "perplexity")
        return float(np.exp(-fits.sum() / (words.sum() or 1.0)))

    @property
    def _n_features_out(self) -> int:
        return self.n_components

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _adopt(self, fitted: Self) -> None:
        self._check()
        self._seed = fitted._seed
        algorithm = self._algorithm(fitted.n_features_in_)
        self.n_iter_ = fitted.n_iter_
        self._show(algorithm, algorithm.reopen(copy.deepcopy(fitted.state_)))

    def _learn(self, rows: Batch, state: LdaState | None) -> Self:
        self._check()
        if state is None:
            self._seed = seed_of(self.random_state)
        with side_by_side(self._operations(rows) * (1 + self.max_iter)) as each:
            algorithm = self._algorithm(rows.columns, each)
            resume = None if state is None else Position(algorithm.reopen(state))
            state = fit(algorithm, InMemory(rows, _BATCH), resume=resume)
            self.n_iter_ = state.epoch
            self._show(algorithm, state)
        return self

    def _show(self, algorithm: Lda, state: LdaState) -> None:
        """Set what a fitted estimator shows."""
        self.state_ = state
        counts: Doubles = counts_of(state, algorithm.given, self._seed)
        self._model: LdaModel = model_of(counts, self.alpha0, self.topic_word_prior)
        self.components_ = np.ascontiguousarray(counts.T + self.topic_word_prior)
        self.alpha_ = self._model.alpha

    def _fits(self, X: Any, method: str) -> tuple[Doubles, Doubles]:
        check_is_fitted(self)
        batch = self._documents(X, method, reset=False)
        with side_by_side(self._operations(batch)) as each:
            return self._model.fits(batch, each)

    def _documents(self, X: Any, method: str, *, reset: bool) -> Batch:
        features = features_of(self, X, reset=reset)
        sparse = features if isinstance(features, Csr) else to_csr(features)
        if (sparse.values < 0).any():
            raise InvalidInput(
                f"Negative values in data passed to LatentDirichletAllocation.{method}: rows must "
                "be counts of words",
                got=float(sparse.values.min()),
                do="Send how often each word comes in each document.",
            )
        return Batch(sparse)

    def _operations(self, rows: Batch) -> float:
        assert isinstance(rows.features, Csr)
        return 50.0 * len(rows.features.values) * self.n_components

    def _algorithm(self, columns: int, each: Each = map) -> Lda:
        given = LdaHyperparameters(
            num_topics=int(self.n_components),
            feature_dim=columns,
            mini_batch_size=_BATCH,
            alpha0=float(self.alpha0),
            max_restarts=int(self.max_restarts),
            epochs=int(self.max_iter),
            eta=float(self.topic_word_prior),
        )
        return Lda(given, seed=self._seed, each=each)

    def _check(self) -> None:
        for name, low in _LOWEST.items():
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < low:
                raise InvalidInput(
                    f"LatentDirichletAllocation: {name} must be an integer of at least {low}",
                    got=value,
                    do=f"Change {name}.",
                )
        for name in _ABOVE_ZERO:
            value = getattr(self, name)
            if not isinstance(value, int | float | np.number) or not 0 < value < np.inf:
                raise InvalidInput(
                    f"LatentDirichletAllocation: {name} must be a number above 0",
                    got=value,
                    do=f"Change {name}.",
                )
