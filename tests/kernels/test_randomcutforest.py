"""Random cut trees in C: what they are, what a row scores, and that no damage is followed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tidemill.kernels.randomcutforest import Trees, Walk, grow, join, lay_out, score


def forest(rows: Any, trees: int, key: int = 1) -> Trees:
    """Trees of all rows."""
    members = np.arange(len(rows), dtype=np.int32)
    return join([grow(rows, members, key + 1000 * t) for t in range(trees)])


def one_tree(trees: Trees, at: int) -> Trees:
    nodes = slice(*(int(trees.nodes[: at + k].sum()) for k in range(2)))
    leaves = slice(nodes.start + at, nodes.stop + at + 1)
    return Trees(
        trees.nodes[at : at + 1],
        *(a[nodes] for a in (trees.column, trees.cut, trees.child)),
        *(a[leaves] for a in (trees.leaf_row, trees.leaf_mass)),
    )


def members_below(tree: Trees, node: int) -> list[int]:
    """The leaves' rows below a node, or ~leaf."""
    if node < 0:
        return [int(tree.leaf_row[~node])]
    return [row for child in tree.child[node] for row in members_below(tree, int(child))]


def expected_score(tree: Trees, rows: Any, mass: int, row: Any) -> float:
    """By the definition, from the top: in double precision and with no short cut."""
    node, depth, left, total = (0 if len(tree.column) else ~0), 0, 1.0, 0.0
    while node >= 0:
        below = rows[members_below(tree, node)].astype(float)
        low, high = below.min(axis=0), below.max(axis=0)
        gap = float(np.maximum(low - row, 0).sum() + np.maximum(row - high, 0).sum())
        parted = gap / (float((high - low).sum()) + gap)
        total += left * parted / (depth + 1)
        left *= 1 - parted
        depth += 1
        node = int(tree.child[node][int(row[tree.column[node]] > tree.cut[node])])
    leaf_mass = float(tree.leaf_mass[~node])
    if (rows[tree.leaf_row[~node]] == row).all():
        return (1 - leaf_mass / (2 * mass)) / (depth + float(np.log2(leaf_mass + 1)))
    return total + left / (depth + 1)


@pytest.mark.parametrize("columns", [1, 3, 4, 5, 8, 9, 16, 17, 40])
def test_scores_are_those_of_the_definition(columns: int) -> None:
    draws = np.random.default_rng(columns)
    rows = draws.normal(size=(60, columns)).astype(np.float32)
    rows[20:30] = rows[0]
    rows[30:50, 0] = 0.0
    trees = forest(rows, 7)
    near, far = draws.normal(size=(20, columns)) * 0.3, draws.normal(size=(9, columns)) * 9
    asked = np.concatenate([rows[::4], near, far]).astype(np.float32)
    wanted = [
        sum(expected_score(one_tree(trees, t), rows, 60, row.astype(float)) for t in range(7))
        for row in asked
    ]
    assert_allclose(score(lay_out(trees, rows, 60), asked), wanted, rtol=2e-5)


def test_a_row_scores_the_same_whatever_stands_beside_it() -> None:
    draws = np.random.default_rng(0)
    rows = draws.normal(size=(9000, 10)).astype(np.float32)
    walk = lay_out(forest(rows[:256], 5), rows[:256], 256)
    whole = scores(walk, rows)
    assert_array_equal(whole[:1], scores(walk, rows[:1]))
    assert_array_equal(whole[5000:5017], scores(walk, rows[5000:5017].copy()))


def scores(walk: Walk, rows: Any) -> Any:
    found = score(walk, rows)
    assert found is not None
    return found


def test_every_row_comes_to_a_leaf_that_holds_it_and_is_counted_once() -> None:
    draws = np.random.default_rng(1)
    rows = draws.integers(0, 4, (200, 3)).astype(np.float32)
    trees = forest(rows, 3)
    assert (trees.leaf_mass.reshape(-1) > 0).all()
    for t in range(3):
        tree = one_tree(trees, t)
        assert tree.leaf_mass.sum() == 200
        held = rows[tree.leaf_row]
        assert len(np.unique(held, axis=0)) == len(held) == len(np.unique(rows, axis=0))
        masses = {r.tobytes(): m for r, m in zip(held, tree.leaf_mass, strict=True)}
        values, counts = np.unique(rows, axis=0, return_counts=True)
        assert [masses[v.tobytes()] for v in values] == counts.tolist()


def test_cuts_fall_in_proportion_to_ranges_and_anywhere_in_them_alike() -> None:
    rows = np.array([[0, 0, 5], [1, 9, 5]], np.float32)
    trees = forest(rows, 4000)
    is_wide = trees.column == 1
    assert is_wide.mean() == pytest.approx(0.9, abs=0.02)
    assert (trees.column != 2).all()
    places = np.sort(trees.cut[is_wide] / 9)
    even = np.linspace(0, 1, len(places))
    assert np.abs(places - even).max() < 0.03  # Kolmogorov-Smirnov, at one in 500


def test_a_score_is_what_growing_with_the_row_gives_on_average() -> None:
    """Theorem 3 of Guha et al.: a tree that a row was put into is a tree grown with it."""
    draws = np.random.default_rng(2)
    rows = draws.normal(size=(16, 2)).astype(np.float32)
    for row in np.array([[0.1, 0.2], [2.5, -1.0], [6.0, 6.0]], np.float32):
        found = scores(lay_out(forest(rows, 3000), rows, 16), row[None])[0] / 3000
        grown = forest(np.vstack([rows, row]), 3000, key=77)
        shares = [1 / depth_of(one_tree(grown, t), 16) for t in range(3000)]
        assert found == pytest.approx(float(np.mean(shares)), rel=0.05)


def depth_of(tree: Trees, row: int) -> int:
    leaf = ~int(np.flatnonzero(tree.leaf_row == row)[0])
    depth, node = 0, leaf
    while depth == 0 or node > 0:
        node = int(np.argwhere(tree.child == node)[0, 0])
        depth += 1
    return depth


def test_equal_rows_make_one_leaf() -> None:
    rows = np.full((5, 2), -0.0, np.float32)
    tree = grow(rows, np.arange(5, dtype=np.int32), 3)
    assert tree.nodes.tolist() == [0]
    assert tree.leaf_mass.tolist() == [5]
    walk = lay_out(tree, rows, 5)
    found = scores(walk, np.array([[0, 0], [0, 1]], np.float32))
    assert_allclose(found, [(1 - 5 / 10) / np.log2(6), 1])


def test_long_thin_trees_and_numbers_of_every_size_are_grown() -> None:
    rows = np.array([[10.0**k] for k in range(-38, 30)], np.float32)
    trees = forest(np.concatenate([rows, -rows]), 5)
    walk = lay_out(trees, np.concatenate([rows, -rows]), 136)
    found = scores(walk, np.concatenate([rows, rows * np.float32(0.9)]))
    assert np.isfinite(found).all()
    assert (found > 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2e30])
def test_a_number_that_is_none_or_too_large_gets_no_score(bad: float) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    walk = lay_out(forest(rows, 2), rows, 50)
    asked = np.tile(rows, (200, 1))
    asked[-1, 1] = bad
    assert score(walk, asked) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_growing_from_numbers_that_it_should_not_be_given_stays_in_bounds(value: float) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    rows[::3, 1] = value
    for key in range(20):
        tree = grow(rows, np.arange(40, dtype=np.int32), key)
        assert len(tree.column) <= 39


@pytest.mark.parametrize("members", [[], [-1, 0], [0, 50]])
def test_members_that_are_not_there_are_refused(members: list[int]) -> None:
    rows = np.zeros((50, 2), np.float32)
    with pytest.raises(ValueError, match="rows that there are"):
        grow(rows, np.array(members, np.int32), 0)


def test_rows_of_another_width_are_refused() -> None:
    rows = np.eye(4, dtype=np.float32)
    with pytest.raises(ValueError, match="4 columns"):
        score(lay_out(forest(rows, 1), rows, 4), np.zeros((1, 5), np.float32))


def test_damaged_trees_are_refused_or_harmless() -> None:
    """Whatever a saved forest says, no child, row or column is followed that is not there."""
    draws = np.random.default_rng(5)
    rows = draws.normal(size=(30, 3)).astype(np.float32)
    sound = forest(rows, 4)
    names = ("nodes", "column", "child", "leaf_row", "leaf_mass")
    refused = 0
    for _ in range(600):
        name = names[draws.integers(len(names))]
        damaged = getattr(sound, name).copy()
        places = draws.integers(0, damaged.size, draws.integers(1, 3))
        damaged.reshape(-1)[places] = draws.choice([-(2**31), -40, -3, 0, 1, 2, 35, 2**31 - 1])
        try:
            walk = lay_out(replace(sound, **{name: damaged}), rows, 30)
        except ValueError:
            refused += 1
        else:
            scores(walk, rows)
    assert refused > 300


@pytest.mark.parametrize(
    "change",
    [
        lambda t: replace(t, cut=t.cut[:-1]),
        lambda t: replace(t, child=t.child.reshape(-1)),
        lambda t: replace(t, leaf_row=t.leaf_row.astype(np.int64)),
        lambda t: replace(t, nodes=t.nodes[:0]),
        lambda t: replace(t, nodes=np.array([-1, len(t.column) + 1])),
        lambda t: replace(t, leaf_mass=t.leaf_mass[:, None]),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(change: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    with pytest.raises(ValueError, match="belong together|must be|of trees"):
        lay_out(change(forest(rows, 2)), rows, 20)
