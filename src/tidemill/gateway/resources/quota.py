"""How many instances one request may ask for: each is a process, and a slip must not be a flood."""

from __future__ import annotations

from tidemill.gateway.wire.errors import Fault

MOST_INSTANCES = 256


def check(wanted: int, what: str) -> int:
    """The count itself, if it is one to start; else what AWS answers beyond an account's quota.

    what: as in ``ml.m5.large for endpoint usage``
    """
    if wanted > MOST_INSTANCES:
        raise Fault(
            "ResourceLimitExceeded",
            f"The account-level service limit '{what}' is {MOST_INSTANCES} Instances, with current "
            f"utilization of 0 Instances and a request delta of {wanted} Instances. Ask for fewer.",
        )
    return wanted
