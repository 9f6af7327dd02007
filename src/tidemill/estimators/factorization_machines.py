"""Factorization machines as scikit-learn estimators, tuned for data that is all in memory."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.factorization_machines.hyperparameters import BINARY
from tidemill.algorithms.factorization_machines.model import sigmoid
from tidemill.data.batch import Batch, Floats
from tidemill.estimators.base import (
    ClassifierMixin,
    InvalidInput,
    RegressorMixin,
    check_classification_targets,
    features_and_target_of,
    weights_of,
)
from tidemill.estimators.machine import MachineEstimator

Doubles = NDArray[np.float64]


class FactorizationMachineClassifier(ClassifierMixin, MachineEstimator):  # type: ignore[misc]
    """Logistic regression of two classes on columns and on products of any two of them.

    Each column has a vector of factors, and a product of columns the product of their vectors for
    its weight: so pairs that no row holds have one too. Made for sparse rows, such as one-hot
    users, items and contexts; columns are brought to one size, ones stay ones.

    Parameters
    ----------
    n_factors : numbers a column
    learning_rate : size of a step, in scaled columns; falls to zero over the epochs
    wd : L2 penalty of weights and factors; ``"auto"`` is a prior that weakens as the loss falls
    epochs : passes over the rows; ``"auto"`` makes it 8, and more where rows are few
    batch_size : rows a step; ``"auto"`` is a thirtieth of the rows, and at most 1000
    init_sigma : deviation of the first factors
    random_state : None, a number or a NumPy generator; the same number gives the same bytes,
        whatever the number of cores

    Attributes
    ----------
    classes_ : (2,) in y's own type
    intercept_ : float · coef_ : (columns,) · factors_ : (columns, n_factors), over raw columns
    n_iter_ : passes made · scaling_ : what columns are scaled by · state_ : the algorithm's state,
        which ``partial_fit`` goes on from, and ``finalize(n_factors=…)`` makes smaller models of

    Examples
    --------
    >>> rows = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]] * 100)
    >>> labels = np.array(["like", "unlike", "unlike", "like"] * 100)  # no linear model can tell
    >>> machine = FactorizationMachineClassifier(random_state=0).fit(rows, labels)
    >>> machine.score(rows, labels)
    1.0
    """

    _kind = BINARY

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on these rows, (rows, columns) dense or scipy.sparse."""
        features, target = features_and_target_of(self, X, y, reset=True, numeric=False)
        check_classification_targets(target)
        self._set_classes(np.unique(target))
        labels = (target == self.classes_[1]).astype(np.float32)
        weights = weights_of(sample_weight, len(features))
        self._fit(Batch(features, labels, weights), _log_odds(labels, weights))
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Go on with further rows, after ``fit`` too. classes: both, in the first call at the
        latest. The first rows set the scale of the columns: give some hundred.
        """
        first = not hasattr(self, "state_")
        features, target = features_and_target_of(self, X, y, reset=first, numeric=False)
        if first:
            if classes is None:
                raise InvalidInput(
                    "classes must be given in the first call of partial_fit",
                    got=None,
                    do="Pass classes=numpy.unique(y) of all labels there will be.",
                )
            self._set_classes(np.unique(classes))
        strange = ~np.isin(target, self.classes_)
        if strange.any():
            raise InvalidInput(
                f"labels must be among the classes {self.classes_.tolist()}",
                got=target[strange][0],
                do="Name both classes in the first call of partial_fit.",
            )
        labels = (target == self.classes_[1]).astype(np.float32)
        weights = weights_of(sample_weight, len(features))
        self._go_on(Batch(features, labels, weights), _log_odds(labels, weights))
        return self

    def decision_function(self, X: Any) -> Doubles:
        """(rows,) log-odds of the second class."""
        return self._scores(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """(rows,) the likelier class of each row."""
        likelier = (self._scores(X) >= 0).astype(np.intp)
        found: NDArray[Any] = self.classes_[likelier]
        return found

    def predict_proba(self, X: Any) -> Doubles:
        """(rows, 2) probabilities."""
        scores = self._scores(X)
        return np.column_stack([_chance(-scores), _chance(scores)])

    def predict_log_proba(self, X: Any) -> Doubles:
        """Their logarithms."""
        scores = self._scores(X)
        return np.column_stack([-np.logaddexp(0, scores), -np.logaddexp(0, -scores)])

    def _set_classes(self, classes: NDArray[Any]) -> None:
        if len(classes) != 2:
            word = "class" if len(classes) == 1 else "classes"
            raise InvalidInput(
                "Only binary classification is supported: there must be 2 classes, and there "
                f"{'is' if len(classes) == 1 else 'are'} {len(classes)} {word}",
                got=classes[:10].tolist(),
                do="Give rows of two classes, or train one machine for each.",
            )
        self.classes_ = classes

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class FactorizationMachineRegressor(RegressorMixin, MachineEstimator):  # type: ignore[misc]
    """Linear regression on columns and on products of any two of them, with squared loss.

    Parameters
    ----------
    as of FactorizationMachineClassifier

    Attributes
    ----------
    intercept_ : float · coef_ : (columns,) · factors_ : (columns, n_factors), over raw columns
    n_iter_, scaling_, state_ : as of FactorizationMachineClassifier
    target_mean_, target_deviation_ : of the labels that it was fitted to

    Examples
    --------
    >>> draws = np.random.default_rng(0)
    >>> rows = draws.normal(size=(2000, 3))
    >>> machine = FactorizationMachineRegressor(4, random_state=0)
    >>> machine.fit(rows, 2 * rows[:, 0] * rows[:, 1] - rows[:, 2]).score(rows[:100], (
    ...     2 * rows[:100, 0] * rows[:100, 1] - rows[:100, 2])) > 0.98
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on these rows, (rows, columns) dense or scipy.sparse."""
        features, target = features_and_target_of(self, X, y, reset=True, numeric=True)
        weights = weights_of(sample_weight, len(features))
        self._measure(target, weights)
        self._fit(Batch(features, self._labels(target), weights), 0.0)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on with further rows, after ``fit`` too; the first set the scale of columns and
        labels: give some hundred."""
        first = not hasattr(self, "state_")
        features, target = features_and_target_of(self, X, y, reset=first, numeric=True)
        weights = weights_of(sample_weight, len(features))
        if first:
            self._measure(target, weights)
        self._go_on(Batch(features, self._labels(target), weights), 0.0)
        return self

    def predict(self, X: Any) -> Doubles:
        """(rows,) float64."""
        return self._scores(X)

    def _measure(self, target: NDArray[Any], weights: Floats | None) -> None:
        exact = target.astype(np.float64)
        mean = float(np.average(exact, weights=weights))
        variance = float(np.average((exact - mean) ** 2, weights=weights))
        self.target_mean_, self.target_deviation_ = mean, math.sqrt(variance) or 1.0

    def _labels(self, target: NDArray[Any]) -> Floats:
        scaled = (target.astype(np.float64) - self.target_mean_) / self.target_deviation_
        return scaled.astype(np.float32)

    def _unit(self) -> float:
        return self.target_deviation_

    def _middle(self) -> float:
        return self.target_mean_


def _log_odds(labels: Floats, weights: Floats | None) -> float:
    share = float(np.average(labels, weights=weights).clip(1e-3, 1 - 1e-3))
    return math.log(share / (1 - share))


def _chance(scores: Doubles) -> Doubles:
    return sigmoid(scores.astype(np.float32)).astype(np.float64)
