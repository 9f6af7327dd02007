"""Which step adjustments fit together: one for every distance at the most, and no gaps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.traffic.scaling import EXACT, PERCENT

MOST_STEPS = 20
_LOWER, _UPPER = "MetricIntervalLowerBound", "MetricIntervalUpperBound"


def check(told: Mapping[str, Any]) -> None:
    """Raises ValidationException, or LimitExceededException for too many."""
    kind, steps = told.get("AdjustmentType"), told.get("StepAdjustments", [])
    if kind is None or not steps:
        raise invalid("AdjustmentType and StepAdjustments must be specified.")
    if len(steps) > MOST_STEPS:
        raise Fault(
            "LimitExceededException",
            f"A policy may have at most {MOST_STEPS} step adjustments; got {len(steps)}.",
        )
    if told.get("Cooldown", 0) < 0:
        raise invalid(f"Cooldown must be at least 0; got {told['Cooldown']}.")
    if "MinAdjustmentMagnitude" in told and (kind != PERCENT or told["MinAdjustmentMagnitude"] < 0):
        raise invalid(f"MinAdjustmentMagnitude is at least 0, and for {PERCENT} only.")
    if kind == EXACT and any(step["ScalingAdjustment"] < 0 for step in steps):
        raise invalid("ScalingAdjustment must be at least 0 for ExactCapacity.")
    _check_bounds(steps)


def _check_bounds(steps: Sequence[Mapping[str, Any]]) -> None:
    bounds = sorted((s.get(_LOWER, -math.inf), s.get(_UPPER, math.inf)) for s in steps)
    if len(steps) > 1 and (-math.inf, math.inf) in bounds:
        raise invalid("A step adjustment without bounds must be the only one.")
    if any(lower >= upper for lower, upper in bounds):
        raise invalid(f"{_LOWER} must be less than {_UPPER}.")
    for (_, upper), (lower, _) in pairwise(bounds):
        if lower < upper:
            raise invalid("StepAdjustment intervals cannot overlap.")
        if lower > upper:
            raise invalid("StepAdjustment intervals cannot have gaps between them.")
    if -math.inf < bounds[0][0] < 0:
        raise invalid(f"With a negative {_LOWER}, one step adjustment must have none.")
    if 0 < bounds[-1][1] < math.inf:
        raise invalid(f"With a positive {_UPPER}, one step adjustment must have none.")
