"""k-means as a scikit-learn estimator, tuned for data that is in memory as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Each
from tidemill.algorithms.kmeans.hyperparameters import KMeansHyperparameters
from tidemill.algorithms.kmeans.learner import KMeans as Algorithm
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.algorithms.kmeans.state import KMeansState
from tidemill.data.batch import Batch, Floats
from tidemill.estimators.base import (
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    Expressive,
    InMemory,
    InvalidInput,
    TransformerMixin,
    check_is_fitted,
    distinct,
    features_of,
    seed_of,
    side_by_side,
    weights_of,
)
from tidemill.training.loop import Position, fit

Labels = NDArray[np.int32]
_SMALL = 4096
_SAMPLE_PER_CLUSTER = 40
_KEPT, _KEPT_PER_CLUSTER = 1024, 10
_GROWTH = 3
_ROUGH = 2e-3
_ITERATIONS_OF_A_SAMPLE = 20
_ITERATIONS_OF_A_TRIAL = 4
_BLOCK = 4096
_SAMPLING = 0x5A


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, Expressive):  # type: ignore[misc]
    """k-means clustering: seeds from a sample, moved on growing samples, settled on all rows.

    Parameters
    ----------
    n_clusters : clusters to find
    max_iter : Lloyd iterations over all rows, at most
    tol : an iteration that lowers the inertia by less than this share is the last
    n_init : seedings tried on the sample, of which the best goes on; ``"auto"`` makes it 10 for
        few clusters and 1 for many, where seedings differ little
    random_state : None, a number or a NumPy generator; the same number gives the same bytes,
        whatever the number of cores

    Attributes
    ----------
    cluster_centers_ : (n_clusters, columns) float32
    labels_ : (rows,) int32, the nearest centre of each training row
    inertia_ : squared distances of the training rows to their centres, by weight, added up
    n_iter_ : iterations done over all rows
    state_ : the algorithm's state, which ``partial_fit`` goes on from, and of which ``finalize``
        makes estimators with fewer clusters, or some more: without rows, and so without
        ``labels_``, ``inertia_`` and ``n_iter_``

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[1.0, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> kmeans = KMeans(n_clusters=2, random_state=0).fit(rows)
    >>> sorted(kmeans.cluster_centers_.tolist())
    [[1.0, 2.0], [10.0, 2.0]]
    >>> kmeans.inertia_
    16.0
    >>> kmeans.finalize(n_clusters=1).cluster_centers_
    array([[5.5, 2. ]], dtype=float32)
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        max_iter: int = 100,
        tol: float = 5e-4,
        n_init: int | Literal["auto"] = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the clusters of these rows, (rows, columns) dense or scipy.sparse."""
        features = features_of(self, X, reset=True)
        given = Batch(features, weights=weights_of(sample_weight, len(features)))
        self._check_rows(given)
        rows = self._without_repeats(given)
        self._seed = seed = seed_of(self.random_state)
        with side_by_side(len(rows) * rows.columns * self.n_clusters) as each:
            state = self._learn(rows, seed, each)
            self._show(state, given, seed, each)
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Go on with further rows, as a mini-batch; after ``fit`` too."""
        first = not hasattr(self, "state_")
        features = features_of(self, X, reset=first)
        batch = Batch(features, weights=weights_of(sample_weight, len(features)))
        if first:
            self._check_rows(batch)
            self._seed = seed_of(self.random_state)
        algorithm = self._algorithm(batch.columns, seed=self._seed)
        state = algorithm.start() if first else self.state_
        if state.passes:
            state = algorithm.reopen(state)
        with side_by_side(len(batch) * batch.columns * algorithm.most) as each:
            algorithm = self._algorithm(batch.columns, seed=self._seed, each=each)
            state = algorithm.update(state, batch)
            self._show(state, batch, self._seed, each)
        return self

    def _adopt(self, fitted: Self) -> None:
        self._check()
        self._seed = fitted._seed
        algorithm = self._algorithm(fitted.n_features_in_, seed=self._seed)
        self.state_: KMeansState = algorithm.reopen(fitted.state_)
        self.cluster_centers_ = algorithm.finalize(self.state_).centres

    def predict(self, X: Any) -> Labels:
        """(rows,) int32: the nearest centre of each row."""
        return self._nearest(X)[0]

    def transform(self, X: Any) -> Floats:
        """(rows, n_clusters) float32: the Euclidean distance of each row to every centre."""
        check_is_fitted(self)
        batch = Batch(features_of(self, X, reset=False))
        blocks = [_distances(block.dense(), self.cluster_centers_) for block in batch.split(_BLOCK)]
        return np.concatenate(blocks)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Minus the inertia of these rows."""
        labels, squares = self._nearest(X)
        return -_inertia(squares, weights_of(sample_weight, len(labels)))

    @property
    def _n_features_out(self) -> int:
        return self.n_clusters

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _nearest(self, X: Any) -> tuple[Labels, Floats]:
        check_is_fitted(self)
        batch = Batch(features_of(self, X, reset=False))
        with side_by_side(len(batch) * batch.columns * self.n_clusters) as each:
            labels, squares = KMeansModel(self.cluster_centers_).nearest(batch, each)
        return labels.astype(np.int32), squares

    def _without_repeats(self, rows: Batch) -> Batch:
        few = distinct(rows) if len(rows) <= _SMALL else rows
        return few if len(few) >= self.n_clusters else rows

    def _check(self) -> None:
        """Raise InvalidInput for parameters that cannot work."""
        for name, low in (("n_clusters", 1), ("max_iter", 1), ("tol", 0), ("n_init", 1)):
            value = getattr(self, name)
            if name == "n_init" and value == "auto":
                continue
            if not isinstance(value, int | float | np.number) or not value >= low:
                raise InvalidInput(
                    f"KMeans: {name} must be at least {low}", got=value, do=f"Change {name}."
                )

    def _check_rows(self, batch: Batch) -> None:
        """Raise InvalidInput for parameters that cannot work, or not with so few rows."""
        self._check()
        rows = len(batch) if batch.weights is None else np.count_nonzero(batch.weights)
        if rows < self.n_clusters:
            raise InvalidInput(
                f"KMeans: n_samples={rows} must be at least n_clusters={self.n_clusters}",
                got=rows,
                do="Lower n_clusters, or give more rows.",
            )

    def _learn(self, rows: Batch, seed: int, each: Each) -> KMeansState:
        """Seeds and iterations on samples that grow, then on all rows."""
        state: KMeansState | None = None
        for part, is_all in _growing(rows, _SAMPLE_PER_CLUSTER * self.n_clusters, seed):
            done = state.passes if state else 1
            algorithm = self._algorithm(
                rows.columns,
                seed=seed,
                each=each,
                epochs=done + (self.max_iter if is_all else _ITERATIONS_OF_A_SAMPLE),
                local_lloyd_tol=min(1.0, self.tol if is_all else max(self.tol, _ROUGH)),
                extra_center_factor=-(-len(part) // self.n_clusters),
                # Enough to choose among the seedings; the best goes on in the passes that follow.
                local_lloyd_max_iter=300 if is_all else _ITERATIONS_OF_A_TRIAL,
            )
            # Each part starts anew: what the last move gained says nothing of other rows.
            resume = Position(replace(state, gain=1.0), state.passes) if state else None
            state = fit(algorithm, InMemory(part, len(part)), resume=resume)
            if resume is None:
                state = _thinned(state, _KEPT_PER_CLUSTER * self.n_clusters)
            self.n_iter_ = state.passes - done
        assert state is not None
        return state

    def _algorithm(
        self, columns: int, *, seed: int, each: Each = map, **hyperparameters: Any
    ) -> Algorithm:
        few = max(1, min(10, 100 // self.n_clusters))
        return Algorithm(
            KMeansHyperparameters(
                feature_dim=columns,
                k=self.n_clusters,
                local_lloyd_num_trials=few if self.n_init == "auto" else self.n_init,
                **hyperparameters,
            ),
            seed=seed,
            each=each,
        )

    def _show(self, state: KMeansState, rows: Batch, seed: int, each: Each) -> None:
        """Set what a fitted estimator shows."""
        model = self._algorithm(rows.columns, seed=seed, each=each).finalize(state)
        labels, squares = model.nearest(rows, each)
        self.state_ = state
        self.cluster_centers_ = model.centres
        self.labels_ = labels.astype(np.int32)
        self.inertia_ = _inertia(squares, rows.weights)


def _growing(rows: Batch, start: int, seed: int) -> Iterator[tuple[Batch, bool]]:
    """Random parts of the rows, each larger than the one before, and then (True) all."""
    draws = np.random.Generator(np.random.Philox(key=np.array([seed, _SAMPLING], np.uint64)))
    start = max(_SMALL, start)
    steps = round(math.log(max(1.0, len(rows) / start)) / math.log(_GROWTH))
    for step in range(steps, 0, -1):
        size = int(len(rows) * (start / len(rows)) ** (step / steps))
        # Sorted, because memory is faster read in order.
        yield rows.take(np.sort(draws.integers(0, len(rows), size))), False
    yield rows, True


def _thinned(state: KMeansState, most: int) -> KMeansState:
    """With fewer of the first sample's rows kept, spread evenly over it, to stand for all rows."""
    seen, most = state.kept, max(_KEPT, most)
    if seen is None or len(seen.centres) <= most:
        return state
    chosen = np.linspace(0, len(seen.centres) - 1, most).astype(np.intp)
    few = replace(seen, centres=seen.centres[chosen], weights=seen.weights[chosen])
    return replace(state, kept=few)


def _distances(rows: Floats, centres: Floats) -> Floats:
    """(rows, centres) Euclidean; in float64, for what is small is a difference of large squares."""
    exact = centres.astype(np.float64)
    table = rows @ (-2.0 * exact.T)
    table += np.einsum("ij,ij->i", exact, exact)
    table += np.einsum("ij,ij->i", rows, rows, dtype=np.float64)[:, None]
    return np.sqrt(np.maximum(table, 0.0, out=table), out=table).astype(np.float32)


def _inertia(squares: Floats, weights: Floats | None) -> float:
    return float(squares.sum(dtype=np.float64) if weights is None else squares @ weights)
