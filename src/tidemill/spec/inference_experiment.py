"""An inference experiment: a shadow beside an endpoint's production variant, for a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from tidemill.spec import capture as captures
from tidemill.spec.capture import Capture
from tidemill.spec.endpoint_config import ProductionVariant

LONGEST_DAYS, DAYS = 30, 7
"""That an experiment may last, and does where its schedule does not say."""
DAY = 86_400.0


class ExperimentStatus(StrEnum):
    """AWS's words."""

    CREATING = "Creating"
    CREATED = "Created"
    UPDATING = "Updating"
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing happens any more."""
        return self in (ExperimentStatus.COMPLETED, ExperimentStatus.CANCELLED)

    @property
    def is_steady(self) -> bool:
        """Whether it may be changed: no deployment of it is under way."""
        return self in (ExperimentStatus.CREATED, ExperimentStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Experiment:
    """source: the production variant · shadow: what is tried beside it · percentage: of the
    requests that are copied · start, end: epoch seconds · capture: what of the requests is written
    down while it runs, None for what is anyway · before: what was captured before it
    """

    endpoint: str
    source: ProductionVariant
    shadow: ProductionVariant
    percentage: int
    start: float
    end: float
    capture: Capture | None = None
    before: Capture | None = None

    def variants(self, *, runs: bool) -> tuple[ProductionVariant, ...]:
        """What the endpoint has; before the experiment runs its shadow gets no copies."""
        weight = self.percentage / 100 if runs else 0.0
        source = replace(self.source, weight=1.0, shadow=False)
        return source, replace(self.shadow, weight=weight, shadow=True)


def from_document(document: Mapping[str, Any]) -> Experiment:
    """Read what ``dataclasses.asdict`` made of one; fields of a later version are passed over."""
    names = {one.name for one in fields(Experiment)}
    nested = {
        "source": ProductionVariant(**document["source"]),
        "shadow": ProductionVariant(**document["shadow"]),
        "capture": captures.from_document(document.get("capture")),
        "before": captures.from_document(document.get("before")),
    }
    return Experiment(**{**{n: v for n, v in document.items() if n in names}, **nested})
