"""What both estimators of factorization machines do: train on data in memory as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.factorization_machines.hyperparameters import (
    REGRESSOR,
    FactorizationMachinesHyperparameters,
)
from tidemill.algorithms.factorization_machines.learner import FactorizationMachines
from tidemill.algorithms.factorization_machines.model import FactorizationModel
from tidemill.algorithms.factorization_machines.state import FactorizationState
from tidemill.data.batch import Batch, Csr, Floats, to_csr
from tidemill.data.checks import require_answers
from tidemill.data.cursor import START, Cursor
from tidemill.estimators.base import (
    BaseEstimator,
    Expressive,
    InvalidInput,
    check_is_fitted,
    distinct,
    features_of,
    seed_of,
    side_by_side,
)
from tidemill.estimators.column_scaling import ColumnScaling
from tidemill.kernels.factorization_machines import WORTH_SHARING
from tidemill.training.loop import Position, Rows, fit

Doubles = NDArray[np.float64]
Auto = Literal["auto"]
_SMALL, _SMALL_TABLE = 4096, 4096 * 256
_EPOCHS, _STEPS, _MOST_EPOCHS = 8, 250, 200
_LARGEST = 1000
_MANY, _FEWEST_HELD, _MOST_HELD = 10_000, 1000, 5000
_UNIT, _BLOCK = 1 << 16, 1 << 13
_CALM = 3
"""By what the learning rate of further rows is lower: it does not fall over the epochs."""


class MachineEstimator(Expressive, BaseEstimator):  # type: ignore[misc]
    """What both estimators do alike; the parameters are told of in each."""

    _kind = REGRESSOR

    def __init__(
        self,
        n_factors: int = 16,
        *,
        learning_rate: float = 0.03,
        wd: float | Auto = "auto",
        epochs: int | Auto = "auto",
        batch_size: int | Auto = "auto",
        init_sigma: float = 0.05,
        random_state: Any = None,
    ) -> None:
        self.n_factors = n_factors
        self.learning_rate = learning_rate
        self.wd = wd
        self.epochs = epochs
        self.batch_size = batch_size
        self.init_sigma = init_sigma
        self.random_state = random_state

    @property
    def factors_(self) -> Doubles:
        """(columns, n_factors): their products are the weights of products of raw columns."""
        root = math.sqrt(self._unit())
        factors: Doubles = self.model_.factors.astype(np.float64)
        return factors * self.scaling_.scale[:, None] * root

    @property
    def coef_(self) -> Doubles:
        """(columns,) weights of raw columns, beside those of their products."""
        own = self.scaling_
        factors = self.model_.factors * own.scale[:, None]
        moved = (factors * factors).sum(axis=1) * own.shift - factors @ (own.shift @ factors)
        coef: Doubles = (self.model_.linear * own.scale + moved) * self._unit()
        return coef

    @property
    def intercept_(self) -> float:
        """The score of a row of zeros."""
        zeros = np.zeros((1, len(self.scaling_.scale)), np.float32)
        return float(self._scores_of(zeros)[0])

    def _fit(self, batch: Batch, bias: float) -> None:
        """Train on rows with labels as the algorithm takes them, and set what fitting shows."""
        self._check()
        self._seed = seed_of(self.random_state)
        batch, self.scaling_ = _prepared(batch)
        rows = len(batch)
        size = _size(self.batch_size, rows)
        epochs = _epochs(self.epochs, -(-rows // size))
        given = self._given(
            batch.columns, size, epochs, bias_init_value=bias, use_lr_scheduler=True
        )
        weight = rows if batch.weights is None else float(batch.weights.sum(dtype=np.float64))
        # How long a pass is, is known already.
        start = FactorizationState(share=rows, weight=weight)
        unit = size * max(1, _UNIT // size)
        train, held_out = _streams(batch, unit, epochs // 2, self._seed)
        with side_by_side(_operations(batch, size, given)) as each:
            algorithm = FactorizationMachines(given, seed=self._seed, each=each)
            state = fit(algorithm, train, held_out=held_out, resume=Position(start))
        self._show(algorithm, state)
        self.n_iter_ = epochs

    def _go_on(self, batch: Batch, bias: float) -> None:
        first = not hasattr(self, "state_")
        self._check()
        if first:
            self._seed = seed_of(self.random_state)
            self.scaling_ = ColumnScaling.of(batch)
        batch = replace(batch, features=self.scaling_.apply(batch.features))
        size = min(len(batch), _LARGEST) if self.batch_size == "auto" else int(self.batch_size)
        given = self._given(batch.columns, size, 1, bias_init_value=bias)
        rate = self.learning_rate / _CALM
        given = replace(given, linear_lr=rate, factors_lr=rate)
        with side_by_side(_operations(batch, size, given)) as each:
            algorithm = FactorizationMachines(given, seed=self._seed, each=each)
            state = algorithm.start() if first else algorithm.reopen(self.state_)
            state = algorithm.close_pass(algorithm.update(state, batch))
        self._show(algorithm, state)
        self.n_iter_ = 1 if first else self.n_iter_ + 1

    def _given(
        self, columns: int, size: int, epochs: int, **more: Any
    ) -> FactorizationMachinesHyperparameters:
        wd = None if self.wd == "auto" else self.wd
        return FactorizationMachinesHyperparameters(
            feature_dim=columns,
            num_factors=self.n_factors,
            predictor_type=self._kind,
            epochs=epochs,
            mini_batch_size=size,
            bias_lr=self.learning_rate,
            linear_lr=self.learning_rate,
            factors_lr=self.learning_rate,
            bias_wd=0.0,
            linear_wd=wd,
            factors_wd=wd,
            bias_init_method="constant",
            linear_init_method="constant",
            factors_init_method="uniform",  # of the same deviation; drawn in a third of the time
            factors_init_scale=math.sqrt(3) * self.init_sigma,
            **more,
        )

    def _show(self, algorithm: FactorizationMachines, state: FactorizationState) -> None:
        """Set what a fitted estimator shows."""
        self.state_ = state
        self.model_: FactorizationModel = algorithm.finalize(state)

    def _adopt(self, fitted: Self) -> None:
        """Fewer factors of a fitted one: those that keep most of what it knows of pairs."""
        self._check()
        given = self._given(fitted.model_.columns, 1, 1)
        algorithm = FactorizationMachines(given, seed=fitted._seed)
        for name, value in vars(fitted).items():
            if name.endswith("_") or name == "_seed":
                setattr(self, name, value)
        self._show(algorithm, algorithm.reopen(_copied(fitted.state_)))

    def _scores(self, X: Any) -> Doubles:
        check_is_fitted(self)
        return self._scores_of(features_of(self, X, reset=False))

    def _scores_of(self, features: Floats | Csr) -> Doubles:
        """(rows,) in the labels' unit."""
        parts = [
            self.model_.raw(Batch(self.scaling_.apply(block.features)))
            for block in Batch(features).split(_BLOCK)
        ]
        raw = np.concatenate(parts)
        require_answers({"scores": raw})
        return raw.astype(np.float64) * self._unit() + self._middle()

    def _unit(self) -> float:
        return 1.0

    def _middle(self) -> float:
        return 0.0

    def _check(self) -> None:
        """Raise InvalidInput for parameters that cannot work."""
        for name, low, words in (
            ("n_factors", 1, ()),
            ("learning_rate", 0, ()),
            ("wd", 0, ("auto",)),
            ("epochs", 1, ("auto",)),
            ("batch_size", 1, ("auto",)),
            ("init_sigma", 0, ()),
        ):
            value = getattr(self, name)
            if isinstance(value, str) and value in words:
                continue
            if not isinstance(value, int | float | np.number) or not value >= low:
                raise InvalidInput(
                    f"{type(self).__name__}: {name} must be at least {low}"
                    + "".join(f", or {word!r}" for word in words),
                    got=value,
                    do=f"Change {name}.",
                )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _prepared(batch: Batch) -> tuple[Batch, ColumnScaling]:
    """Scaled rows that all weigh something; of few, the different ones in order, so that weights
    are the same as repetitions."""
    if len(batch) <= _SMALL and len(batch) * batch.columns <= _SMALL_TABLE:
        assert batch.labels is not None
        few = distinct(Batch(np.column_stack([batch.dense(), batch.labels]), weights=batch.weights))
        table = few.dense()
        dense = np.ascontiguousarray(table[:, :-1])
        # Sparse columns are scaled in a way of their own.
        features = to_csr(dense) if isinstance(batch.features, Csr) else dense
        batch = replace(few, features=features, labels=table[:, -1].copy())
    elif batch.weights is not None and not batch.weights.all():
        batch = batch.take(np.flatnonzero(batch.weights))
    scaling = ColumnScaling.of(batch)
    return replace(batch, features=scaling.apply(batch.features)), scaling


@dataclass(frozen=True, slots=True)
class _Parts:
    """Batches in the same order in every pass; from some pass on, others."""

    first: Sequence[Batch]
    passes: int = 0
    then: Sequence[Batch] = ()

    def read(self, pass_: int, start: Cursor = START) -> Iterator[tuple[Batch, Cursor]]:
        parts = self.first if pass_ < self.passes else self.then
        for at in range(start.offset, len(parts)):
            yield parts[at], Cursor(offset=at + 1)


def _streams(batch: Batch, unit: int, passes: int, seed: int) -> tuple[Rows, Rows | None]:
    """The rows in random order, the same in every pass, for gathering sparse ones costs as much as
    learning from them. Of many, a few are held out in the first passes."""
    draws, rows = np.random.Generator(np.random.Philox(key=seed)), len(batch)
    order = draws.permutation(rows)
    held = min(max(rows // 50, _FEWEST_HELD), _MOST_HELD) if rows >= _MANY else 0
    # Parts are gathered one by one, for what they leave behind then stays in the cache.
    parts = [batch.take(order[at : at + unit]) for at in range(held, rows, unit)]
    if not held:
        return _Parts((), then=parts), None
    few = [batch.take(order[:held])]
    return _Parts(parts, passes, few + parts), _Parts(few, passes)


def _operations(batch: Batch, size: int, given: FactorizationMachinesHyperparameters) -> float:
    """Of all steps, as far as cores could share them; none where mini-batches are too small."""
    stored = batch.features.values.size if isinstance(batch.features, Csr) else batch.features.size
    work = stored * given.num_factors * 10.0 * given.epochs
    return work if stored * size / len(batch) * given.num_factors > WORTH_SHARING else 0.0


def _epochs(epochs: int | Auto, steps: int) -> int:
    if epochs != "auto":
        return int(epochs)
    return min(_MOST_EPOCHS, max(_EPOCHS, -(-_STEPS // steps)))


def _size(size: int | Auto, rows: int) -> int:
    return int(np.clip(rows // 30, 16, _LARGEST)) if size == "auto" else int(size)


def _copied(state: FactorizationState) -> FactorizationState:
    assert state.records is not None
    assert state.bias is not None
    return replace(state, records=state.records.copy(), bias=state.bias.copy())
