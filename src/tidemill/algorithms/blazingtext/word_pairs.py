"""How well vectors tell what people think of pairs of words: Spearman on WordSimilarity-353.

The pairs are those of Finkelstein et al. (2002), under CC BY 4.0; they stand in ``wordsim353.csv``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tidemill.data.batch import Floats

Doubles = NDArray[np.float64]
NAME = "WS-353"
_FILE = Path(__file__).resolve().parent / "wordsim353.csv"


@dataclass(frozen=True, slots=True)
class Agreement:
    """rho: Spearman's rank correlation · pairs: there are · missing: with a word not known"""

    rho: float
    pairs: int
    missing: int


@functools.cache
def pairs() -> tuple[tuple[str, str, float], ...]:
    """Two words, and how alike people find them, from 0 to 10."""
    lines = [line for line in _FILE.read_text().splitlines() if not line.startswith("#")]
    split = (line.split(",") for line in lines)
    return tuple((first, second, float(score)) for first, second, score in split)


def agreement(vectors_of: Callable[[Sequence[str]], tuple[Floats, NDArray[np.bool_]]]) -> Agreement:
    """How people and vectors agree. vectors_of: of words, and which of these are known"""
    found = pairs()
    first, knows_first = vectors_of([pair[0] for pair in found])
    second, knows_second = vectors_of([pair[1] for pair in found])
    known = knows_first & knows_second
    alike = cosines(first[known], second[known])
    said = np.array([pair[2] for pair in found])[known]
    return Agreement(correlation(alike, said), len(found), int(np.count_nonzero(~known)))


def cosines(left: Floats, right: Floats) -> Doubles:
    """(rows,) the cosine of each two rows, 0 where one of them is nothing."""
    dots = np.einsum("ij,ij->i", left, right, dtype=np.float64)
    squares = [np.einsum("ij,ij->i", rows, rows, dtype=np.float64) for rows in (left, right)]
    sizes = np.sqrt(squares[0] * squares[1])
    found: Doubles = np.divide(dots, sizes, out=np.zeros_like(dots), where=sizes > 0)
    return found


def correlation(left: Doubles, right: Doubles) -> float:
    """Spearman's rank correlation; 0 where one side does not vary.

    >>> correlation(np.array([1.0, 5.0, 2.0]), np.array([0.1, 0.3, 0.2]))
    1.0
    """
    if len(left) < 2:
        return 0.0
    ranks = [_ranks(side) - (len(left) - 1) / 2 for side in (left, right)]
    size = float(np.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1])))
    return float(ranks[0] @ ranks[1]) / size if size else 0.0


def _ranks(values: Doubles) -> Doubles:
    """From 0; equals share their mean."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: Doubles = (ends - (counts + 1) / 2)[which]
    return means
