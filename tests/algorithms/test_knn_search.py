"""The search that rules rows out finds the very same bits as measuring all rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.algorithms.knn import ready
from tidemill.algorithms.knn.frame import principal, unit_of
from tidemill.algorithms.knn.plan import Plan, plan
from tidemill.kernels.knn import has_bytes, straight


def shaped(kind: str, draws: np.random.Generator, rows: int, columns: int) -> Any:
    """Rows as data can be: spread evenly, along few directions, far from zero, alike, uneven."""
    made = draws.normal(size=(rows, columns))
    if kind == "flat":
        made = draws.normal(size=(rows, 2)) @ draws.normal(size=(2, columns)) + made * 1e-3
    elif kind == "far":
        made = made + 1000
    elif kind == "alike":
        made = np.repeat(made[: rows // 9 + 1], 9, axis=0)[:rows]
    elif kind == "uneven":
        made = made * np.logspace(-3, 3, columns)
    elif kind == "sparse":
        made = np.where(draws.random(made.shape) < 0.1, made, 0)
    elif kind == "digits":
        made = draws.integers(0, 4, made.shape)
    return made.astype(np.float32)


KINDS = ["even", "flat", "far", "alike", "uneven", "sparse", "digits"]


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 700),
    columns=st.integers(1, 70),
    k=st.integers(1, 30),
    share=st.sampled_from([0.2, 0.6, 1.0]),
    cells=st.sampled_from([1, 7, 30]),
    is_bytes=st.booleans(),
    is_inner=st.booleans(),
    size=st.sampled_from([1.0, 1e-12, 1e12]),
)
def test_however_the_first_pass_is_made_nothing_is_lost(
    kind: str, seed: int, rows: int, columns: int, k: int, share: float, cells: int,
    is_bytes: bool, is_inner: bool, size: float,
) -> None:  # fmt: skip
    draws = np.random.default_rng(seed)
    held = shaped(kind, draws, rows, columns) * np.float32(size)
    asked = np.concatenate([held[:20], shaped(kind, draws, 20, columns) * np.float32(size)])
    directions = max(1, int(share * columns))

    def forced(vectors: Any, is_inner: bool, k: int) -> Plan:
        frame = plan(vectors, is_inner, k).frame
        if directions < columns:
            seen = frame.rows(vectors).z
            frame = replace(frame, basis=principal(seen, directions))
        return Plan(frame, is_bytes and has_bytes(), min(cells, rows))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ready, "plan", forced)
        patch.setattr("tidemill.algorithms.knn.exact._LITTLE", -1)
        distances, found = ready.searcher(held, is_inner, k).search(asked, k)
    wanted, whose = straight(held, asked, k, is_inner)
    np.testing.assert_array_equal(found, whose)
    np.testing.assert_array_equal(distances, wanted)


def test_more_neighbours_than_wait_at_once_are_found() -> None:
    draws = np.random.default_rng(0)
    held = draws.normal(size=(9000, 60)).astype(np.float32)
    asked = draws.normal(size=(5, 60)).astype(np.float32)
    for k in (300, 2000, 9000):
        distances, found = ready.searcher(held, False, k).search(asked, k)
        wanted, whose = straight(held, asked, k, False)
        np.testing.assert_array_equal(found, whose)
        np.testing.assert_array_equal(distances, wanted)


def test_cells_that_are_named_are_the_only_ones_looked_into() -> None:
    draws = np.random.default_rng(1)
    held = draws.normal(size=(900, 5)).astype(np.float32)
    labels = np.arange(900) % 9
    search = ready.searcher(held, False, 3, labels=labels, cells=10)
    probes = np.array([[0, 4], [8, -1], [9, -1]], np.int32)
    distances, found = search.search(held[:3], 3, probes=probes)
    assert set(labels[found[0]]) <= {0, 4}
    assert set(labels[found[1]]) == {8}
    assert (found[2] == -1).all()
    assert np.isinf(distances[2]).all()
    wanted, _ = straight(held[np.isin(labels, [0, 4])], held[:1], 3, False)
    np.testing.assert_array_equal(distances[:1], wanted)


def test_principal_directions_are_the_longest_and_square() -> None:
    draws = np.random.default_rng(2)
    rows = (draws.normal(size=(2000, 40)) * np.linspace(4, 0.1, 40)).astype(np.float32)
    basis = principal(rows, 6)
    np.testing.assert_allclose(basis.T @ basis, np.eye(6), atol=1e-6)
    kept = np.linalg.norm(rows @ basis) ** 2
    best = np.sort(np.linalg.eigvalsh(rows.T.astype(float) @ rows))[-6:].sum()
    assert kept > 0.97 * best
    lengths = np.linalg.norm(rows @ basis, axis=0)
    assert (np.diff(lengths) < 0).all()


@pytest.mark.parametrize("value", [0.0, 1e-44, 3e-20, 1.0, 7.0, 3e38, np.inf])
def test_units_bring_any_size_near_one(value: float) -> None:
    unit = unit_of(np.array([[value, 0]], np.float32))[0]
    assert np.log2(unit) == int(np.log2(unit))
    if 0 < value < np.inf and value > 1e-37:
        assert 0.4 < value * unit < 4


def test_few_directions_and_bytes_are_chosen_where_they_tell_rows_apart() -> None:
    draws = np.random.default_rng(3)
    shape = draws.normal(size=(10, 200))
    along = (draws.normal(size=(20_000, 10)) @ shape).astype(np.float32)
    along += draws.normal(size=along.shape).astype(np.float32) * 0.01
    made = plan(along, False, 10)
    assert made.frame.directions <= 32
    assert made.cells > 1
    few = plan(draws.normal(size=(300, 5)).astype(np.float32), False, 10)
    assert (few.frame.directions, few.cells) == (5, 1)
