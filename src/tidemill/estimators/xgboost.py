"""Boosting as scikit-learn estimators: the built-in xgboost over data that is in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.hyperparameters import read
from tidemill.algorithms.xgboost.hyperparameters import NAME, XGBoostHyperparameters
from tidemill.algorithms.xgboost.learner import XGBoost
from tidemill.algorithms.xgboost.library import library
from tidemill.algorithms.xgboost.model import XGBoostModel
from tidemill.algorithms.xgboost.state import XGBoostState
from tidemill.data.batch import Batch, Floats
from tidemill.estimators.base import (
    ClassifierMixin,
    Expressive,
    InMemory,
    InvalidInput,
    RegressorMixin,
    check_classification_targets,
    check_is_fitted,
    features_and_target_of,
    features_of,
    seed_of,
    weights_of,
)
from tidemill.training.loop import Position, fit

_ROWS = 1 << 16
_LITTLE_WORK = 1 << 16
_SEEDS = 2**31 - 1
_NAMES = {
    "n_estimators": "num_round",
    "learning_rate": "eta",
    "reg_alpha": "alpha",
    "n_jobs": "nthread",
}
_PARAMETERS = """
    n_estimators : boosting rounds
    max_depth : depth of a tree · learning_rate : what a round's answer is shrunk by
    gamma, min_child_weight : what a split must save, and a leaf must hold
    subsample, colsample_bytree : shares of the rows and columns that a tree sees
    reg_alpha, reg_lambda : L1 and L2 penalties on the leaves
    tree_method, max_bin, booster : as of the library
    eval_metric : a comma-separated list · early_stopping_rounds : needs ``eval_set`` in ``fit``
    n_jobs : threads; None takes all cores for more than little data
    parameters : a dictionary of any other hyperparameters, by their documented names
    random_state : None, a number or a NumPy generator
"""


class XGBoostEstimator(Expressive):
    """What both estimators do alike."""

    _numeric = True

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        max_depth: int = 6,
        learning_rate: float = 0.3,
        gamma: float = 0.0,
        min_child_weight: float = 1.0,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        reg_alpha: float = 0.0,
        reg_lambda: float = 1.0,
        tree_method: str = "auto",
        max_bin: int = 256,
        booster: str = "gbtree",
        objective: str | None = None,
        eval_metric: str | None = None,
        early_stopping_rounds: int | None = None,
        n_jobs: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.gamma = gamma
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.tree_method = tree_method
        self.max_bin = max_bin
        self.booster = booster
        self.objective = objective
        self.eval_metric = eval_metric
        self.early_stopping_rounds = early_stopping_rounds
        self.n_jobs = n_jobs
        self.parameters = parameters
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, eval_set: tuple[Any, Any] | None = None
    ) -> Self:
        """Train on these rows, (rows, columns) dense with NaN where missing, or scipy.sparse.

        eval_set: (X, y) that ``early_stopping_rounds`` goes by, and whose metrics ``lines_`` tell
        """
        rows = self._rows_to_learn(X, y, sample_weight, is_first=True)
        self._seed = seed_of(self.random_state) % _SEEDS
        return self._learn(rows, None, eval_set)

    def get_booster(self) -> Any:
        """The library's own booster."""
        check_is_fitted(self)
        return library().Booster(model_file=bytearray(self.model_.booster))

    @property
    def feature_importances_(self) -> Floats:
        """(columns,) what the splits on each column save on average, as shares of one."""
        found = np.zeros(self.n_features_in_, np.float32)
        for name, gain in self.get_booster().get_score(importance_type="gain").items():
            found[int(name.removeprefix("f"))] = gain
        return found / (found.sum() or 1)

    def _learn(
        self, rows: Batch, earlier: XGBoostState | None, eval_set: tuple[Any, Any] | None = None
    ) -> Self:
        algorithm = self._algorithm(rows)
        resume = None if earlier is None else Position(algorithm.reopen(earlier))
        held_out = None
        if eval_set is not None:
            features, target = features_and_target_of(
                self, *eval_set, reset=False, numeric=self._numeric, allows_missing=True
            )
            held_out = InMemory(Batch(features, self._encode(target)), _ROWS)
        told = _Lines(algorithm)
        state = fit(
            algorithm, InMemory(rows, _ROWS), held_out=held_out, resume=resume, watcher=told
        )
        self.lines_ = told.lines
        self._show(algorithm, state)
        return self

    def _adopt(self, fitted: Self) -> None:
        self._take_classes(fitted)
        self._seed = fitted._seed
        algorithm = self._algorithm(None)
        self._show(algorithm, algorithm.reopen(fitted.state_))

    def _show(self, algorithm: XGBoost, state: XGBoostState) -> None:
        self.state_ = state
        self.model_: XGBoostModel = algorithm.finalize(state)
        self.n_iter_ = self.get_booster().num_boosted_rounds()

    def _rows_to_learn(self, X: Any, y: Any, sample_weight: Any, *, is_first: bool) -> Batch:
        features, target = features_and_target_of(
            self, X, y, reset=is_first, numeric=self._numeric, allows_missing=True
        )
        weights = weights_of(sample_weight, len(features))
        if is_first:
            self._see(target if weights is None else target[weights > 0])
        rows = Batch(features, self._encode(target), weights)
        if weights is not None and not weights.all():  # nothing may depend on what weighs nothing
            rows = rows.take(np.flatnonzero(weights))
        return rows

    def _algorithm(self, rows: Batch | None) -> XGBoost:
        mine = {k: v for k, v in self.get_params(deep=False).items() if k not in ("parameters",)}
        mine |= {
            "random_state": None,
            "seed": self._seed,
            **self._kind(),
            **(self.parameters or {}),
        }
        given = {_NAMES.get(k, k): str(v) for k, v in mine.items() if v is not None}
        little = rows is None or len(rows) * rows.columns < _LITTLE_WORK
        cores = 1 if little else len(os.sched_getaffinity(0))
        checked = read(XGBoostHyperparameters, {"verbosity": "1", **given}, algorithm=NAME)
        return XGBoost(checked, threads=cores)

    def _scores(self, X: Any) -> Floats:
        check_is_fitted(self)
        features = features_of(self, X, reset=False, allows_missing=True)
        found: Floats = self.model_.predict(Batch(features))["score"]
        return found

    def _kind(self) -> dict[str, Any]:
        return {"objective": self.objective or "reg:squarederror"}

    def _see(self, target: NDArray[Any]) -> None:
        """Take note of the classes."""

    def _take_classes(self, fitted: Any) -> None: ...

    def _encode(self, target: NDArray[Any]) -> Floats:
        return target.astype(np.float32)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        return tags


class XGBoostRegressor(RegressorMixin, XGBoostEstimator):  # type: ignore[misc]
    __doc__ = f"""Gradient boosting for numbers, by the xgboost library.

    Parameters
    ----------{_PARAMETERS}
    objective : one for numbers, ``"reg:squarederror"`` by default

    Attributes
    ----------
    n_iter_ : rounds of the model · lines_ : what was told of each · feature_importances_

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> rows, target = load_diabetes(return_X_y=True)
    >>> model = XGBoostRegressor(n_estimators=20, max_depth=3).fit(rows, target)
    >>> model.score(rows, target) > 0.6
    True
    >>> model.finalize(n_estimators=5).n_iter_
    5
    """

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on with ``n_estimators`` further rounds on these rows."""
        is_first = not hasattr(self, "state_")
        rows = self._rows_to_learn(X, y, sample_weight, is_first=is_first)
        if is_first:
            self._seed = seed_of(self.random_state) % _SEEDS
        return self._learn(rows, None if is_first else self.state_)

    def predict(self, X: Any) -> Floats:
        """(rows,) the answers."""
        return self._scores(X)


class XGBoostClassifier(ClassifierMixin, XGBoostEstimator):  # type: ignore[misc]
    __doc__ = f"""Gradient boosting for classes, by the xgboost library.

    Parameters
    ----------{_PARAMETERS}
    objective : ``"binary:logistic"`` or, of more classes, ``"multi:softprob"`` by default

    Attributes
    ----------
    classes_ : (classes,) in y's own type
    n_iter_ : rounds of the model · lines_ : what was told of each · feature_importances_

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> flowers, species = load_iris(return_X_y=True)
    >>> XGBoostClassifier(n_estimators=10).fit(flowers, species).score(flowers, species) > 0.95
    True
    """

    _numeric = False

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Go on with ``n_estimators`` further rounds on these rows.

        classes: all there will be, in the first call at the latest
        """
        is_first = not hasattr(self, "state_")
        if is_first:
            self._see(np.unique(y if classes is None else classes))
            self._seed = seed_of(self.random_state) % _SEEDS
        features, target = features_and_target_of(
            self, X, y, reset=is_first, numeric=False, allows_missing=True
        )
        rows = Batch(features, self._encode(target), weights_of(sample_weight, len(features)))
        return self._learn(rows, None if is_first else self.state_)

    def predict(self, X: Any) -> NDArray[Any]:
        """(rows,) the likeliest class of each row."""
        chances = self._chances(X)
        found: NDArray[Any] = self.classes_[chances.argmax(axis=1)]
        return found

    def predict_proba(self, X: Any) -> Floats:
        """(rows, classes) probabilities."""
        return self._chances(X)

    def _chances(self, X: Any) -> Floats:
        scores = self._scores(X)
        return scores if scores.ndim == 2 else np.column_stack([1 - scores, scores])

    def _kind(self) -> dict[str, Any]:
        if len(self.classes_) == 2:
            return {"objective": self.objective or "binary:logistic"}
        return {"objective": self.objective or "multi:softprob", "num_class": len(self.classes_)}

    def _see(self, target: NDArray[Any]) -> None:
        check_classification_targets(target)
        classes = np.unique(target)
        if len(classes) < 2:
            raise InvalidInput(
                "a classifier must see at least 2 classes, and there is 1 class",
                got=classes.tolist(),
                do="Give rows of another class too.",
            )
        self.classes_ = classes

    def _take_classes(self, fitted: Any) -> None:
        self.classes_ = fitted.classes_

    def _encode(self, target: NDArray[Any]) -> Floats:
        codes = np.searchsorted(self.classes_, target).clip(max=len(self.classes_) - 1)
        strange = target[self.classes_[codes] != target]
        if len(strange):
            raise InvalidInput(
                f"labels must be among the classes {self.classes_.tolist()}",
                got=strange[0],
                do="Name all classes in the first call of partial_fit.",
            )
        return codes.astype(np.float32)


class _Lines:
    """What a training tells, kept."""

    def __init__(self, algorithm: XGBoost) -> None:
        self._algorithm = algorithm
        self.lines: list[str] = []

    def batch(self, position: Position[XGBoostState], rows: int) -> None: ...

    def closed(self, position: Position[XGBoostState]) -> None:
        told = self._algorithm.lines(position.state)
        self.lines += [text.replace("#011", "\t") for text in told]
