from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tidemill.data.batch import Batch, Csr, concatenate, floats, to_csr

TABLES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(0, 9), st.integers(1, 5)),
    elements=st.sampled_from([0.0, 0.0, 1.5, -2.0]),
)


@given(TABLES)
def test_sparse_and_dense_say_the_same(table: Any) -> None:
    sparse = to_csr(table)
    assert sparse.shape == table.shape
    np.testing.assert_array_equal(sparse.to_dense(), table)


@given(TABLES, st.data())
def test_sparse_rows_are_cut_and_taken_like_dense_ones(table: Any, data: st.DataObject) -> None:
    sparse = Batch(to_csr(table), table[:, 0])
    start = data.draw(st.integers(0, len(table)))
    stop = data.draw(st.integers(start, len(table)))
    np.testing.assert_array_equal(sparse.rows(start, stop).dense(), table[start:stop])
    order = np.array(data.draw(st.lists(st.integers(0, max(0, len(table) - 1)))), np.int64)
    if len(table):
        taken = sparse.take(order)
        np.testing.assert_array_equal(taken.dense(), table[order])
        np.testing.assert_array_equal(taken.labels, table[order, 0])


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=5))
def test_batches_of_both_kinds_are_joined(kinds: list[tuple[bool, int]]) -> None:
    tables = [np.eye(rows, 4, dtype=np.float32) for _, rows in kinds]
    batches = [
        Batch(to_csr(table) if is_sparse else table, table[:, 0], table[:, 1])
        for (is_sparse, _), table in zip(kinds, tables, strict=True)
    ]
    joined = concatenate(batches)
    np.testing.assert_array_equal(joined.dense(), np.concatenate(tables))
    np.testing.assert_array_equal(joined.weights, np.concatenate(tables)[:, 1])
    assert isinstance(joined.features, Csr) == any(is_sparse for is_sparse, _ in kinds)


def test_rows_without_weights_weigh_one_beside_rows_with() -> None:
    rows = np.zeros((2, 1), np.float32)
    joined = concatenate([Batch(rows), Batch(rows, weights=np.array([3, 4], np.float32))])
    assert joined.weights is not None
    assert joined.weights.tolist() == [1, 1, 3, 4]


def test_groups_go_with_their_rows() -> None:
    batch = Batch(np.zeros((4, 1), np.float32), groups=np.array([7, 7, 8, 9]))
    again = concatenate([batch.rows(0, 3), batch.take(np.array([3, 0]))])
    assert again.groups is not None
    assert again.groups.tolist() == [7, 7, 8, 9, 7]


def test_entries_stored_twice_are_added_up() -> None:
    twice = Csr(np.array([0, 2]), np.array([1, 1]), np.array([2, 3], np.float32), 2)
    assert twice.to_dense().tolist() == [[0, 5]]


def test_floats_copies_only_when_it_must() -> None:
    table = np.zeros((2, 3), np.float32)
    assert floats(table) is table
    unaligned = np.frombuffer(b"x" + table.tobytes(), np.uint8)[1:].view(np.float32)
    assert floats(unaligned).flags.aligned
    assert floats(np.array([1e300])).tolist() == [np.inf]


@given(TABLES, st.data())
def test_dense_rows_are_taken_with_all_that_belongs_to_them(
    table: Any, data: st.DataObject
) -> None:
    rows = Batch(table, table[:, :2] + 1, table[:, 0] + 2)
    numbers = st.lists(st.integers(0, max(0, len(table) - 1)), max_size=12 if len(table) else 0)
    order = np.array(data.draw(numbers), np.int64)
    taken = rows.take(order)
    np.testing.assert_array_equal(taken.features, table[order])
    np.testing.assert_array_equal(taken.labels, table[order, :2] + 1)
    np.testing.assert_array_equal(taken.weights, table[order, 0] + 2)
    assert taken.dense().flags.c_contiguous
