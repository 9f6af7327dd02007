"""k-nearest neighbours as scikit-learn estimators."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.knn.hyperparameters import CLASSIFIER, REGRESSOR, KnnHyperparameters
from tidemill.algorithms.knn.learner import Knn
from tidemill.algorithms.knn.model import KnnModel
from tidemill.data.batch import Batch, Floats
from tidemill.estimators.base import (
    ClassifierMixin,
    Expressive,
    InvalidInput,
    RegressorMixin,
    check_classification_targets,
    check_is_fitted,
    features_and_target_of,
    features_of,
    seed_of,
    side_by_side,
)
from tidemill.stats.reservoir import Reservoir

_METRICS = {"euclidean": "L2", "cosine": "COSINE", "inner_product": "INNER_PRODUCT"}
_INDEXES = ("Flat", "IVFFlat", "IVFPQ", "HNSW")
_EVERY = (1 << 31) - 1
_SHARE = 1 / 20
"""Of the rows that a query is compared with column by column, about."""
_OF_THE_VOTE = {"n_neighbors"}


class Made:
    """What is made of the state when it is first asked for, and then kept.

    places: which fitted row each row of the model is
    """

    model: KnnModel | None = None
    places: NDArray[np.int64] | None = None


class NeighborsEstimator(Expressive):
    """What both estimators do alike; the parameters are told of in each."""

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        metric: str = "euclidean",
        index: str = "Flat",
        sample_size: int | None = None,
        reduction: str | None = None,
        reduction_target: int | None = None,
        n_lists: int | None = None,
        n_probe: int = 5,
        pq_m: int | None = None,
        hnsw_m: int = 16,
        hnsw_ef_construction: int = 40,
        hnsw_ef_search: int = 32,
        random_state: Any = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.index = index
        self.sample_size = sample_size
        self.reduction = reduction
        self.reduction_target = reduction_target
        self.n_lists = n_lists
        self.n_probe = n_probe
        self.pq_m = pq_m
        self.hnsw_m = hnsw_m
        self.hnsw_ef_construction = hnsw_ef_construction
        self.hnsw_ef_search = hnsw_ef_search
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Keep these rows, (rows, columns) dense or scipy.sparse, or a sample of them."""
        features, target = features_and_target_of(self, X, y, reset=True, numeric=self._numeric)
        labels = self._encode(target)
        self._seed = self._drawn_seed()
        algorithm = self._algorithm()
        self._show(algorithm.update(algorithm.start(), Batch(features, labels)))
        return self

    def kneighbors(
        self, X: Any = None, n_neighbors: int | None = None, return_distance: bool = True
    ) -> Any:
        """Distances to the nearest rows, (rows, n_neighbors), the least first, and which rows of
        those fitted they are, counted over all calls of ``fit`` and ``partial_fit``.

        Distances are Euclidean, one minus the cosine, or minus the product. Without X, of every
        fitted row to the others. return_distance: False for the indices alone
        """
        check_is_fitted(self)
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        self._check_k(k, X is None)
        if X is None:
            distances, found = self._among_themselves(k)
        else:
            distances, places = self._nearest(Batch(features_of(self, X, reset=False)), k)
            found = self._places()[places]
        if self.metric == "euclidean":
            distances = np.sqrt(distances)
        return (distances, found) if return_distance else found

    @property
    def model_(self) -> KnnModel:
        """What a training job would have made of the rows."""
        if self._made.model is None:
            self._check_k(self.n_neighbors, False)
            with side_by_side(len(self.state_) * self.state_.columns * 100) as each:
                self._made.model = self._algorithm(each).finalize(self.state_)
        return self._made.model

    def _go_on(self, X: Any, y: Any, first: bool) -> Self:
        features, target = features_and_target_of(self, X, y, reset=first, numeric=self._numeric)
        labels = self._encode(target, known=True)
        if first:
            self._seed = self._drawn_seed()
        algorithm = self._algorithm()
        state = algorithm.start() if first else self.state_
        self._show(algorithm.update(state, Batch(features, labels)))
        return self

    def _drawn_seed(self) -> int:
        """Where nothing is left to chance, the same one: it orders rows that are equally far."""
        is_random = self.sample_size is not None or self.reduction is not None
        return seed_of(self.random_state) if is_random else 0

    def _show(self, state: Reservoir) -> None:
        """Set what a fitted estimator shows; the model is made when it is first asked for."""
        self.state_ = state
        self.n_samples_fit_ = len(state)
        self._made = Made()

    def _adopt(self, fitted: Self) -> None:
        self._seed = fitted._seed
        mine, theirs = self.get_params(), fitted.get_params()
        changed = {name for name, value in mine.items() if value is not theirs[name]}
        self._show(fitted.state_.resized(self.sample_size or _EVERY))
        made = fitted._made.model
        if changed <= _OF_THE_VOTE and made is not None:
            self._check_k(self.n_neighbors, False)
            self._made.model = made.with_k(self.n_neighbors)

    def _nearest(self, batch: Batch, k: int) -> tuple[Floats, NDArray[np.int32]]:
        model = self.model_
        with side_by_side(len(batch) * len(self.state_) * batch.columns * _SHARE) as each:
            return model.nearest(batch, k, each)

    def _among_themselves(self, k: int) -> tuple[Floats, NDArray[np.int64]]:
        """Of each fitted row its neighbours without itself."""
        drawn, order = self.state_.ordered(), self._places()
        distances, found = self._nearest(Batch(drawn.rows), k + 1)
        rows = np.arange(len(found))
        own = found == rows[:, None]
        own[~own.any(axis=1), -1] = True  # among more than k equal rows it may not find itself
        others = (~own).nonzero()[1].reshape(len(found), k)
        back = np.argsort(order)
        rows = rows[:, None]
        return distances[rows, others][back], order[found[rows, others][back]]

    def _places(self) -> NDArray[np.int64]:
        """Which fitted row each row of the model is."""
        if self._made.places is None:
            self._made.places = self.state_.places(self._seed)
        return self._made.places

    def _algorithm(self, each: Any = map) -> Knn:
        self._check()
        given = KnnHyperparameters(
            k=self.n_neighbors,
            predictor_type=self._kind,
            sample_size=self.sample_size or _EVERY,
            dimension_reduction_type=self.reduction,
            dimension_reduction_target=self.reduction_target,
            index_type=f"faiss.{self.index}",
            index_metric=_METRICS[self.metric],
            faiss_index_ivf_nlists=self.n_lists,
            faiss_index_nprobe=self.n_probe,
            faiss_index_pq_m=None if self.pq_m is None else str(self.pq_m),
            faiss_index_hnsw_m=self.hnsw_m,
            faiss_index_hnsw_ef_construction=self.hnsw_ef_construction,
            faiss_index_hnsw_ef_search=self.hnsw_ef_search,
        )
        return Knn(given, seed=self._seed, each=each)

    def _check(self) -> None:
        """Raise InvalidInput for parameters that cannot work."""
        for name in ("n_neighbors", "sample_size", "n_lists", "n_probe", "reduction_target"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int | np.integer) or value < 1):
                raise InvalidInput(
                    f"{type(self).__name__}: {name} must be a whole number of at least 1",
                    got=value,
                    do=f"Change {name}.",
                )
        for name, allowed in (
            ("metric", tuple(_METRICS)),
            ("index", _INDEXES),
            ("reduction", (None, "sign", "fjlt")),
        ):
            if getattr(self, name) not in allowed:
                raise InvalidInput(
                    f"{type(self).__name__}: {name} must be one of {', '.join(map(str, allowed))}",
                    got=getattr(self, name),
                    do=f"Change {name}.",
                )

    def _check_k(self, k: int, without_itself: bool) -> None:
        rows = len(self.state_) - without_itself
        if not isinstance(k, int | np.integer) or not 1 <= k <= rows:
            raise InvalidInput(
                f"{type(self).__name__}: n_neighbors must be from 1 to {rows}, the rows kept "
                f"(n_samples_fit={len(self.state_)})",
                got=k,
                do="Lower n_neighbors, or fit more rows.",
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class KNeighborsClassifier(ClassifierMixin, NeighborsEstimator):  # type: ignore[misc]
    """The most common class among the nearest rows; of several the first in order.

    Parameters
    ----------
    n_neighbors : rows that decide on an answer
    metric : ``"euclidean"``, ``"cosine"`` or ``"inner_product"``
    index : ``"Flat"`` finds exactly the nearest; ``"IVFFlat"`` looks into ``n_probe`` of
        ``n_lists`` cells (None for the square root of the rows), ``"IVFPQ"`` into such cells of
        rows that are kept as ``pq_m`` bytes each, ``"HNSW"`` along a graph (which takes faiss to
        make), of ``hnsw_m`` neighbours a row, made with and walked with beams of
        ``hnsw_ef_construction`` and ``hnsw_ef_search`` rows
    sample_size : rows to keep, a uniform sample; None for all
    reduction, reduction_target : None, or ``"sign"`` or ``"fjlt"`` to project rows at random to so
        many columns
    random_state : of the sample and the reduction; the same number gives the same bytes, whatever
        the number of cores

    Attributes
    ----------
    classes_ : (classes,) in y's own type · n_samples_fit_ : rows kept
    state_ : the rows, which ``partial_fit`` goes on from, and of which ``finalize`` makes
        estimators with any other parameters · model_ : what a training job would have made of them

    Examples
    --------
    >>> near = KNeighborsClassifier(n_neighbors=3).fit([[0], [1], [2], [9]], ["a", "b", "b", "c"])
    >>> near.predict([[1.2]]).tolist(), near.finalize(n_neighbors=1).predict([[0.1]]).tolist()
    (['b'], ['a'])
    """

    _kind, _numeric = CLASSIFIER, False

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Keep further rows too. classes: all there will be, in the first call at the latest."""
        first = not hasattr(self, "state_")
        if first:
            if classes is None:
                raise InvalidInput(
                    "classes must be given in the first call of partial_fit",
                    got=None,
                    do="Pass classes=numpy.unique(y) of all labels there will be.",
                )
            self.classes_ = np.unique(classes)
        return self._go_on(X, y, first)

    def predict(self, X: Any) -> NDArray[Any]:
        """(rows,) the class that most of the neighbours have."""
        _, said = self._found(X)
        found: NDArray[Any] = self.classes_[said.astype(np.intp)]
        return found

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """(rows, classes) the share of the neighbours of each class."""
        found, _ = self._found(X)
        shares = np.zeros((len(found), len(self.classes_)))
        model = self.model_
        shares[:, model.classes[0].astype(np.intp)] = model.shares(found)
        return shares

    def _found(self, X: Any) -> tuple[NDArray[np.int32], Floats]:
        check_is_fitted(self)
        batch = Batch(features_of(self, X, reset=False))
        found = self._nearest(batch, self.n_neighbors)[1]
        return found, self.model_.decide(found)

    def _encode(self, target: NDArray[Any], known: bool = False) -> Floats:
        check_classification_targets(target)
        if not known:
            self.classes_, codes = np.unique(target, return_inverse=True)
            return codes.astype(np.float32)
        codes = np.searchsorted(self.classes_, target).clip(0, len(self.classes_) - 1)
        strange = self.classes_[codes] != target
        if strange.any():
            raise InvalidInput(
                f"labels must be among the classes {self.classes_.tolist()}",
                got=target[strange][0],
                do="Name all classes in the first call of partial_fit.",
            )
        return codes.astype(np.float32)

    def _adopt(self, fitted: Self) -> None:
        self.classes_ = fitted.classes_
        super()._adopt(fitted)


class KNeighborsRegressor(RegressorMixin, NeighborsEstimator):  # type: ignore[misc]
    """The mean of the nearest rows' numbers.

    Parameters
    ----------
    as of KNeighborsClassifier

    Examples
    --------
    >>> near = KNeighborsRegressor(n_neighbors=2).fit([[0], [1], [2], [9]], [0, 10, 20, 90])
    >>> near.predict([[1.6]]).tolist()
    [15.0]
    >>> distances, rows = near.kneighbors([[1.6]])
    >>> rows.tolist()
    [[2, 1]]
    """

    _kind, _numeric = REGRESSOR, True

    def partial_fit(self, X: Any, y: Any) -> Self:
        """Keep further rows too."""
        return self._go_on(X, y, not hasattr(self, "state_"))

    def predict(self, X: Any) -> NDArray[np.float64]:
        """(rows,) float64."""
        check_is_fitted(self)
        found = self._nearest(Batch(features_of(self, X, reset=False)), self.n_neighbors)[1]
        said: NDArray[np.float64] = self.model_.decide(found).astype(np.float64)
        return said

    def _encode(self, target: NDArray[Any], known: bool = False) -> Floats:
        return target.astype(np.float32)
