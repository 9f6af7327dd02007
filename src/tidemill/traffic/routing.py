"""Which variant and which replica answers the next request: a decision, not an action."""

from __future__ import annotations

from collections.abc import Sequence


def choose_variant(weights: Sequence[float], point: float) -> int:
    """Return the index of the variant whose share of the traffic holds ``point`` (0 ≤ point < 1).

    Shares are weight / Σ weights, as SageMaker defines them; when all weights are zero the
    variants share evenly.

    >>> [choose_variant([9.0, 1.0], point) for point in (0.0, 0.89, 0.91)]
    [0, 0, 1]
    >>> choose_variant([0.0, 0.0], 0.6)
    1
    """
    total = sum(weights)
    if total <= 0:
        return min(int(point * len(weights)), len(weights) - 1)
    left = point * total
    last = 0
    for index, weight in enumerate(weights):
        if weight <= 0:
            continue
        if left < weight:
            return index
        left -= weight
        last = index
    return last  # rounding may carry a point near 1 past the end


def choose_replica(outstanding: Sequence[int], point: float) -> int:
    """Return the index of a replica with the fewest requests under way; ``point`` settles ties.

    >>> choose_replica([3, 1, 2], 0.99)
    1
    >>> [choose_replica([0, 5, 0], point) for point in (0.0, 0.7)]
    [0, 2]
    """
    fewest = min(outstanding)
    ties = [index for index, count in enumerate(outstanding) if count == fewest]
    return ties[min(int(point * len(ties)), len(ties) - 1)]
