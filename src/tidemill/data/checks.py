"""Numbers that no algorithm can work with: NaN labels, infinite or missing features."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Batch, Csr, Floats
from tidemill.errors import InvalidData

Name = Callable[[int], str]
"""Row of the batch → how to call it in an error."""


def require_finite(
    batch: Batch, name: Name = lambda row: f"row {row + 1}", *, allows_missing: bool = False
) -> None:
    """Raise InvalidData naming row and column unless labels, weights and features are finite,
    and no weight is below zero.

    allows_missing: features may be NaN too, for missing values. Costs one dot product over the
    batch, unless values are missing.
    """
    for what, array in (("label", batch.labels), ("weight", batch.weights)):
        if array is not None and (found := _first(array)) is not None:
            raise InvalidData(
                f"{name(found[0])}: {what} must be a finite number",
                got=float(array[found]),
                do=f"Drop the row, or give it a {what}.",
            )
    weights = batch.weights
    if weights is not None and weights.size and weights.min() < 0:
        index = tuple(int(i) for i in np.argwhere(weights < 0)[0])
        raise InvalidData(
            f"{name(index[0])}: weight must be 0 or more",
            got=float(weights[index]),
            do="Correct the weight, or drop the row.",
        )
    features = batch.features
    values = features.values if isinstance(features, Csr) else features
    found = _first(values, np.isinf if allows_missing else _is_wrong)
    if found is None:
        return
    row, column, value = _cell(features, found)
    raise InvalidData(
        f"{name(row)}, feature {column + 1}: must be a finite number",
        got=value,
        do="Fill or drop missing values; numbers beyond 3.4e38, float32's last, count as infinite.",
    )


def require_answers(columns: Mapping[str, NDArray[Any]]) -> None:
    """Raise InvalidData when a model answers with NaN or infinity; it costs next to nothing.

    The rows were finite: only numbers so large that float32 could not hold what came of them
    lead there.
    """
    for name, column in columns.items():
        if column.dtype.kind == "f" and (found := _first(column)) is not None:
            raise InvalidData(
                f"row {found[0] + 1}: features must be of a size for which {name} is a finite "
                "number of float32",
                got=float(column[found]),
                do="Scale huge features, in training and here alike.",
            )


def _is_wrong(array: Floats) -> NDArray[np.bool_]:
    return ~np.isfinite(array)


def _first(
    array: Floats, is_wrong: Callable[[Floats], NDArray[np.bool_]] = _is_wrong
) -> tuple[int, ...] | None:
    """Index of the first NaN or infinity."""
    if math.isfinite(np.vdot(array, array)):
        return None
    bad = np.flatnonzero(is_wrong(array))
    if len(bad) == 0:  # finite numbers whose squares are not
        return None
    return tuple(int(i) for i in np.unravel_index(bad[0], array.shape))


def _cell(features: Floats | Csr, found: tuple[int, ...]) -> tuple[int, int, float]:
    if isinstance(features, Csr):
        row = int(np.searchsorted(features.indptr, found[0], side="right")) - 1
        return row, int(features.indices[found[0]]), float(features.values[found[0]])
    return found[0], found[1], float(features[found])
