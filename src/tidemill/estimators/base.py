"""What the estimators share: arrays as batches, data in memory as a channel, work side by side."""

from __future__ import annotations

import contextlib
import functools
import os
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Batch, Csr, Floats
from tidemill.data.cursor import START, Cursor
from tidemill.errors import Invalid, Missing

try:
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        ClusterMixin,
        OutlierMixin,
        RegressorMixin,
        TransformerMixin,
        clone,
    )
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
    from threadpoolctl import ThreadpoolController
except ImportError as error:
    raise Missing(
        "the estimators need scikit-learn", got=str(error), do="pip install 'tidemill[sklearn]'"
    ) from error

# From here, and not from scikit-learn, so that its absence is told of in one place.
__all__ = [
    "BaseEstimator",
    "ClassNamePrefixFeaturesOutMixin",
    "ClassifierMixin",
    "ClusterMixin",
    "Expressive",
    "InMemory",
    "InvalidInput",
    "OutlierMixin",
    "RegressorMixin",
    "TransformerMixin",
    "available_if",
    "check_classification_targets",
    "check_is_fitted",
    "distinct",
    "features_and_target_of",
    "features_of",
    "one_blas_thread",
    "rows_of",
    "seed_of",
    "side_by_side",
    "table_of",
    "weights_of",
]
_LITTLE_WORK = 1e8


class InvalidInput(Invalid):
    """Input, or a parameter, that can never work."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """Rows in memory as a channel: batches of ``batch_rows``, in the same order in every pass."""

    rows: Batch
    batch_rows: int

    def read(self, pass_: int, start: Cursor = START) -> Iterator[tuple[Batch, Cursor]]:
        for at in range(start.offset, len(self.rows), self.batch_rows):
            stop = min(at + self.batch_rows, len(self.rows))
            yield self.rows.rows(at, stop), Cursor(offset=stop)


class Expressive(BaseEstimator):  # type: ignore[misc]
    """A fitted estimator makes others of its state, without its data.

    One that derives from this says in ``_adopt`` how a new one with other parameters becomes
    fitted from an earlier one: ``state_``, and whatever fitting shows that needs no rows. What
    scikit-learn remembers of the columns is taken along here.
    """

    def finalize(self, **parameters: Any) -> Self:
        """A fitted estimator with these parameters changed, made from ``state_`` alone.

        Raises Invalid where the state cannot tell what other parameters would have given.
        """
        check_is_fitted(self, "state_")
        other: Self = clone(self).set_params(**parameters)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(other, name, getattr(self, name))
        other._adopt(self)
        return other

    @abstractmethod
    def _adopt(self, fitted: Self) -> None: ...


def features_of(
    estimator: Any, X: Any, *, reset: bool, allows_missing: bool = False
) -> Floats | Csr:
    """X checked by scikit-learn's rules, as float32 rows; a scipy.sparse X as Csr.

    reset: whether this X decides ``n_features_in_`` (fit) or must agree with it (predict).
    allows_missing: whether values may be NaN
    """
    checked = validate_data(
        estimator, X, reset=reset, accept_sparse="csr", dtype=np.float32, order="C",
        ensure_all_finite="allow-nan" if allows_missing else True,
    )  # fmt: skip
    return _rows(checked)


def table_of(estimator: Any, X: Any, *, reset: bool, checks_values: bool = True) -> Any:
    """X checked by scikit-learn's rules, of its own float type: an array, or a scipy.sparse CSR.

    reset: as of ``features_of`` · checks_values: whether values must be finite; it takes a pass
    """
    return validate_data(
        estimator, X, reset=reset, accept_sparse="csr", dtype=[np.float64, np.float32], order="C",
        ensure_all_finite=checks_values,
    )  # fmt: skip


def rows_of(checked: Any) -> Floats | Csr:
    """A checked X as float32 rows; a scipy.sparse one as Csr."""
    return _rows(checked.astype(np.float32, copy=False))


def features_and_target_of(
    estimator: Any, X: Any, y: Any, *, reset: bool, numeric: bool, allows_missing: bool = False
) -> tuple[Floats | Csr, NDArray[Any]]:
    """X and y checked together: the rows as of ``features_of``, and (rows,) of y's own type.

    numeric: whether y must be numbers · allows_missing: whether values of X may be NaN
    """
    checked, target = validate_data(
        estimator, X, y, reset=reset, accept_sparse="csr", dtype=np.float32, order="C",
        y_numeric=numeric, ensure_all_finite="allow-nan" if allows_missing else True,
    )  # fmt: skip
    return _rows(checked), target


def _rows(checked: Any) -> Floats | Csr:
    if not hasattr(checked, "indptr"):
        return checked  # type: ignore[no-any-return]
    return Csr(
        checked.indptr.astype(np.int64),
        checked.indices.astype(np.int64),
        checked.data,
        checked.shape[1],
    )


def weights_of(sample_weight: Any, rows: int) -> Floats | None:
    """(rows,) float32 weights, or None where all rows weigh one."""
    if sample_weight is None:
        return None
    weights: Floats = _check_sample_weight(
        sample_weight, np.empty((rows, 1), np.float32), ensure_non_negative=True
    )
    if not weights.any():
        raise InvalidInput(
            "at least one row must weigh more than zero",
            got="sample_weight of zeros",
            do="Leave sample_weight out, or give a positive one.",
        )
    return weights


def distinct(rows: Batch) -> Batch:
    """The different rows in order, each with the weight of all that equal it; none weighs zero.

    What is learned from these can depend neither on the order of the rows nor on whether a row
    comes twice or weighs two. Sorts: for small data.
    """
    weights = np.ones(len(rows)) if rows.weights is None else rows.weights.astype(np.float64)
    features, which = np.unique(rows.dense()[weights > 0], axis=0, return_inverse=True)
    total = np.bincount(which.ravel(), weights[weights > 0], len(features))
    return Batch(features, weights=total.astype(np.float32))


def seed_of(random_state: Any) -> int:
    """The seed that scikit-learn's ``random_state`` stands for: None, a number or a generator."""
    if isinstance(random_state, np.random.RandomState | np.random.Generator):
        draw = getattr(random_state, "integers", None) or random_state.randint  # type: ignore[union-attr]
        return int(draw(0, 2**31 - 1))
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(random_state)


def one_blas_thread() -> contextlib.AbstractContextManager[Any]:
    """Within it, matrix products run on one core: handing over small ones costs more than it
    saves, and on a busy machine many times more."""
    limit: contextlib.AbstractContextManager[Any] = _blas().limit(limits=1, user_api="blas")
    return limit


@contextlib.contextmanager
def side_by_side(operations: float) -> Iterator[Callable[..., Iterable[Any]]]:
    """A ``map`` that uses all cores for this many operations; little work is done in turn.

    Each core runs its own single-threaded matrix products, so that what stands between these runs
    in parallel too. Results come in order: they do not depend on the number of cores.
    """
    cores = len(os.sched_getaffinity(0))
    with one_blas_thread():
        if cores == 1 or operations < _LITTLE_WORK:
            yield map
            return
        with ThreadPoolExecutor(cores) as pool:
            yield functools.partial(_in_order, pool, 2 * cores)


def _in_order(
    pool: ThreadPoolExecutor, ahead: int, work: Callable[[Any], Any], items: Iterable[Any]
) -> Iterator[Any]:
    """Unlike the pool's own map, keeps no more than ``ahead`` results waiting."""
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()
