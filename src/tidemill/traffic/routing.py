"""Which variant and which replica answers the next request: a decision, not an action."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

RAMP_SECONDS = 4.0
"""So long a replica that has just come up takes less than its share: caches are cold at first."""
LEAST_SHARE = 0.1
SLACK = 16
"""Requests under way up to which a replica is not busy: it answers them together."""


_MIX = ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB))
"""Of splitmix64 (Steele, Lea & Flood 2014): every bit then depends on every other."""


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


def choose_any(count: int, point: float) -> int:
    """Return one of ``count`` indices, each as likely as any other (SageMaker's ``RANDOM``).

    >>> [choose_any(3, point) for point in (0.0, 0.5, 0.99)]
    [0, 1, 2]
    """
    return min(int(point * count), count - 1)


def affinity(model: bytes, replica: bytes) -> int:
    """Return how much a model belongs to a replica, as good as drawn by chance but always the same.

    Of several replicas the model lives on the one to which it belongs most (rendezvous hashing,
    Thaler & Ravishankar 1998): each has its part of the models, and when one comes or goes only the
    models move that it takes or leaves.

    >>> replicas = (b"r1", b"r2", b"r3")
    >>> homes = [max(replicas, key=lambda one: affinity(b"%d" % i, one)) for i in range(999)]
    >>> all(300 < homes.count(one) < 370 for one in replicas)
    True
    """
    mixed = crc32(model) << 32 | crc32(replica)
    for shift, factor in _MIX:
        mixed = (mixed ^ mixed >> shift) * factor & 0xFFFF_FFFF_FFFF_FFFF
    return mixed ^ mixed >> 31


def choose_home(affinities: Sequence[int], outstanding: Sequence[int]) -> int:
    """Return the index of the replica for a request of one model: where it lives, if not too busy.

    Else where it would live next: a hot model spreads, as far as its requests have to.

    >>> choose_home([5, 9, 7], [0, 16, 0]), choose_home([5, 9, 7], [0, 17, 0])
    (1, 2)
    >>> choose_home([5, 9, 7], [20, 50, 60])
    1
    """
    most = SLACK + 2 * min(outstanding)
    able = [index for index, count in enumerate(outstanding) if count <= most]
    return max(able, key=affinities.__getitem__)


def ramp(seconds: float) -> float:
    """Return the part of its share that a replica takes so long after it came up, up to 1.

    >>> [round(ramp(seconds), 3) for seconds in (0.0, 2.0, 4.0, 60.0)]
    [0.1, 0.55, 1.0, 1.0]
    """
    return min(1.0, LEAST_SHARE + (1.0 - LEAST_SHARE) * seconds / RAMP_SECONDS)


def admitted(ages: Sequence[float], point: float) -> list[int]:
    """Return the replicas that the next request may go to, by the seconds since they came up.

    A new one is among them as often as ``ramp`` says, measured against the oldest one: where all
    are new, nobody could take the load off them.

    >>> [admitted([60.0, 1.0], point) for point in (0.0, 0.3, 0.4)]
    [[0, 1], [0, 1], [0]]
    >>> admitted([0.5, 0.5], 0.99)
    [0, 1]
    """
    bar = point * ramp(max(ages))
    return [index for index, age in enumerate(ages) if ramp(age) > bar]
