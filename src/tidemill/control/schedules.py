"""Carries out scheduled actions: gives scalable targets their new bounds when it is time."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidemill.control import scalable_target, scaling_activity, scheduled_action
from tidemill.control.scaling_activity import Activity
from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict
from tidemill.store.base import Row

_BOUNDS = ("MinCapacity", "MaxCapacity")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Schedules:
    """A duty of control: carries out every scheduled action that is due.

    What was due while control was away is done once when it is back. Doing it twice is doing it
    once, so the time of the next is written down last.
    """

    verbs: Verbs
    seconds: float = 3.0

    def tick(self, now: float) -> None:
        """One look at every scheduled action. now: epoch seconds"""
        store = self.verbs.store
        for row in store.unfinished(scheduled_action.KIND, [scheduled_action.ACTIVE]):
            due = row.document["state"]["next"]
            if due is None or due > now:
                continue
            try:
                self._carry_out(row, due, now)
            except Conflict:
                continue  # somebody has just changed it: its turn comes again
            except Exception:
                _LOG.exception("%s in %s: this turn failed", row.name, row.region)

    def _carry_out(self, row: Row, due: float, now: float) -> None:
        resource = row.document["request"]["ResourceId"]
        target = self.verbs.store.get(scalable_target.KIND, row.region, resource)
        if target is None:
            scheduled_action.delete(self.verbs, row)
            return
        suspended = target.document["request"].get("SuspendedState", {})
        if not suspended.get("ScheduledScalingSuspended", False):
            self._set_bounds(row, target, due, now)
        self._go_on(row, now)

    def _set_bounds(self, row: Row, target: Row, due: float, now: float) -> None:
        request = row.document["request"]
        bounds = {n: v for n, v in request["ScalableTargetAction"].items() if n in _BOUNDS}
        what = " and ".join(f"{_WORDS[name]} capacity to {bounds[name]}" for name in bounds)
        error = _wrong({**target.document["request"], **bounds})
        if error is None:
            scalable_target.change(self.verbs, row.region, target.name, bounds)
        said = f"Successfully set {what}." if error is None else f"Failed to set {what}. {error}"
        activity = Activity(
            str(uuid.uuid5(uuid.UUID(row.document["state"]["id"]), str(due))),
            f"Setting {what}.",
            f"scheduled action name {request['ScheduledActionName']} was triggered",
            now,
            "Successful" if error is None else "Failed",
            said,
            now,
        )
        scaling_activity.record(self.verbs, row.region, target.name, activity)

    def _go_on(self, row: Row, now: float) -> None:
        def next_one(newest: Row) -> Row:
            if newest.revision != row.revision:
                raise Conflict("the action as it was read", got=newest.revision, do="Look again.")
            state = newest.document["state"]
            due = scheduled_action.next_time(newest.document["request"], state["since"], now)
            document = {**newest.document, "state": {**state, "next": due}}
            return replace(newest, document=document)

        self.verbs.change(row.kind, row.region, row.name, next_one)


_WORDS: Mapping[str, str] = {"MinCapacity": "min", "MaxCapacity": "max"}


def _wrong(bounds: Mapping[str, Any]) -> str | None:
    low, high = bounds["MinCapacity"], bounds["MaxCapacity"]
    if low <= high:
        return None
    return f"Reason: maximum capacity {high} cannot be less than minimum capacity {low}."
