"""Factorization machines: what features weigh, alone and in pairs, learned from sparse rows.

The model is Rendle's ("Factorization machines", 2010). As in SageMaker's container, mini-batches
move it by steps of Adam (Kingma & Ba, 2015) with rates, penalties and beginnings of their own for
bias, linear weights and factors, and a step touches only the features that occur in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tidemill.algorithms.base import Algorithm, Measure
from tidemill.algorithms.factorization_machines import initial, pace, reopening
from tidemill.algorithms.factorization_machines.balance import Balance
from tidemill.algorithms.factorization_machines.hyperparameters import (
    NAME,
    FactorizationMachinesHyperparameters,
)
from tidemill.algorithms.factorization_machines.model import FactorizationModel
from tidemill.algorithms.factorization_machines.quality import Quality, quality
from tidemill.algorithms.factorization_machines.rows import labels_of, training_rows
from tidemill.algorithms.factorization_machines.state import (
    FactorizationState,
    closed,
    factors_of,
    merged,
)
from tidemill.data.batch import Batch
from tidemill.errors import Invalid, InvalidData
from tidemill.kernels.factorization_machines import SEEN, WEIGHT, Trainer, parts, width_of

Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
_AT_ONCE = 8000


class FactorizationMachines(Algorithm[FactorizationState]):
    """Regression and binary classification of sparse rows, pairs of features included.

    seed: of what parameters begin with · each: like ``map``; one that works side by side changes
    no result

    Memory: 4 + 3 x num_factors floats a column. Cost: some ten operations a stored value and
    factor, and a few more for each different feature of a mini-batch.

    >>> ones = np.eye(4, dtype=np.float32)
    >>> rows = np.concatenate([ones[[0, 0, 1, 1]] + ones[[2, 3, 2, 3]]] * 50)
    >>> labels = np.tile(np.array([1, 0, 0, 1], np.float32), 50)  # no linear model can tell
    >>> given = FactorizationMachinesHyperparameters(
    ...     feature_dim=4, num_factors=2, predictor_type="binary_classifier", epochs=5,
    ...     mini_batch_size=20, factors_lr=0.1, factors_init_sigma=0.1)
    >>> machine = FactorizationMachines(given)
    >>> state = machine.start()
    >>> for _ in range(given.epochs):
    ...     state = machine.close_pass(machine.update(state, Batch(rows, labels)))
    >>> machine.finalize(state).predict(Batch(rows[:4]))["predicted_label"]
    array([1, 0, 0, 1])
    """

    exact = False
    fades = True

    def __init__(
        self,
        hyperparameters: FactorizationMachinesHyperparameters,
        *,
        seed: int = 0,
        each: Each = map,
    ) -> None:
        self.given = hyperparameters
        # Several mini-batches at a time: what is done once a batch costs as much as a small one.
        size = hyperparameters.mini_batch_size
        self.batch_rows = size * max(1, _AT_ONCE // size)
        self._seed = seed
        self._each = each
        self._settings = pace.settings(hyperparameters)
        self._trainer: Trainer | None = None

    def start(self) -> FactorizationState:
        return FactorizationState()

    def update(self, state: FactorizationState, batch: Batch) -> FactorizationState:
        if not len(batch):
            return state
        given, seen = self.given, state.rows
        rows, labels, weights = training_rows(given, batch, seen)
        if not len(rows):
            return state
        state = state if state.records is not None else self._begun(state)
        assert state.records is not None
        assert state.bias is not None
        if not seen:
            state.records[:, SEEN] = 0
            state.bias[SEEN] = 0
        paces = pace.paces(given, state, labels, weights)
        scores = self._trainer_for(state).learn(
            state.records, state.bias, rows, labels, weights, given.mini_batch_size,
            self._settings, paces, self._each,
        )  # fmt: skip
        found = quality(scores, labels, weights, given.is_logistic)
        self._check_loss(found)
        return replace(
            state,
            steps=state.steps + len(paces),
            seen=state.seen.merge(found) if state.seen else found,
            rows=seen + len(batch),
        )

    def hold_out(self, state: FactorizationState, batch: Batch) -> FactorizationState:
        """Look whether these rows bear the model out; of use where ``factors_wd`` is ``auto``."""
        if state.records is None or state.bias is None or self.given.factors_wd is not None:
            return state
        rows, labels, weights = training_rows(self.given, batch, 0)
        if not len(rows):
            return state
        linear, pairs = parts(state.records, state.factors, state.bias, rows)
        each = np.ones(len(labels)) if weights is None else weights
        found = Balance.of(linear, pairs, labels, each, is_logistic=self.given.is_logistic)
        return replace(state, held=state.held.merge(found) if state.held else found)

    def merge(self, left: FactorizationState, right: FactorizationState) -> FactorizationState:
        return merged(left, right)

    def finalize(self, state: FactorizationState) -> FactorizationModel:
        if state.records is None or state.bias is None:
            raise InvalidData(
                f"{NAME}: the train channel must have rows",
                got="none",
                do="Check the channel's S3Uri and that its files are not empty.",
            )
        model = FactorizationModel(
            self.given.predictor_type,
            float(state.bias[WEIGHT]),
            np.ascontiguousarray(state.records[:, WEIGHT]),
            np.ascontiguousarray(factors_of(state)),
        )
        for learned in (np.array(model.bias), model.linear, model.factors):
            if not math.isfinite(np.vdot(learned, learned)) and not np.isfinite(learned).all():
                raise self._ran_away("a weight that is not")
        return model

    def reopen(self, state: FactorizationState, *, leads: bool = True) -> FactorizationState:
        """The state with its epochs counted anew, for further columns and fewer factors too."""
        return reopening.reopened(self.given, state, self._seed)

    def faded(self, state: FactorizationState, left: float) -> FactorizationState:
        """Less of a prior: the weights themselves go on from where the last rows left them."""
        return replace(state, past=state.past * left, weight=state.weight * left)

    def evaluate(self, model: FactorizationModel, batch: Batch) -> Quality | None:
        if not len(batch):
            return None
        labels = labels_of(self.given, batch, 0)
        return quality(model.raw(batch), labels, batch.weights, self.given.is_logistic)

    def close_pass(self, state: FactorizationState) -> FactorizationState:
        return closed(state)

    def wants_another_pass(self, state: FactorizationState) -> bool:
        return state.epoch < self.given.epochs

    def progress(self, state: FactorizationState) -> float:
        return min(1.0, state.epoch / self.given.epochs)

    def report(self, state: FactorizationState) -> Mapping[str, Sequence[Measure]]:
        return {"train": state.closed.measures()} if state.closed else {}

    def _begun(self, state: FactorizationState) -> FactorizationState:
        given = self.given
        return replace(
            state,
            records=initial.records(given, self._seed, 0, given.feature_dim),
            bias=initial.bias(given, self._seed),
            factors=given.num_factors,
            is_logistic=given.is_logistic,
        )

    def _trainer_for(self, state: FactorizationState) -> Trainer:
        if self._trainer is None:
            width = width_of(state.factors)
            self._trainer = Trainer(self.given.feature_dim, width, self.given.is_logistic)
        return self._trainer

    def _check_loss(self, found: Quality) -> None:
        if not math.isfinite(found.loss):
            raise self._ran_away(found.loss)

    def _ran_away(self, got: object) -> Invalid:
        given = self.given
        return Invalid(
            f"{NAME}: the training loss must stay a finite number",
            got=f"{got} with bias_lr={given.bias_lr}, linear_lr={given.linear_lr}, "
            f"factors_lr={given.factors_lr}",
            do="Lower the learning rates, or bring features and labels nearer to 1.",
        )
