"""Weighted points in memory, reduced to k centres: seeding and Lloyd's iterations.

Seeds by squared distance are those of Arthur & Vassilvitskii, "k-means++" (2007), the best of
several candidates at every step. Three times as many as wanted are drawn, so that no cluster goes
without; then those missed least are taken away (Chrobak, Kenyon & Young, "The reverse greedy
algorithm for the metric k-median problem", 2006).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tidemill.algorithms.base import Each
from tidemill.algorithms.kmeans.nearest import Doubles, Evidence, Labels, gather
from tidemill.data.batch import Batch, Floats

_SPARE = 3
_STRIDE = 1.5
_FEWEST, _MOST = 512, 4096


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run: ``init`` (random or kmeans++), ``trials`` from different seeds of which the best
    is kept, ``max_iter`` iterations each at most, done when the loss falls by less than ``tol``.
    """

    init: str = "kmeans++"
    trials: int = 1
    max_iter: int = 300
    tol: float = 1e-4


def reduce(
    points: Floats,
    weights: Doubles,
    k: int,
    settings: Settings,
    generator: np.random.Generator,
    each: Each = map,
) -> tuple[Floats, Doubles, float]:
    """The best k centres found, the weight of each, and the weighted squared distances added up.

    points: (rows, columns) · weights: (rows,); with k rows or fewer the points are the centres.
    """
    heavy = weights > 0
    points, weights = points[heavy], weights[heavy]
    if len(points) <= k:
        return points, weights, 0.0
    best: tuple[Floats, Doubles, float] | None = None
    for _ in range(settings.trials):
        seeds = points[seed(points, weights, k, settings.init, generator)]
        found = lloyd(points, weights, seeds, settings, each)
        if best is None or found[2] < best[2]:
            best = found
    assert best is not None
    return best


def lloyd(
    points: Floats, weights: Doubles, centres: Floats, settings: Settings, each: Each = map
) -> tuple[Floats, Doubles, float]:
    """Lloyd's iterations from these centres: (centres, weights, loss)."""
    batch = Batch(points, weights=None if (weights == 1.0).all() else weights.astype(np.float32))
    origin = np.zeros(points.shape[1], np.float32)
    for _ in range(settings.max_iter):
        evidence = gather(batch, centres, origin, each)
        loss = evidence.loss(centres)
        best = means(evidence, centres)
        saved = savings(evidence.counts, centres, best)
        if saved <= settings.tol * loss:
            break
        centres = beyond(centres, best)
    return best, evidence.counts, max(0.0, loss - saved)


def means(evidence: Evidence, centres: Floats) -> Floats:
    """Each centre moved to the mean of its rows; one without rows stays where it is."""
    counts = evidence.counts[:, None]
    moved = np.divide(evidence.sums, counts, out=centres.astype(np.float64), where=counts > 0)
    return moved.astype(np.float32)


def savings(counts: Doubles, centres: Floats, moved: Floats) -> float:
    """What the loss falls by when centres move to the means of their rows."""
    steps = moved.astype(np.float64) - centres
    return float(counts @ np.einsum("ij,ij->i", steps, steps))


def beyond(centres: Floats, moved: Floats) -> Floats:
    """A step that overshoots, for all but the last iteration: half as many are needed.

    Of Salakhutdinov & Roweis, "Adaptive overrelaxed bound optimization methods" (2003).
    """
    return centres + np.float32(_STRIDE) * (moved - centres)


def seed(
    points: Floats, weights: Doubles, k: int, init: str, generator: np.random.Generator
) -> Labels:
    """The indices of k points to start from. Memory: at most 4096² distances."""
    room = min(_MOST, max(_FEWEST, 20 * k))
    if init == "random" or 2 * k > room:
        return oversample(points, weights, k, init, generator)
    if len(points) <= room:
        return _seed_by_distance(points, weights, k, generator)
    # Drawn by weight, so that the drawn points weigh the same.
    drawn = _any(weights, room, generator)
    drawn.sort()
    return drawn[_seed_by_distance(points[drawn], np.ones(room), k, generator)]


def oversample(
    points: Floats, weights: Doubles, count: int, init: str, generator: np.random.Generator
) -> Labels:
    """Indices of ``count`` different points, far more than clusters: random or far from others.

    By distance they are drawn some at a time, as in Bahmani et al., "Scalable k-means++" (2012).
    """
    if init == "random":
        return _any(weights, count, generator)
    masses = weights.copy()
    chosen = np.empty(0, np.intp)
    squares = np.einsum("ij,ij->i", points, points)
    gaps = np.full(len(points), np.inf, np.float32)
    while len(chosen) < count:
        wanted = min(count - len(chosen), max(1, len(chosen)))
        fresh = _different(masses, wanted, generator)
        chosen = np.concatenate([chosen, fresh])
        table = points @ (-2.0 * points[fresh].T)
        table += squares[fresh]
        np.minimum(gaps, np.maximum(table.min(axis=1) + squares, 0.0), out=gaps)
        gaps[chosen] = 0.0
        masses = weights * gaps
    return chosen


def _different(masses: Doubles, count: int, generator: np.random.Generator) -> Labels:
    """At most ``count`` different indices, drawn by mass."""
    drawn: Labels = np.unique(_draw(masses, count, generator))
    return drawn


def squared_distances(points: Floats) -> Floats:
    """(rows, rows) squared distances of every two points."""
    squares = np.einsum("ij,ij->i", points, points)
    table = points @ points.T
    table *= -2.0
    table += squares
    table += squares[:, None]
    np.maximum(table, 0.0, out=table)
    np.fill_diagonal(table, 0.0)
    return table


def _seed_by_distance(
    points: Floats, weights: Doubles, k: int, generator: np.random.Generator
) -> Labels:
    table = squared_distances(points)
    chosen = _greedy(table, weights, min(_SPARE * k, len(points)), generator)
    return _winnow(table, weights, chosen, k)


def _any(weights: Doubles, count: int, generator: np.random.Generator) -> Labels:
    """Different indices, drawn by weight."""
    chances = weights / weights.sum()
    drawn: Labels = generator.choice(len(weights), count, replace=False, p=chances)
    return drawn


def _draw(masses: Doubles, count: int, generator: np.random.Generator) -> Labels:
    """Indices drawn with chances that go by mass; where all masses are nil, any indices."""
    sums = masses.cumsum()
    if sums[-1] <= 0:
        return generator.integers(0, len(masses), count)
    drawn = np.searchsorted(sums, generator.random(count) * sums[-1], side="right")
    inside: Labels = np.minimum(drawn, len(masses) - 1)
    return inside


def _greedy(table: Floats, weights: Doubles, k: int, generator: np.random.Generator) -> Labels:
    """k-means++ that tries 2 + ln k candidates a step and keeps the one that helps most."""
    tries = 2 + int(math.log(k))
    chosen = np.empty(k, np.intp)
    chosen[0] = _draw(weights, 1, generator)[0]
    gaps = table[chosen[0]].copy()
    for at in range(1, k):
        candidates = _draw(weights * gaps, tries, generator)
        closer = np.minimum(table[candidates], gaps)
        best = int((closer @ weights).argmin())
        chosen[at], gaps = candidates[best], closer[best]
    return chosen


def _winnow(table: Floats, weights: Doubles, chosen: Labels, k: int) -> Labels:
    """Take away the seed that is missed least, again and again, until k are left."""
    gaps = table[chosen]
    owner, first, runner_up, second = _two_nearest(gaps.copy())
    alive = np.ones(len(chosen), np.bool_)
    for _ in range(len(chosen) - k):
        missed = np.bincount(owner, weights * (second - first), len(chosen))
        worst = int(np.where(alive, missed, np.inf).argmin())
        alive[worst] = False
        gaps[worst] = np.inf
        hit = np.flatnonzero((owner == worst) | (runner_up == worst))
        owner[hit], first[hit], runner_up[hit], second[hit] = _two_nearest(gaps[:, hit])
    return chosen[alive]


def _two_nearest(gaps: Floats) -> tuple[Labels, Floats, Labels, Floats]:
    """Of each column the least row and its value, and the next; the table is used up."""
    columns = np.arange(gaps.shape[1])
    owner = gaps.argmin(axis=0)
    first = gaps[owner, columns]
    gaps[owner, columns] = np.inf
    runner_up = gaps.argmin(axis=0)
    return owner, first, runner_up, gaps[runner_up, columns]
