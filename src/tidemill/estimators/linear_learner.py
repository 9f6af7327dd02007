"""Linear learner as scikit-learn estimators, tuned for data that is in memory as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.linear_learner.hyperparameters import (
    BINARY,
    CRITERIA,
    MULTICLASS,
    REGRESSOR,
)
from tidemill.algorithms.linear_learner.model import sigmoid, softmax
from tidemill.data.batch import Batch, Floats
from tidemill.estimators.base import (
    ClassifierMixin,
    InvalidInput,
    RegressorMixin,
    available_if,
    check_classification_targets,
    check_is_fitted,
    features_of,
)
from tidemill.estimators.linear import SMALL, LinearEstimator

Auto = Literal["auto"]
_FEW_VALUES = 1 << 16


def _has_probabilities(estimator: Any) -> bool:
    if estimator.loss == "hinge_loss":
        raise AttributeError("predict_proba needs the logistic loss, not hinge_loss")
    return True


class LinearLearnerClassifier(ClassifierMixin, LinearEstimator):  # type: ignore[misc]
    """Logistic regression (softmax for more classes, or hinge loss) by mini-batch steps.

    Scales the columns itself. Passes end when the loss stalls; the weights are means over the
    later steps, which makes a few passes as good as a full optimisation.

    Parameters
    ----------
    loss : ``"auto"`` (logistic, softmax), ``"logistic"``, ``"hinge_loss"`` (two classes)
    optimizer : ``"adam"``, ``"sgd"`` or ``"rmsprop"``
    learning_rate : size of a step, or ``"auto"``
    wd, l1 : L2 and L1 penalties, on scaled columns; a wd of ``"auto"`` is that of scikit-learn's
        LogisticRegression with C=1 on scaled columns, or with C=5 on sparse rows of length 1
    epochs : passes over the rows, at most
    batch_size : rows a step; ``"auto"`` makes 32 steps a pass or more
    num_models : candidates trained side by side, of which the one with the least loss is kept
    patience, tolerance : passes without such a relative gain in loss, after which training ends
    use_bias, normalize_data : whether to fit an intercept, whether to scale columns
    criterion : of two classes, what the best candidate, and the score from which ``predict`` says
        the second class, are chosen by: ``"loss_function"`` (the score is 0), ``"accuracy"``,
        ``"f_beta"``, ``"precision_at_target_recall"`` or ``"recall_at_target_precision"``
    target_recall, target_precision, f_beta : parameters of the criterion
    class_weight : None, ``"balanced"``, or a dictionary from class to weight
    random_state : None, a number or a NumPy generator

    Attributes
    ----------
    classes_ : (classes,) in y's own type
    coef_ : (1 or classes, columns) float32 · intercept_ : (1 or classes,) float32
    n_iter_ : passes made
    state_ : of which ``finalize`` makes estimators with another criterion, without rows

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> flowers, species = load_iris(return_X_y=True)
    >>> LinearLearnerClassifier(random_state=0).fit(flowers, species).score(flowers, species) > 0.95
    True
    """

    _numeric = False

    def __init__(
        self,
        *,
        loss: str = "auto",
        optimizer: str = "adam",
        learning_rate: float | Auto = "auto",
        wd: float | Auto = "auto",
        l1: float = 0.0,
        epochs: int = 50,
        batch_size: int | Auto = "auto",
        num_models: int = 1,
        patience: int = 2,
        tolerance: float = 1e-3,
        use_bias: bool = True,
        normalize_data: bool = True,
        criterion: str = "loss_function",
        target_recall: float = 0.8,
        target_precision: float = 0.8,
        f_beta: float = 1.0,
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.wd = wd
        self.l1 = l1
        self.epochs = epochs
        self.batch_size = batch_size
        self.num_models = num_models
        self.patience = patience
        self.tolerance = tolerance
        self.use_bias = use_bias
        self.normalize_data = normalize_data
        self.criterion = criterion
        self.target_recall = target_recall
        self.target_precision = target_precision
        self.f_beta = f_beta
        self.class_weight = class_weight
        self.random_state = random_state

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Go on with further rows. classes: all there will be, in the first call at the latest.

        The first rows set the scale of the columns: give some hundred.
        """
        first = not hasattr(self, "state_")
        if first:
            if classes is None:
                raise InvalidInput(
                    "classes must be given in the first call of partial_fit",
                    got=None,
                    do="Pass classes=numpy.unique(y) of all labels there will be.",
                )
            self._set_classes(np.unique(classes))
        return self._go_on(X, y, sample_weight, first)

    def decision_function(self, X: Any) -> Floats:
        """(rows,) of two classes, above ``threshold_`` for the second; else (rows, classes)."""
        return self._scores(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """(rows,) the likeliest class of each row."""
        scores = self._scores(X)
        best = (
            scores.argmax(axis=1)
            if scores.ndim == 2
            else (scores > self.threshold_).astype(np.intp)
        )
        found: NDArray[Any] = self.classes_[best]
        return found

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Floats:
        """(rows, classes) probabilities."""
        scores = self._scores(X)
        if scores.ndim == 2:
            return softmax(scores)
        return np.column_stack([sigmoid(-scores), sigmoid(scores)])

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Floats:
        """Their logarithms."""
        with np.errstate(divide="ignore"):
            logarithms: Floats = np.log(self.predict_proba(X))
        return logarithms

    @property
    def threshold_(self) -> float:
        """The score above which a row is of the second of two classes."""
        return self.model_.threshold

    @property
    def coef_(self) -> Floats:
        """(1 or classes, columns) weights over raw columns."""
        return np.atleast_2d(self.model_.weights.T)

    @property
    def intercept_(self) -> Floats:
        """(1 or classes,)"""
        return np.atleast_1d(self.model_.bias)

    def _kind(self) -> tuple[str, int | None]:
        return (BINARY, None) if len(self.classes_) == 2 else (MULTICLASS, len(self.classes_))

    def _more(self) -> dict[str, Any]:
        if self.criterion not in CRITERIA:
            raise InvalidInput(
                f"criterion must be one of {', '.join(CRITERIA)}",
                got=self.criterion,
                do="Change criterion.",
            )
        return {
            "binary_classifier_model_selection_criteria": self.criterion,
            "target_recall": self.target_recall,
            "target_precision": self.target_precision,
            "f_beta": self.f_beta,
        }

    def _take_classes(self, fitted: Self) -> None:
        self.classes_: NDArray[Any] = fitted.classes_

    def _set_classes(self, classes: NDArray[Any]) -> None:
        if len(classes) < 2:
            raise InvalidInput(
                "a classifier must see at least 2 classes, and there is 1 class",
                got=classes.tolist(),
                do="Give rows of another class too.",
            )
        self.classes_ = classes

    def _encode(
        self, target: NDArray[Any], weights: Floats | None, known: bool = False
    ) -> tuple[Floats, Floats | None]:
        if target.dtype.kind not in "biu":
            check_classification_targets(target)
        if known:
            codes = np.searchsorted(self.classes_, target).clip(0, len(self.classes_) - 1)
            strange = self.classes_[codes] != target
            if strange.any():
                raise InvalidInput(
                    f"labels must be among the classes {self.classes_.tolist()}",
                    got=target[strange][0],
                    do="Name all classes in the first call of partial_fit.",
                )
        else:
            classes, codes = _classes_of(target)
            self._set_classes(classes)
        if self.class_weight is not None:
            own = self._class_weights(codes, weights)[codes]
            weights = own if weights is None else weights * own
        return codes.astype(np.float32), weights

    def _class_weights(self, codes: NDArray[np.intp], weights: Floats | None) -> Floats:
        if self.class_weight != "balanced" and not isinstance(self.class_weight, Mapping):
            raise InvalidInput(
                "class_weight must be None, 'balanced', or a dictionary from class to weight",
                got=self.class_weight,
                do="Change class_weight.",
            )
        if self.class_weight != "balanced":
            given = [self.class_weight.get(c, 1.0) for c in self.classes_.tolist()]
            return np.array(given, np.float32)
        seen = np.bincount(codes, weights, minlength=len(self.classes_)).astype(np.float64)
        even = float(seen.sum()) / np.count_nonzero(seen)
        own: NDArray[np.float64] = even / np.where(seen > 0, seen, even)
        return own.astype(np.float32)


class LinearLearnerRegressor(RegressorMixin, LinearEstimator):  # type: ignore[misc]
    """Linear regression under any of six losses, by mini-batch steps.

    Parameters
    ----------
    loss : ``"squared_loss"``, ``"absolute_loss"``, ``"eps_insensitive_squared_loss"``,
        ``"eps_insensitive_absolute_loss"``, ``"quantile_loss"`` or ``"huber_loss"``; the labels
        are scaled to deviation 1 before it
    quantile, epsilon, delta : the parameters of the quantile, insensitive and huber losses
    others : as of LinearLearnerClassifier

    Attributes
    ----------
    coef_ : (columns,) float32 · intercept_ : float · n_iter_ : passes made · state_

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 2))
    >>> fitted = LinearLearnerRegressor(random_state=0).fit(rows, rows @ [2, -3] + 1)
    >>> fitted.coef_.round(1).tolist()
    [2.0, -3.0]
    """

    def __init__(
        self,
        *,
        loss: str = "squared_loss",
        quantile: float = 0.5,
        epsilon: float = 0.01,
        delta: float = 1.0,
        optimizer: str = "adam",
        learning_rate: float | Auto = "auto",
        wd: float = 0.0,
        l1: float = 0.0,
        epochs: int = 50,
        batch_size: int | Auto = "auto",
        num_models: int = 1,
        patience: int = 2,
        tolerance: float = 1e-3,
        use_bias: bool = True,
        normalize_data: bool = True,
        random_state: Any = None,
    ) -> None:
        self.loss = loss
        self.quantile = quantile
        self.epsilon = epsilon
        self.delta = delta
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.wd = wd
        self.l1 = l1
        self.epochs = epochs
        self.batch_size = batch_size
        self.num_models = num_models
        self.patience = patience
        self.tolerance = tolerance
        self.use_bias = use_bias
        self.normalize_data = normalize_data
        self.random_state = random_state

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on with further rows; the first set the scale of columns and labels."""
        return self._go_on(X, y, sample_weight, not hasattr(self, "state_"))

    def predict(self, X: Any) -> NDArray[np.float64]:
        """(rows,) float64."""
        check_is_fitted(self)
        rows = Batch(features_of(self, X, reset=False))
        weights, bias = self.model_.weights.astype(np.float64), float(self.model_.bias)
        # In float64, for a large mean may hide a small difference.
        parts = [block.dense().astype(np.float64) @ weights + bias for block in rows.split(SMALL)]
        return np.concatenate(parts)

    @property
    def coef_(self) -> Floats:
        """(columns,) weights over raw columns."""
        return self.model_.weights

    @property
    def intercept_(self) -> float:
        """What a row of zeros is predicted to be."""
        return float(self.model_.bias)

    def _kind(self) -> tuple[str, int | None]:
        return REGRESSOR, None

    def _more(self) -> dict[str, Any]:
        return {
            "binary_classifier_model_selection_criteria": "loss_function",
            "quantile": self.quantile,
            "loss_insensitivity": self.epsilon,
            "huber_delta": self.delta,
        }


def _classes_of(target: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The different values, sorted, and which of them each is; without sorting where it can be."""
    if target.dtype.kind in "iu":
        low, high = int(target.min()), int(target.max())
        if high - low < _FEW_VALUES:
            away = target - np.asarray(low, target.dtype)
            there = np.bincount(away, minlength=high - low + 1) > 0
            codes: NDArray[np.intp] = (np.cumsum(there) - 1)[away]
            return (np.flatnonzero(there) + low).astype(target.dtype), codes
    classes, codes = np.unique(target, return_inverse=True)
    return classes, codes
