"""Random cut forest as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.randomcutforest.hyperparameters import RandomCutForestHyperparameters
from tidemill.algorithms.randomcutforest.learner import RandomCutForest as Algorithm
from tidemill.algorithms.randomcutforest.learner import RandomCutForestState
from tidemill.algorithms.randomcutforest.model import RandomCutForestModel
from tidemill.algorithms.randomcutforest.quality import SIGMAS
from tidemill.data.batch import Batch, Floats
from tidemill.estimators.base import (
    BaseEstimator,
    Expressive,
    InvalidInput,
    OutlierMixin,
    check_is_fitted,
    features_of,
    seed_of,
    side_by_side,
)

# Of a column of a box, a step down, and a row in a tree, in operations.
_A_COLUMN, _A_STEP, _A_TREE = 20, 10, 200
_ENOUGH_FOR_THREE_SIGMA = 4096


class RandomCutForest(Expressive, OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Anomalies by random cuts: rows that few of them part from all others score high.

    Columns count by their range: scale those that should count alike, for example with
    ``make_pipeline(StandardScaler(), RandomCutForest())``.

    Parameters
    ----------
    num_trees : trees in the forest
    num_samples_per_tree : rows that each grows from; about 1 / the share of anomalies serves well
    contamination : the share of rows to call outliers; ``"auto"`` calls those so that score more
        than three standard deviations above the mean, as Amazon's built-in does
    random_state : None, a number or a NumPy generator; the same number gives the same bytes,
        whatever the number of cores and the order of rows, as long as the forest holds them all

    Attributes
    ----------
    offset_ : the score, as of ``score_samples``, below which a row is an outlier; from the rows
        that the forest holds, num_trees x num_samples_per_tree at most
    state_ : the algorithm's state, which ``partial_fit`` goes on from

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.arange(50.0).reshape(-1, 1) % 7
    >>> forest = RandomCutForest(random_state=0).fit(rows)
    >>> forest.predict([[3.0], [60.0]])
    array([ 1, -1])
    """

    _seed: int
    n_features_in_: int
    feature_names_in_: Any

    def __init__(
        self,
        num_trees: int = 100,
        num_samples_per_tree: int = 256,
        *,
        contamination: float | Literal["auto"] = "auto",
        random_state: Any = None,
    ) -> None:
        self.num_trees = num_trees
        self.num_samples_per_tree = num_samples_per_tree
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what is usual from these rows, (rows, columns) dense or scipy.sparse."""
        batch = Batch(features_of(self, X, reset=True))
        self._begin()
        algorithm = self._algorithm(batch.columns)
        self._show(algorithm.update(algorithm.start(), batch))
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Go on with further rows, as if they had come with the earlier ones; after ``fit`` too."""
        first = not hasattr(self, "state_")
        batch = Batch(features_of(self, X, reset=first))
        if first:
            self._begin()
        algorithm = self._algorithm(batch.columns)
        state = algorithm.start() if first else algorithm.reopen(self.state_)
        self._show(algorithm.update(state, batch))
        return self

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """(rows,): the scores of the built-in with their sign turned: the lower, the odder."""
        check_is_fitted(self)
        return -self._scores(Batch(features_of(self, X, reset=False))).astype(np.float64)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """(rows,): ``score_samples`` less ``offset_``: below zero is an outlier."""
        shifted: NDArray[np.float64] = self.score_samples(X) - self.offset_
        return shifted

    def predict(self, X: Any) -> NDArray[np.int64]:
        """(rows,): -1 for an outlier, 1 for a row that is not."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _adopt(self, fitted: Self) -> None:
        self._seed = fitted._seed
        self._check()
        self.n_features_in_ = fitted.n_features_in_
        if hasattr(fitted, "feature_names_in_"):
            self.feature_names_in_ = fitted.feature_names_in_
        self._show(self._algorithm(fitted.n_features_in_).reopen(fitted.state_))

    def _begin(self) -> None:
        self._check()
        self._seed = seed_of(self.random_state)

    def _check(self) -> None:
        for name in ("num_trees", "num_samples_per_tree"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                raise InvalidInput(
                    f"RandomCutForest: {name} must be an integer of at least 1",
                    got=value,
                    do=f"Change {name}.",
                )
        share = self.contamination
        is_share = isinstance(share, int | float | np.number) and 0 < share <= 0.5
        if share != "auto" and not is_share:
            raise InvalidInput(
                "RandomCutForest: contamination must be above 0 and at most 0.5, or 'auto'",
                got=share,
                do="Change contamination.",
            )

    def _algorithm(self, columns: int, each: Any = map) -> Algorithm:
        asked = RandomCutForestHyperparameters(
            columns, int(self.num_trees), int(self.num_samples_per_tree)
        )
        return Algorithm(asked, seed=self._seed, each=each)

    def _show(self, state: RandomCutForestState) -> None:
        self.state_ = state
        held, columns = state.sample.ordered().rows, state.sample.columns
        with side_by_side(held.size * _A_COLUMN * _A_STEP) as each:
            self._model: RandomCutForestModel = self._algorithm(columns, each).finalize(state)
        self.offset_ = self._offset(held)

    def _offset(self, held: Floats) -> float:
        """From the rows that the forest holds; they stand in an order as random as their choice."""
        if self.contamination == "auto":
            scores = self._scores(Batch(held[:_ENOUGH_FOR_THREE_SIGMA])).astype(np.float64)
            return -float(scores.mean() + SIGMAS * scores.std())
        return float(np.quantile(-self._scores(Batch(held)).astype(np.float64), self.contamination))

    def _scores(self, batch: Batch) -> Floats:
        a_row = self.num_trees * (_A_TREE + _A_COLUMN * batch.columns)
        with side_by_side(len(batch) * a_row) as each:
            return self._model.scores(batch, each)
