"""What both linear estimators do: train the algorithm on data that is in memory as a whole."""

from __future__ import annotations

import contextlib
from dataclasses import fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.hyperparameters import check, parse, rule_of
from tidemill.algorithms.linear_learner.hyperparameters import (
    BINARY,
    NAME,
    LinearLearnerHyperparameters,
)
from tidemill.algorithms.linear_learner.learner import LinearLearner
from tidemill.algorithms.linear_learner.model import LinearModel, product
from tidemill.algorithms.linear_learner.selection import BY_LOSS
from tidemill.algorithms.linear_learner.state import TRAIN, LinearState
from tidemill.data.batch import Batch, Csr, Floats
from tidemill.estimators.base import (
    Expressive,
    InMemory,
    InvalidInput,
    check_is_fitted,
    distinct,
    features_and_target_of,
    features_of,
    one_blas_thread,
    seed_of,
    weights_of,
)
from tidemill.estimators.shuffled import Shuffled
from tidemill.training.loop import fit

SMALL = 4096
_JUDGED = 1 << 14
"""Rows, of those trained on, that tell after each epoch whether it was the last."""
_LARGE_PRODUCT = 1e8
_FOREVER = 1 << 30
_WD_OF_A_STREAM = 1e-5
_SPARSE_C = 5.0


class LinearEstimator(Expressive):
    """What both estimators do alike; the parameters are told of in each."""

    _numeric = True

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on these rows, (rows, columns) dense or scipy.sparse."""
        features, target = features_and_target_of(self, X, y, reset=True, numeric=self._numeric)
        weights = weights_of(sample_weight, len(features))
        labels, weights = self._encode(target, weights)
        self._seed = seed_of(self.random_state)
        rows = _prepared(Batch(features, labels, weights), labels, self._seed)
        algorithm = self._algorithm(rows, self.epochs, self.patience)
        judged = rows.take(np.arange(0, len(rows), max(1, len(rows) // _JUDGED)))
        with _threads(algorithm, rows.columns):
            state = fit(
                algorithm,
                Shuffled(rows, algorithm.batch_rows, self._seed),
                held_out=InMemory(judged, SMALL),
            )
        self._show(algorithm, state)
        self.n_iter_ = state.epoch
        return self

    def _go_on(self, X: Any, y: Any, sample_weight: Any, first: bool) -> Self:
        features, target = features_and_target_of(self, X, y, reset=first, numeric=self._numeric)
        weights = weights_of(sample_weight, len(features))
        batch = Batch(features, *self._encode(target, weights, known=True))
        if first:
            self._seed = seed_of(self.random_state)
        algorithm = self._algorithm(batch, _FOREVER, _FOREVER)
        with _threads(algorithm, batch.columns):
            if first:
                state = algorithm.close_pass(algorithm.update(algorithm.start(), batch))
            else:
                state = replace(self.state_, phase=TRAIN)
            state = algorithm.close_pass(algorithm.update(state, batch))
        self._show(algorithm, state)
        self.n_iter_ = state.epoch
        return self

    def _adopt(self, fitted: Self) -> None:
        self._take_classes(fitted)
        self._seed = fitted._seed
        algorithm = self._algorithm(None, _FOREVER, _FOREVER)
        algorithm.reopen(fitted.state_)
        given = algorithm.given
        by_tallies = given.binary_classifier_model_selection_criteria not in BY_LOSS
        if given.predictor_type == BINARY and by_tallies and fitted.state_.histogram is None:
            raise InvalidInput(
                "another criterion needs the tallies of scores that fit keeps of two classes",
                got="a state without",
                do="Leave criterion as it is, or call fit.",
            )
        self._show(algorithm, fitted.state_)
        self.n_iter_ = fitted.n_iter_

    def _algorithm(self, rows: Batch | None, epochs: int, patience: int) -> LinearLearner:
        """rows: those to be learned, which decide what ``auto`` stands for"""
        size = self.batch_size
        if size == "auto":
            size = int(np.clip(len(rows or ()) // 32, 16, 4096))
        wd = self.wd
        if wd == "auto":
            wd = _penalty(rows) if rows and epochs < _FOREVER else _WD_OF_A_STREAM
        kind, outputs = self._kind()
        given = LinearLearnerHyperparameters(
            predictor_type=kind,
            num_classes=outputs,
            mini_batch_size=size,
            epochs=epochs,
            num_models=self.num_models,
            loss=_or_none(self.loss),
            optimizer=self.optimizer,
            learning_rate=_or_none(self.learning_rate),
            wd=wd,
            l1=self.l1,
            use_bias=self.use_bias,
            normalize_data=self.normalize_data,
            early_stopping_patience=patience,
            early_stopping_tolerance=self.tolerance,
            **self._more(),
        )
        _check(given)
        return LinearLearner(given, seed=self._seed)

    def _show(self, algorithm: LinearLearner, state: LinearState) -> None:
        """Set what a fitted estimator shows."""
        self.state_ = state
        self.model_: LinearModel = algorithm.finalize(state)

    def _scores(self, X: Any) -> Floats:
        check_is_fitted(self)
        features = features_of(self, X, reset=False)
        scores = product(features, self.model_.weights)
        scores += self.model_.bias
        return scores

    def _kind(self) -> tuple[str, int | None]:
        raise TypeError("a classifier or a regressor must say what it is")

    def _encode(
        self, target: NDArray[Any], weights: Floats | None, known: bool = False
    ) -> tuple[Floats, Floats | None]:
        """y and sample_weight as the algorithm takes them."""
        return target.astype(np.float32), weights

    def _more(self) -> dict[str, Any]:
        return {}

    def _take_classes(self, fitted: Self) -> None:
        """What else to take over from a fitted one."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _check(given: LinearLearnerHyperparameters) -> None:
    """Raise InvalidHyperparameter for a value of another kind, or out of its range."""
    for item in fields(given):
        value, rule = getattr(given, item.name), rule_of(item)
        if value is not None:
            check(NAME, item.name, rule, parse(NAME, item.name, rule, str(value)))


def _or_none(value: Any) -> Any:
    return None if isinstance(value, str) and value == "auto" else value


def _penalty(rows: Batch) -> float:
    weight = len(rows) if rows.weights is None else float(rows.weights.sum(dtype=np.float64))
    features, strength = rows.features, 1.0
    if isinstance(features, Csr):
        strength = max(1.0, len(features.values) / len(rows) / _SPARSE_C)
    return strength / max(1.0, weight)


def _prepared(rows: Batch, labels: Floats, seed: int) -> Batch:
    """Of few rows, the different ones in order, so that weights are the same as repetitions; else
    the rows themselves, without those that weigh nothing, sparse ones in random order."""
    if len(rows) <= SMALL and len(rows) * rows.columns <= SMALL * 256:
        few = distinct(Batch(np.column_stack([rows.dense(), labels]), weights=rows.weights))
        table = few.dense()
        return replace(few, features=np.ascontiguousarray(table[:, :-1]), labels=table[:, -1])
    if rows.weights is not None and not rows.weights.all():
        rows = rows.take(np.flatnonzero(rows.weights))
    if isinstance(rows.features, Csr):
        draws = np.random.Generator(np.random.Philox(key=seed))
        rows = rows.take(draws.permutation(len(rows)))
    return rows


def _threads(algorithm: LinearLearner, columns: int) -> contextlib.AbstractContextManager[Any]:
    given = algorithm.given
    work = columns * given.mini_batch_size * given.outputs * (given.num_models or 1)
    return one_blas_thread() if work < _LARGE_PRODUCT else contextlib.nullcontext()
