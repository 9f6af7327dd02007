"""Alarms: rows of kind ``alarm`` whose status is the alarm's state."""

from __future__ import annotations

from tidemill.control.verbs import Verbs

KIND = "alarm"


def state(verbs: Verbs, region: str, name: str) -> str | None:
    """``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``; None when there is no such alarm."""
    row = verbs.store.get(KIND, region, name)
    return None if row is None else row.status
