"""How many rounds are made in one go, between two moments to save, to tell, to stop."""

from __future__ import annotations

import math

from tidemill.algorithms.xgboost.hyperparameters import XGBoostHyperparameters

_SECOND = 2e8
"""Values that histograms take in within about a second."""
_LONGEST = 16
"""Seconds in one go, about, at most."""
_SHARE = 8
"""Rounds made so far for each in one go: saving a model costs more the more rounds it has."""
_WITH_ROWS = 4
"""Goes at most, where all rows travel with the state."""


def rounds_in_one_go(
    given: XGBoostHyperparameters, done: int, work: int, *, carries_rows: bool
) -> int:
    """Rounds to make next; a function of the job alone, so that every attempt makes the same.

    done: rounds made · work: values that a round takes in · carries_rows: see ``_WITH_ROWS``
    """
    left = given.num_round - done
    if given.process_type == "update":  # a model half updated has lost its other trees
        return left
    second = max(1, int(_SECOND / max(1, work)))
    rounds = max(second, min(done // _SHARE, _LONGEST * second))
    if carries_rows:
        rounds = max(rounds, math.ceil(given.num_round / _WITH_ROWS))
    return min(rounds, left)
