"""Principal component analysis as a scikit-learn estimator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Each
from tidemill.algorithms.pca.components import Components, components
from tidemill.algorithms.pca.hyperparameters import RANDOMIZED, REGULAR, PcaHyperparameters
from tidemill.algorithms.pca.learner import Pca
from tidemill.algorithms.pca.state import PcaState
from tidemill.data.batch import Batch
from tidemill.errors import InvalidData
from tidemill.estimators.base import (
    ClassNamePrefixFeaturesOutMixin,
    Expressive,
    InvalidInput,
    TransformerMixin,
    check_is_fitted,
    one_blas_thread,
    rows_of,
    seed_of,
    side_by_side,
    table_of,
)

Table = NDArray[Any]
_SAMPLE = 1024
_BLOCK = 4096
_TINY, _HUGE = 1e-12, 1e12


class PCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Expressive):  # type: ignore[misc]
    """Principal component analysis: exact in one pass over the rows, or by a sketch of them.

    Parameters
    ----------
    n_components : how many to keep; None for all, a share between 0 and 1 for as many as tell that
        share of the variance
    whiten : whether projections are scaled to variance 1
    algorithm_mode : ``"regular"`` is exact; ``"randomized"`` keeps a sketch where columns are more
        than 2,048, and their products would take more memory and time
    extra_components : directions that a sketch keeps beyond n_components; -1 for as many again
    subtract_mean : whether components are about the mean, or about zero
    random_state : of the directions that a sketch tries; the same number gives the same bytes,
        whatever the number of cores

    Attributes
    ----------
    components_ : (n_components, columns) unit vectors, the strongest first
    explained_variance_, explained_variance_ratio_, singular_values_ : (n_components,)
    mean_ : (columns,) · noise_variance_ : mean variance along the components that are not kept
    n_components_ : how many are kept · n_samples_ : rows seen
    state_ : sums over the rows, which ``partial_fit`` goes on from, and of which ``finalize`` makes
        estimators with other ``n_components``, ``whiten`` or ``subtract_mean``

    Examples
    --------
    >>> rows = np.array([[-1.0, -1], [-2, -1], [-3, -2], [1, 1], [2, 1], [3, 2]])
    >>> pca = PCA(n_components=2).fit(rows)
    >>> pca.explained_variance_ratio_.round(4).tolist()
    [0.9924, 0.0076]
    >>> pca.finalize(n_components=0.9).components_.round(2).tolist()
    [[0.84, 0.54]]
    """

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        whiten: bool = False,
        algorithm_mode: str = REGULAR,
        extra_components: int = -1,
        subtract_mean: bool = True,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.algorithm_mode = algorithm_mode
        self.extra_components = extra_components
        self.subtract_mean = subtract_mean
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the components of these rows, (rows, columns) dense or scipy.sparse."""
        self._check()
        table = table_of(self, X, reset=True, checks_values=False)
        self._check_count(min(table.shape))
        self._seed = seed_of(self.random_state)
        self._show(self._seen(table, X), table.dtype)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Go on with further rows, of any number; after ``fit`` too."""
        self._check()
        first = not hasattr(self, "state_")
        table = table_of(self, X, reset=first, checks_values=False)
        self._check_count(table.shape[1])
        if first:
            self._seed = seed_of(self.random_state)
        state = self._seen(table, X)
        if not first:
            state = self._algorithm(table.shape[1]).merge(self.state_, state)
        self._show(state, table.dtype if first else self.components_.dtype)
        return self

    def transform(self, X: Any) -> Table:
        """(rows, n_components) coordinates along the components."""
        check_is_fitted(self)
        table = table_of(self, X, reset=False, checks_values=False)
        axes = self.components_.T / self._scales() if self.whiten else self.components_.T
        axes = np.asarray(axes, table.dtype)
        projected = self._projected(table, axes)
        if not np.isfinite(projected).all():
            table_of(self, X, reset=False)
        return projected

    def inverse_transform(self, X: Any) -> Table:
        """(rows, columns) the points that have these coordinates."""
        check_is_fitted(self)
        kept = np.asarray(X)
        axes = self.components_ * self._scales()[:, None] if self.whiten else self.components_
        points: Table = kept @ axes + self.mean_
        return points

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _adopt(self, fitted: Self) -> None:
        self._check()
        self._check_count(min(fitted.n_samples_, fitted.n_features_in_))
        self._seed = fitted._seed
        state = self._algorithm(fitted.n_features_in_).reopen(fitted.state_)
        self._show(state, fitted.components_.dtype)

    def _seen(self, table: Any, X: Any) -> PcaState:
        """The state of these rows alone."""
        rows, columns = table.shape
        with side_by_side(rows * columns * columns) as each:
            algorithm = self._algorithm(columns, each)
            try:
                if table.dtype == np.float32 or hasattr(table, "indptr"):
                    return algorithm.update(algorithm.start(), Batch(rows_of(table)))
                return _of_doubles(algorithm, table)
            except InvalidData:
                table_of(self, X, reset=False)  # says it as scikit-learn's tools expect
                raise

    def _algorithm(self, columns: int, each: Each = map) -> Pca:
        count = self.n_components
        given = PcaHyperparameters(
            num_components=count if isinstance(count, int | np.integer) else columns,
            feature_dim=columns,
            algorithm_mode=self.algorithm_mode,
            extra_components=self.extra_components,
            subtract_mean=self.subtract_mean,
        )
        return Pca(given, seed=self._seed, each=each)

    def _show(self, state: PcaState, dtype: Any) -> None:
        """Set what a fitted estimator shows."""
        found = self._found(state)
        shares = found.strengths / (found.squares or 1.0)
        if isinstance(self.n_components, float):
            count = 1 + int(np.searchsorted(np.cumsum(shares[::-1]), self.n_components))
            found = replace(
                found,
                directions=found.directions[:, -count:],
                strengths=found.strengths[-count:],
            )
        self._show_components(found, state, dtype)
        self.state_: PcaState = state

    def _found(self, state: PcaState) -> Components:
        most = min(state.rows, state.columns)
        if state.sketch is not None:
            most = min(most, state.sketch.directions)
        wanted = self.n_components
        count = min(wanted, most) if isinstance(wanted, int | np.integer) else most
        with one_blas_thread():
            return components(state, int(count), subtract_mean=self.subtract_mean)

    def _show_components(self, found: Components, state: PcaState, dtype: Any) -> None:
        rows = max(1.0, state.weight - 1.0)
        strengths = found.strengths[::-1]
        rest = min(state.rows, state.columns) - len(strengths)
        left = max(0.0, found.squares - float(strengths.sum()))
        self.components_: Table = np.ascontiguousarray(found.directions[:, ::-1].T, dtype)
        self.explained_variance_: Table = (strengths / rows).astype(dtype)
        self.explained_variance_ratio_ = (strengths / (found.squares or 1.0)).astype(dtype)
        self.singular_values_ = np.sqrt(strengths).astype(dtype)
        self.mean_ = (state.mean if self.subtract_mean else np.zeros(state.columns)).astype(dtype)
        self.noise_variance_ = left / rows / rest if rest > 0 else 0.0
        self.n_components_ = len(strengths)
        self.n_samples_ = state.rows

    def _scales(self) -> Table:
        """(n_components,) deviations along the components, none of them zero."""
        deviations = np.sqrt(self.explained_variance_)
        least: Table = np.maximum(deviations, np.finfo(deviations.dtype).eps)
        return least

    def _projected(self, table: Any, axes: Table) -> Table:
        mean = self.mean_.astype(table.dtype)
        out = np.empty((table.shape[0], axes.shape[1]), table.dtype)

        def block(at: int) -> None:
            rows = table[at : at + _BLOCK]
            with np.errstate(over="ignore", invalid="ignore"):  # shows in the outcome
                if hasattr(rows, "indptr"):
                    out[at : at + _BLOCK] = rows @ axes - mean @ axes
                else:
                    np.matmul(rows - mean, axes, out=out[at : at + _BLOCK])

        with side_by_side(table.shape[0] * axes.size) as each:
            for _ in each(block, range(0, len(out), _BLOCK)):
                pass
        return out

    def _check(self) -> None:
        """Raise InvalidInput for parameters that cannot work."""
        for name in ("whiten", "subtract_mean"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise InvalidInput(
                    f"PCA: {name} must be True or False",
                    got=getattr(self, name),
                    do=f"Change {name}.",
                )
        if self.algorithm_mode not in (REGULAR, RANDOMIZED):
            raise InvalidInput(
                f"PCA: algorithm_mode must be {REGULAR} or {RANDOMIZED}",
                got=self.algorithm_mode,
                do="Change algorithm_mode.",
            )
        if not isinstance(self.extra_components, int | np.integer) or self.extra_components < -1:
            raise InvalidInput(
                "PCA: extra_components must be an integer of at least -1",
                got=self.extra_components,
                do="Change extra_components.",
            )

    def _check_count(self, most: int) -> None:
        count = self.n_components
        is_share = isinstance(count, float) and 0 < count < 1
        is_number = isinstance(count, int | np.integer) and 1 <= count <= most
        if count is not None and not (is_share or is_number):
            raise InvalidInput(
                f"PCA: n_components must be None, a share between 0 and 1, or from 1 to {most}, "
                "the lesser of n_samples and n_features",
                got=count,
                do="Change n_components, or give more rows.",
            )


def _of_doubles(algorithm: Pca, table: NDArray[np.float64]) -> PcaState:
    """The state of float64 rows: about a point amid them where float32 would lose their digits,
    and in a unit of their size where it could not square them."""
    some = table[:: max(1, len(table) // _SAMPLE)]
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = some.mean(axis=0), some.var(axis=0)
        origin = np.where(mean * mean > spread, mean, 0.0)
        state = algorithm.start()
        unit = 1.0 if state.scatter is None else _unit(float(np.sqrt(spread.max())))
        step = max(_BLOCK, algorithm.batch_rows)
        for at in range(0, len(table), step):
            rows = ((table[at : at + step] - origin) / unit).astype(np.float32)
            state = algorithm.update(state, Batch(rows))
    if unit != 1.0 and state.scatter is not None:
        state = replace(state, mean=state.mean * unit, scatter=state.scatter * unit**2)
    return replace(state, mean=state.mean + origin)


def _unit(size: float) -> float:
    """What to measure numbers of this size in: one, but a power of two for tiny and huge ones."""
    if not np.isfinite(size) or size <= 0 or _TINY < size < _HUGE:
        return 1.0
    return float(2.0 ** np.round(np.log2(size)))
