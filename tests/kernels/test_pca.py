"""Products of sparse rows: what a dense product gives, and nothing beyond the table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tidemill.errors import InvalidData
from tidemill.kernels.pca import check_rows, scatter

COLUMNS = 9
ROWS = st.lists(
    st.lists(st.tuples(st.integers(0, COLUMNS - 1), st.floats(-4, 4, width=32)), max_size=12),
    max_size=8,
)


@given(rows=ROWS, is_weighted=st.booleans(), cut=st.integers(0, COLUMNS))
def test_parts_of_the_table_are_those_of_a_dense_product(
    rows: list[list[tuple[int, float]]], is_weighted: bool, cut: int
) -> None:
    indptr = np.cumsum([0, *(len(row) for row in rows)])
    indices = np.array([place for row in rows for place, _ in row], np.int64)
    values = np.array([value for row in rows for _, value in row], np.float32)
    weights = np.arange(len(rows), dtype=np.float32) if is_weighted else None
    check_rows(indptr, indices, len(values), COLUMNS)
    dense = np.zeros((len(rows), COLUMNS))
    np.add.at(dense, (np.repeat(np.arange(len(rows)), np.diff(indptr)), indices), values)
    heavy = dense if weights is None else dense * weights[:, None]
    wanted = np.tril(dense.T @ heavy)
    table = np.zeros((COLUMNS, COLUMNS))
    scatter(indptr, indices, values, weights, table, (0, cut))
    assert_allclose(table, np.where(np.arange(COLUMNS)[:, None] < cut, wanted, 0), atol=1e-9)
    scatter(indptr, indices, values, weights, table, (cut, COLUMNS + 5))
    assert_allclose(table, wanted, atol=1e-9)


@pytest.mark.parametrize(
    ("indptr", "indices"),
    [
        ([0, 2], [0, 9]),
        ([0, 2], [-1, 0]),
        ([0, 3], [0, 1]),
        ([1, 2], [0, 1]),
        ([0, 2, 1, 2], [0, 1]),
        ([0], [0, 1]),
        ([], [0, 1]),
        ([0, 2], [0]),
    ],
)
def test_what_points_beyond_is_refused(indptr: list[int], indices: list[int]) -> None:
    with pytest.raises(InvalidData, match="at columns from 0 to 8"):
        check_rows(np.array(indptr, np.int64), np.array(indices, np.int64), 2, COLUMNS)


def test_a_table_or_weights_of_another_size_are_refused() -> None:
    indptr, indices, values = np.array([0, 1]), np.array([0]), np.ones(1, np.float32)
    for table, weights in (
        (np.zeros((3, 4)), None),
        (np.zeros((3, 3)), np.ones(2, np.float32)),
    ):
        with pytest.raises(ValueError, match="no room for 1 rows"):
            scatter(indptr, indices, values, weights, table, (0, 3))
