"""What the platform's warm process holds: all that a replica of a built-in needs, shared by all.

Large libraries that only some need (xgboost, PyArrow) are left out: they would take more memory
than all that is held, and begin threads of their own, after which nothing can be forked safely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tidemill import registry
from tidemill.engine.nursery import Nursery

VARIABLE = "TIDEMILL_WARM_FORKS"
QUIET_SECONDS = 1.0
"""So long the rest of the platform may come up undisturbed."""


@contextmanager
def warm_forks(modules: Sequence[str], environment: Mapping[str, str]) -> Iterator[Nursery | None]:
    """A nursery for workers of these modules; None where ``TIDEMILL_WARM_FORKS=0`` forbids it."""
    if environment.get(VARIABLE) == "0":
        yield None
        return
    nursery = Nursery(modules, list(registry.BUILT_IN.values()))
    nursery.prepare(QUIET_SECONDS)
    try:
        yield nursery
    finally:
        nursery.close()
