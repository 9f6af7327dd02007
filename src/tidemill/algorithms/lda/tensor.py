"""A symmetric tensor as a sum of cubes of vectors, by alternating least squares.

All three factors are one, so that an iteration solves for it once. The first iterations make the
vectors orthogonal instead, as those of a whitened tensor should be, which keeps several of them
from chasing one component (Sharan & Valiant, "Orthogonalized ALS", ICML 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tidemill.algorithms.lda.documents import Doubles, Each

_ORTHOGONAL, _SHORT, _PATIENCE = 5, 10, 5
_RIDGE = 1e-10


@dataclass(frozen=True, slots=True)
class Settings:
    """starts: random ones, of which the best goes on · iterations: of that one, at most
    tol: they end when the unexplained share has not fallen by as much for some time
    """

    starts: int = 10
    iterations: int = 1000
    tol: float = 1e-8


@dataclass(frozen=True, slots=True)
class Cubes:
    """vectors : (k, k), one a column, of length 1 · weights : (k,), of their cubes, not negative
    unexplained: share of the tensor's squares that the sum leaves
    """

    vectors: Doubles
    weights: Doubles
    unexplained: float


def decompose(
    tensor: Doubles,
    settings: Settings,
    draws: Callable[[int], np.random.Generator],
    each: Each = map,
) -> Cubes:
    """The cubes of k vectors whose weighted sum is nearest to a symmetric tensor (k, k, k).

    draws: random numbers for the start of this number
    """
    problem = _Problem(tensor)
    tried = list(each(lambda start: problem.begin(draws(start)), range(settings.starts)))
    best = min(tried, key=lambda found: found.unexplained)
    vectors, idle = best.vectors, 0
    for _ in range(settings.iterations):
        vectors = problem.solve(vectors)
        found = problem.weigh(vectors)
        gains = found.unexplained < best.unexplained - settings.tol
        idle = 0 if gains else idle + 1
        best = found if found.unexplained < best.unexplained else best
        if idle == _PATIENCE:
            break
    return upright(best)


class _Problem:
    """The tensor in the form that iterations want it in."""

    def __init__(self, tensor: Doubles) -> None:
        self._left, self._right = np.triu_indices(len(tensor))
        once = self._left == self._right
        self._pairs = tensor[:, self._left, self._right] * np.where(once, 1.0, 2.0)
        self._squares = float(np.vdot(tensor, tensor)) or 1.0

    def begin(self, draws: np.random.Generator) -> Cubes:
        """From a random start, as far as shows what comes of it."""
        vectors = draws.standard_normal((len(self._pairs), len(self._pairs)))
        for _ in range(_ORTHOGONAL):
            vectors = _scaled(self._against(np.linalg.qr(vectors)[0]))
        for _ in range(_SHORT):
            vectors = self.solve(vectors)
        return self.weigh(vectors)

    def solve(self, vectors: Doubles) -> Doubles:
        """One iteration of least squares: what is best for one factor, given the other two."""
        products = (vectors.T @ vectors) ** 2
        return _scaled(_solve(products, self._against(vectors).T).T)

    def weigh(self, vectors: Doubles) -> Cubes:
        """With the weights that explain most."""
        held = np.einsum("ij,ij->j", self._against(vectors), vectors)
        weights = _solve((vectors.T @ vectors) ** 3, held)
        return Cubes(vectors, weights, 1.0 - float(weights @ held) / self._squares)

    def _against(self, vectors: Doubles) -> Doubles:
        """The tensor times each vector twice, (k, k)."""
        product: Doubles = self._pairs @ (vectors[self._left] * vectors[self._right])
        return product


def _solve(squares: Doubles, right: Doubles) -> Doubles:
    # Two vectors may have become one.
    solution = np.linalg.solve(squares + _RIDGE * np.eye(len(squares)), right)
    return solution.astype(np.float64, copy=False)


def _scaled(vectors: Doubles) -> Doubles:
    lengths = np.sqrt(np.einsum("ij,ij->j", vectors, vectors))
    scaled: Doubles = vectors / np.where(lengths > 0, lengths, 1.0)
    return scaled


def upright(found: Cubes) -> Cubes:
    """The same with weights that are not negative: a vector turned round turns its cube round."""
    signs = np.where(found.weights < 0, -1.0, 1.0)
    return Cubes(found.vectors * signs, found.weights * signs, found.unexplained)
