"""Random cut forest: a uniform sample of the stream is dealt out to trees of random cuts.

Guha, Mishra, Roy & Schrijvers, "Robust random cut forest based anomaly detection on streams"
(ICML 2016). A tree cuts the box about its rows in two, at a column drawn in proportion to the box's
widths and at any place in it alike, and so on until rows stand alone. A row far from the others is
parted from them soon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tidemill.algorithms.base import Algorithm
from tidemill.algorithms.randomcutforest.forest import Each, plant
from tidemill.algorithms.randomcutforest.hyperparameters import (
    NAME,
    RandomCutForestHyperparameters,
)
from tidemill.algorithms.randomcutforest.model import (
    RandomCutForestModel,
    block_rows,
    size_error,
    width_error,
)
from tidemill.algorithms.randomcutforest.quality import ThreeSigma
from tidemill.data.batch import Batch, Floats
from tidemill.errors import Invalid
from tidemill.kernels import sound
from tidemill.kernels.randomcutforest import FARTHEST
from tidemill.stats.reservoir import Reservoir, empty


@dataclass(frozen=True, slots=True)
class RandomCutForestState:
    """A uniform sample of the rows: num_trees x num_samples_per_tree of them, or all so far."""

    sample: Reservoir

    def check(self) -> None:
        sound.require(self.sample.width == 0, "rows have no labels")
        for part in self.sample.parts:
            _sound(part.rows)


class RandomCutForest(Algorithm[RandomCutForestState]):
    """Anomaly scores by a forest of random cut trees, from one pass over the rows.

    seed: of all randomness · each: like ``map``; one that works side by side changes no result

    Memory: num_trees x num_samples_per_tree x feature_dim floats. Cost: of a row in training, next
    to nothing; of a row that is scored, its way down each tree, and the columns of the boxes that
    it is outside of, some 3 to 6 a tree.

    >>> algorithm = RandomCutForest(RandomCutForestHyperparameters(feature_dim=1))
    >>> rows = np.arange(100, dtype=np.float32)[:, None] % 10
    >>> model = algorithm.finalize(algorithm.update(algorithm.start(), Batch(rows)))
    >>> model.predict(Batch(np.array([[5.0], [40.0]], np.float32)))["score"].round(1)
    array([0.8, 5.9], dtype=float32)
    """

    exact = False

    def __init__(
        self,
        hyperparameters: RandomCutForestHyperparameters,
        *,
        seed: int = 0,
        each: Each = map,
    ) -> None:
        self.hyperparameters = hyperparameters
        self._most = hyperparameters.num_trees * hyperparameters.num_samples_per_tree
        self._seed = seed
        self._each = each

    def start(self) -> RandomCutForestState:
        return RandomCutForestState(empty(self._most, self.hyperparameters.feature_dim))

    def update(self, state: RandomCutForestState, batch: Batch) -> RandomCutForestState:
        self._check_width(batch.columns)
        sample = state.sample
        for part in batch.split(block_rows(batch.columns)):
            rows = _sound(part.dense())
            sample = sample.add(rows, np.empty((len(rows), 0), np.float32), self._seed)
        return replace(state, sample=sample)

    def merge(
        self, left: RandomCutForestState, right: RandomCutForestState
    ) -> RandomCutForestState:
        return RandomCutForestState(left.sample.merge(right.sample))

    def finalize(self, state: RandomCutForestState) -> RandomCutForestModel:
        asked, sample = self.hyperparameters, state.sample
        if not len(sample):
            raise Invalid(
                f"{NAME}: a forest grows from one row or more",
                got="no rows",
                do="Look into the train channel: its objects hold no rows.",
            )
        size = min(asked.num_samples_per_tree, len(sample))
        rows = sample.ordered().rows
        return RandomCutForestModel(
            *plant(rows, asked.num_trees, size, self._seed, self._each), size
        )

    def reopen(self, state: RandomCutForestState, *, leads: bool = True) -> RandomCutForestState:
        """The sample, for more or fewer rows than it had: fewer are what they would have been, more
        come with the rows to come."""
        columns = state.sample.columns
        if columns != self.hyperparameters.feature_dim:
            raise Invalid(
                f"{NAME}: feature_dim must be {columns}, as in the earlier training",
                got=self.hyperparameters.feature_dim,
                do="Change feature_dim, or train anew.",
            )
        if not leads:
            return self.start()
        return replace(state, sample=state.sample.reopened().resized(self._most))

    def evaluate(self, model: RandomCutForestModel, batch: Batch) -> ThreeSigma | None:
        self._check_width(batch.columns)
        if batch.labels is None:
            return None
        scores = model.scores(batch, self._each)
        return ThreeSigma.of(scores, batch.labels, self.hyperparameters.eval_metrics)

    def _check_width(self, columns: int) -> None:
        if columns != self.hyperparameters.feature_dim:
            raise width_error(self.hyperparameters.feature_dim, columns)


def _sound(rows: Floats) -> Floats:
    # NaN is not within.
    if rows.size and not max(-float(rows.min()), float(rows.max())) <= FARTHEST:
        raise size_error(rows)
    return rows
