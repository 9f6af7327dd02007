"""Rows dealt out to trees, and the trees that grow from them: functions of the rows and a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Floats, Integers
from tidemill.kernels.randomcutforest import Trees, grow, join

Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Like ``map``; one that works side by side changes no result."""
# What a draw of random numbers is for; with the counter it makes the key of its generator.
_DEALING, _GROWING = range(2)


def plant(rows: Floats, trees: int, size: int, seed: int, each: Each = map) -> tuple[Floats, Trees]:
    """A forest: the rows that it uses, and its trees over these, each of min(size, rows) rows.

    It does not depend on the order of the rows, one or more, all finite.
    """
    rows = rows + np.float32(0)  # zero has one sign, so that equal rows have equal bytes
    rows = rows[in_one_order(rows)]
    rows, members = _together(rows, deal(len(rows), trees, min(size, len(rows)), seed))
    keys = _draws(seed, _GROWING, 0).integers(0, 2**64, trees, np.uint64)
    grown = each(lambda at: grow(rows, members[at], int(keys[at])), range(trees))
    return rows, join(list(grown))


def in_one_order(rows: Floats) -> Integers:
    """The indices of the rows in an order, of their bytes, that tells nothing of where each was."""
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
    return np.argsort(whole.ravel(), kind="stable")


def deal(rows: int, trees: int, size: int, seed: int) -> Integers:
    """(trees, size) indices: no row twice in a tree, and in one more than in another only once
    all have been dealt as often as that fills trees. size: from 1 to rows

    >>> sorted(deal(rows=6, trees=2, size=3, seed=0).ravel().tolist())
    [0, 1, 2, 3, 4, 5]
    """
    a_round = rows // size
    rounds = [
        _draws(seed, _DEALING, at).permutation(rows)[: a_round * size].reshape(a_round, size)
        for at in range(-(-trees // a_round))
    ]
    return np.concatenate(rounds)[:trees]


def _together(rows: Floats, members: Integers) -> tuple[Floats, NDArray[np.int32]]:
    """Only the rows that are dealt, those of a tree side by side, and their new indices."""
    used, first = np.unique(members, return_index=True)
    order = used[np.argsort(first)]
    places = np.empty(len(rows), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return rows[order], places[members]


def _draws(seed: int, purpose: int, counter: int) -> np.random.Generator:
    key = np.array([seed, purpose], np.uint64)
    # The counter's highest word, for the generator itself counts in the lowest.
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, counter]))
