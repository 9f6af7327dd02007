"""How many replicas a serverless variant needs now: a decision, not an action.

SageMaker runs one request at a time in each instance of a serverless container. A replica here
answers all requests that have come meanwhile as one batch, so that a few of them fill the machine:
``EACH`` requests at once ask for one replica, and there are never more replicas than cores.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from tidemill.spec.serverless import Serverless

EACH = 16
"""Requests at once that one replica answers."""
IDLE_SECONDS = 60.0
"""So long the last replica stays without a request."""
LEAST_IDLE = 1.0
"""The router tells of requests that are answered at once about once a second."""


@dataclass(frozen=True, slots=True)
class Policy:
    """idle: seconds without a request until there are no replicas · most: of one variant"""

    idle: float = IDLE_SECONDS
    most: int = 2


def wanted(
    serverless: Serverless, policy: Policy, *, peak: int, used: float | None, now: float
) -> int:
    """Return the replicas for this instant: none once the variant has been idle for long.

    peak: requests at once, lately · used: when the variant last had a request to answer, or a
    replica that had just begun; None for never

    >>> mill = Serverless(2048, 50)
    >>> [wanted(mill, Policy(most=2), peak=p, used=9.0, now=10.0) for p in (0, 1, 16, 17, 50)]
    [1, 1, 1, 2, 2]
    >>> [wanted(mill, Policy(idle=60.0), peak=50, used=9.0, now=t) for t in (68.9, 69.0)]
    [2, 0]
    """
    least = warm(serverless, policy)
    if used is None or now - used >= max(policy.idle, LEAST_IDLE):
        return least
    at_once = min(peak, serverless.max_concurrency)
    return max(least, _for(max(1, at_once), policy))


def warm(serverless: Serverless, policy: Policy) -> int:
    """Return the replicas that are there however little is asked.

    >>> [warm(Serverless(1024, 50, provisioned), Policy(most=2)) for provisioned in (0, 1, 20, 50)]
    [0, 1, 2, 2]
    """
    return _for(serverless.provisioned, policy)


def _for(at_once: int, policy: Policy) -> int:
    return min(ceil(at_once / EACH), max(1, policy.most))
