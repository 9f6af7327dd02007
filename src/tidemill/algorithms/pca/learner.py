"""Principal components of a stream, from sums that add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tidemill.algorithms.base import Algorithm, Each
from tidemill.algorithms.pca.components import components
from tidemill.algorithms.pca.hyperparameters import RANDOMIZED, REGULAR, PcaHyperparameters
from tidemill.algorithms.pca.model import PcaEvaluation, PcaModel, evaluated
from tidemill.algorithms.pca.rows import centred, check, is_sparse, positive, weight_of
from tidemill.algorithms.pca.scatter import add_outer, add_products
from tidemill.algorithms.pca.state import PcaState, empty, merged, moved
from tidemill.data.batch import Batch
from tidemill.errors import Invalid, InvalidData, InvalidHyperparameter, amount

_ROOM, _ROOM_OF_A_SKETCH = 64 << 20, 128 << 20
_UNIT = 4096
_MOST_ROWS = 32_768
_USUAL_ROWS = 5_000
_BLOCK, _SPARSE_BLOCK = 4096, 32_768
# A table of so many columns squared takes 32 MB, and is filled faster than a sketch is made.
_FEW_COLUMNS = 2048
_MOST_COLUMNS = 32_768
_MOST_SQUARES = 1e37


class Pca(Algorithm[PcaState]):
    """Principal component analysis in one pass, exact or by a sketch.

    Regular mode adds up the products of every two columns about the mean, and is exact to the
    rounding of float32 rows: a component with less than some millionth of the variance of the
    first is lost in it. Randomized mode keeps ``num_components + extra_components`` directions
    instead; below 2,048 columns it is exact too, for there the products take less than a sketch.

    seed: of the directions that a sketch tries · each: like ``map``; one that works side by side
    changes no result

    Memory: 8 x columns x columns bytes, or 8 x columns x directions of a sketch. Cost: rows x
    columns x columns flops, or 6 x rows x columns x 1.2 x directions.

    >>> algorithm = Pca(PcaHyperparameters(num_components=1, feature_dim=2))
    >>> rows = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], np.float32)
    >>> model = algorithm.finalize(algorithm.update(algorithm.start(), Batch(rows)))
    >>> model.predict(Batch(rows))["projection"].ravel().round(3)
    array([-1.414,  0.   ,  1.414], dtype=float32)
    """

    def __init__(
        self, hyperparameters: PcaHyperparameters, *, seed: int = 0, each: Each = map
    ) -> None:
        self.hyperparameters = hyperparameters
        columns, count = hyperparameters.feature_dim, hyperparameters.num_components
        if columns is not None and count > columns:
            raise InvalidHyperparameter(
                f"pca: num_components must be from 1 to {columns}, the number of columns "
                "(feature_dim)",
                got=count,
                do="Lower num_components, or train on wider rows.",
            )
        self.batch_rows = max(hyperparameters.mini_batch_size or 1, _batch_rows(hyperparameters))
        self.exact = hyperparameters.algorithm_mode == REGULAR
        self._seed = seed
        self._each = each

    def start(self) -> PcaState:
        return self._empty(self.hyperparameters.feature_dim or 0)

    def update(self, state: PcaState, batch: Batch) -> PcaState:
        columns = self.hyperparameters.feature_dim or state.columns
        if columns and batch.columns != columns:
            raise InvalidData(
                f"pca: rows must have {amount(columns, 'feature')}, "
                "as feature_dim or the first rows say",
                got=amount(batch.columns, "feature"),
                do="Set feature_dim to the width of the rows, or send rows of that width.",
            )
        batch = positive(batch)
        if len(batch) == 0:
            return state
        state = state if state.columns else self._empty(batch.columns)
        if state.sketch is None:
            return self._added(state, batch)
        # The first directions are found from few rows, for those take more steps.
        state = self._sketched(state, batch.rows(0, _BLOCK))
        rest = batch.rows(min(_BLOCK, len(batch)), len(batch))
        for part in rest.split(_SPARSE_BLOCK if is_sparse(rest.features) else _BLOCK):
            state = self._sketched(state, part)
        return state

    def merge(self, left: PcaState, right: PcaState) -> PcaState:
        return merged(left, right)

    def finalize(self, state: PcaState) -> PcaModel:
        given = self.hyperparameters
        self._check_kept(state)
        found = components(state, given.num_components, subtract_mean=given.subtract_mean)
        return PcaModel(
            np.ascontiguousarray(found.directions, np.float32),
            np.sqrt(found.strengths).astype(np.float32),
            state.mean.astype(np.float32) if given.subtract_mean else None,
        )

    def reopen(self, state: PcaState, *, leads: bool = True) -> PcaState:
        """The sums as they are, or none of them: merging adds them up.

        Any number of components, about the mean or about zero, can be made of the exact sums; of a
        sketch, as many as it kept.
        """
        given = self.hyperparameters
        if state.columns and (given.feature_dim or state.columns) != state.columns:
            raise Invalid(
                f"pca: feature_dim must be {state.columns}, as in the earlier training",
                got=given.feature_dim,
                do="Change feature_dim, or train anew.",
            )
        if state.sketch is not None and given.algorithm_mode == REGULAR:
            raise Invalid(
                "pca: algorithm_mode must be randomized, as in the earlier training, whose sketch "
                "does not have the sums that regular mode goes on from",
                got=REGULAR,
                do="Set algorithm_mode to randomized, or train anew.",
            )
        self._check_kept(state)
        if leads:
            return state
        return empty(state.columns, state.sketch.directions if state.sketch else None)

    def evaluate(self, model: PcaModel, batch: Batch) -> PcaEvaluation:
        return evaluated(model, batch)

    def _empty(self, columns: int) -> PcaState:
        given = self.hyperparameters
        if given.algorithm_mode == RANDOMIZED and columns > _FEW_COLUMNS:
            return empty(columns, given.directions)
        if columns > _MOST_COLUMNS:
            raise Invalid(
                f"pca: in regular mode rows must have at most {_MOST_COLUMNS} features, for their "
                "products take 8 GB",
                got=columns,
                do="Set algorithm_mode to randomized.",
            )
        return empty(columns, None)

    def _check_kept(self, state: PcaState) -> None:
        count = self.hyperparameters.num_components
        if state.sketch is not None and count > state.sketch.directions:
            raise Invalid(
                f"pca: num_components must be from 1 to {state.sketch.directions}, the directions "
                "that the earlier training's sketch kept",
                got=count,
                do="Lower num_components, or train anew with more extra_components.",
            )

    def _added(self, state: PcaState, batch: Batch) -> PcaState:
        table = state.scatter
        assert table is not None
        origin, sums = add_products(table, batch, self._each)
        check(batch, np.append(table.diagonal(), sums))
        weight = weight_of(batch)
        after, between = moved(state, len(batch), weight, origin + sums / weight)
        # The products are about the origin: what that is off the batch's mean is taken back.
        add_outer(table, np.stack([sums / np.sqrt(weight), between]), np.array([-1.0, 1.0]))
        return after

    def _sketched(self, state: PcaState, batch: Batch) -> PcaState:
        assert state.sketch is not None
        with np.errstate(over="ignore", invalid="ignore"):
            rows, mean = centred(batch)
        check(batch, np.append(mean, rows.squares if rows.squares < _MOST_SQUARES else np.inf))
        after, between = moved(state, len(batch), weight_of(batch), mean)
        sketch = state.sketch.absorb(rows, lambda: self._draws(state.rows), self._each)
        return replace(after, sketch=sketch.add(between[None].astype(np.float32)))

    def _draws(self, counter: int) -> np.random.Generator:
        # The counter's highest word, for the generator itself counts in the lowest.
        return np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, 0, counter]))


def _batch_rows(given: PcaHyperparameters) -> int:
    """Rows that are read at once: the more, the less often table or sketch are gone through."""
    columns = given.feature_dim
    if columns is None:
        return _USUAL_ROWS
    room = _ROOM if given.algorithm_mode == REGULAR else _ROOM_OF_A_SKETCH
    rows = min(_MOST_ROWS, room // (4 * columns))
    return max(1, rows // _UNIT * _UNIT or rows)
