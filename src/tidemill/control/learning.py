"""Where the replicas of a variant learn: a directory that they have in common, for each config."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tidemill.control.plan.fleet import EndpointState


def place(state: EndpointState, variant: str, generation: int) -> Path:
    """The directory of one variant of one fleet: another config begins with its own artifact."""
    return Path(state.home) / "learning" / f"{variant}-{generation}"


def done_with(old: EndpointState, new: EndpointState) -> Iterator[Path]:
    """Directories of fleets whose last replica has gone."""
    staying = {new.generation, *([new.pending.generation] if new.pending else [])}
    before = {(one.variant, one.generation) for one in old.replicas.values()}
    after = {(one.variant, one.generation) for one in new.replicas.values()}
    for variant, generation in before - after:
        if generation not in staying:
            yield place(new, variant, generation)
