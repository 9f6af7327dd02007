"""A saved booster, looked at before the library loads it: it follows whatever indices it finds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.xgboost import ubjson
from tidemill.kernels.sound import between, require

Integers = NDArray[np.int64]
_MOST_COLUMNS = 1 << 24
"""The library makes room for so many numbers of each of some rows that it answers."""
_MOST_GROUPS = 1 << 16
_MOST_CATEGORIES = 1 << 24
_DEEPEST = 1 << 12
_DELETED = 2**31 - 1
_ROOT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class About:
    """What a booster says of itself. classes: of a multi: objective, else 0"""

    objective: str
    columns: int
    classes: int


def about(blob: bytes) -> About:
    """Of a booster as ``Booster.save_model`` writes it, JSON or UBJSON. Raises ValueError where
    something in it does not fit, or leads nowhere."""
    try:
        return _learner(_parsed(blob)["learner"])
    except (LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _parsed(blob: bytes) -> Any:
    # Text has a quote, or a space before it, where the other has the type of a length.
    if blob[1:2] in b'" \n\r\t':
        return json.loads(blob, object_pairs_hook=_once)
    return ubjson.decode(blob)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    require(len(found) == len(pairs), "every name is there once")
    return found


def _learner(learner: dict[str, Any]) -> About:
    given = learner["learner_model_param"]
    columns, classes = int(given["num_feature"]), int(given["num_class"])
    between("num_feature", columns, 0, _MOST_COLUMNS)
    between("num_class", classes, 0, _MOST_GROUPS)
    between("num_target", int(given.get("num_target", 1)), 0, 1)
    base = [float(part) for part in given["base_score"].strip("[]").split(",")]
    require(len(base) in (1, classes) and bool(np.isfinite(base).all()), "base_score is finite")
    objective: str = learner["objective"]["name"]
    require(objective.startswith("multi:") == (classes > 0), "classes are of a multi: objective")
    for name in ("feature_names", "feature_types"):
        require(len(learner.get(name, ())) in (0, columns), f"{name} are of all features")
    _booster(learner["gradient_booster"], columns, max(1, classes))
    return About(objective, columns, classes)


def _booster(booster: dict[str, Any], columns: int, groups: int) -> None:
    name = booster["name"]
    if name == "gblinear":
        weights = _numbers(booster["model"]["weights"], "f")
        require(len(weights) == (columns + 1) * groups, "a weight for every feature and group")
        return
    require(name in ("gbtree", "dart"), "a known booster")
    model = booster["gbtree"]["model"] if name == "dart" else booster["model"]
    if name == "dart":
        dropped = _numbers(booster["weight_drop"], "f")
        require(len(dropped) == len(model["trees"]), "a weight for every tree")
    _forest(model, columns, groups)


def _forest(model: dict[str, Any], columns: int, groups: int) -> None:
    trees, given = model["trees"], model["gbtree_model_param"]
    require(int(given["num_trees"]) == len(trees), "num_trees is their number")
    group_of = _numbers(model["tree_info"], "i")
    require(len(group_of) == len(trees), "every tree has a group")
    _within("tree_info", group_of, 0, groups)
    between("num_parallel_tree", int(given.get("num_parallel_tree", 1)), 0, max(1, len(trees)))
    begins = model.get("iteration_indptr")
    if begins is not None:
        rises = _numbers(begins, "i")
        is_whole = len(rises) > 0 and rises[0] == 0 and rises[-1] == len(trees)
        require(is_whole and bool((rises[1:] >= rises[:-1]).all()), "rounds are of all trees")
    named = model.get("cats", {})
    require(not any(len(part) for part in named.values()), "categories are numbers, without names")
    require([tree["id"] for tree in trees] == list(range(len(trees))), "trees stand in order")
    if trees:
        _check_trees(trees, columns)


def _check_trees(trees: Sequence[dict[str, Any]], columns: int) -> None:
    """All trees together: every node has one parent, and all that is named exists."""
    sizes = np.array([_size(tree) for tree in trees], np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    own = np.repeat(starts[:-1], sizes)
    left, right, parents, splits, default, types = (
        _joined(trees, sizes, name, "i")
        for name in (
            "left_children", "right_children", "parents", "split_indices", "default_left",
            "split_type",
        )
    )  # fmt: skip
    for name in ("split_conditions", "base_weights", "loss_changes", "sum_hessian"):
        _joined(trees, sizes, name, "f")
    deleted = splits == _DELETED
    told = [int(tree["tree_param"].get("num_deleted", 0)) for tree in trees]
    require(
        bool((np.add.reduceat(deleted, starts[:-1], dtype=np.int64) == told).all()),
        "num_deleted is their number",
    )
    inner = np.flatnonzero(~deleted & ((left != -1) | (right != -1)))
    children = np.stack([left[inner], right[inner]])
    _within("children", children, 1, None)
    require(bool((children < np.repeat(sizes, sizes)[inner]).all()), "children are of the tree")
    children += own[inner]
    require(len(np.unique(children)) == children.size, "every node has one parent")
    require(not deleted[children].any() and not deleted[starts[:-1]].any(), "no node was deleted")
    require(bool((parents[children] + own[children] == inner).all()), "parents are of children")
    require(bool((parents[starts[:-1]] == _ROOT).all()), "trees have roots")
    _within("split_indices", splits[inner], 0, columns)
    _within("default_left", default, 0, 2)
    _within("split_type", types, 0, 2)
    _check_depth(starts[:-1], left + own, right + own, left != -1)
    for tree in trees:
        _check_categories(tree)


def _check_depth(level: Integers, left: Integers, right: Integers, inner: NDArray[Any]) -> None:
    """The library goes down trees by recursion, here and there."""
    depth = 0
    while len(level := level[inner[level]]):
        depth += 1
        between("depth", depth, 0, _DEEPEST)
        level = np.concatenate([left[level], right[level]])


def _check_categories(tree: dict[str, Any]) -> None:
    found = [tree.get(f"categories{part}", ()) for part in ("", "_nodes", "_segments", "_sizes")]
    categories, nodes, begins, sizes = (_numbers(part, "i") for part in found)
    by_category = np.flatnonzero(_numbers(tree.get("split_type", ()), "i"))
    if not len(categories) and not len(by_category) and not len(nodes):
        return
    require(np.array_equal(nodes, by_category), "every split by category has categories")
    require(len(nodes) == len(begins) == len(sizes), "every split by category has categories")
    ends = np.cumsum(sizes)
    _within("categories_sizes", sizes, 1, None)
    require(bool((begins == ends - sizes).all()), "categories come one after the other")
    require(int(ends[-1]) == len(categories), "categories come one after the other")
    _within("categories", categories, 0, _MOST_CATEGORIES)
    room = np.maximum.reduceat(categories, begins).sum() if len(categories) else 0
    between("room for categories", int(room), 0, 8 * _MOST_CATEGORIES)


def _size(tree: dict[str, Any]) -> int:
    given = tree["tree_param"]
    between("size_leaf_vector", int(given.get("size_leaf_vector", 1)), 0, 1)
    size = len(tree["left_children"])
    require(0 < size == int(given["num_nodes"]), "num_nodes is their number")
    return size


def _joined(trees: Sequence[dict[str, Any]], sizes: Integers, name: str, kind: str) -> NDArray[Any]:
    if name == "split_type" and not any(name in tree for tree in trees):  # of older versions
        return np.zeros(int(sizes.sum()), np.int64)
    parts = [_numbers(tree[name], kind) for tree in trees]
    require([len(part) for part in parts] == sizes.tolist(), f"{name} are of all nodes")
    return np.concatenate(parts)


def _numbers(values: Any, kind: str) -> NDArray[Any]:
    """One axis of them. kind: ``i`` for whole ones, ``f`` for any"""
    found = np.asarray(values)
    if not found.size:
        return np.zeros(0, np.int64 if kind == "i" else np.float64)
    kinds = "iub" if kind == "i" else "iuf"
    require(found.ndim == 1 and found.dtype.kind in kinds, "numbers stand in a row")
    return found.astype(np.int64 if kind == "i" else np.float64)


def _within(name: str, found: Integers, low: int, high: int | None) -> None:
    is_low = found.size > 0 and int(found.min()) < low
    is_high = found.size > 0 and high is not None and int(found.max()) >= high
    if is_low or is_high:
        raise ValueError(f"{name} must be from {low} to below {high}")
