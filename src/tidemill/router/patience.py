"""How long requests wait for a replica, and may take."""

from __future__ import annotations

from tidemill.router.call import Call
from tidemill.router.live import LiveRoute
from tidemill.spec.route import TIMEOUT

HOLD_SECONDS = 10.0
"""So long requests wait for a replica where none is up."""


def is_over(call: Call, live: LiveRoute, now: float) -> bool:
    """Whether a request that waits has done so for too long."""
    return now >= until(call, live)


def until(call: Call, live: LiveRoute) -> float:
    """When a request that waits is given up."""
    comes = live.demand is not None or live.is_up(call.target)
    patience = timeout(call, live) if comes else HOLD_SECONDS
    given_up = call.held + patience
    return min(given_up, call.deadline) if call.deadline else given_up


def timeout(call: Call, live: LiveRoute) -> float:
    """Seconds that the variant it went to, or would go to, may take."""
    variants = live.named.get(call.variant.decode()) or live.variants(call.target)
    return max((variant.timeout for variant in variants), default=TIMEOUT)
