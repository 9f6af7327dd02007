"""How good a model is on a channel: evidence gathered batch by batch, merged, read out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tidemill.algorithms.base import Algorithm, Evaluation, Measure
from tidemill.errors import InvalidData
from tidemill.training.loop import Rows


def evaluate(algorithm: Algorithm[Any], model: Any, rows: Rows) -> Sequence[Measure]:
    """The measures over one pass; none when the rows carry no evidence."""
    gathered: Evaluation | None = None
    for batch, _ in rows.read(0):
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that is no number tells of it
            evidence = algorithm.evaluate(model, batch)
        gathered = gathered.merge(evidence) if gathered and evidence else gathered or evidence
    return gathered.measures() if gathered else ()


def require_finite(measure: Measure) -> None:
    """Raise InvalidData when a loss is no finite number: then rows are too large for float32.

    A score may be NaN, where there is nothing to tell (roc_auc_score of one class).
    """
    if measure.kind == "loss" and not math.isfinite(measure.value):
        raise InvalidData(
            f"features and labels must be of a size for which {measure.name} is a finite number",
            got=measure.value,
            do="Scale huge ones, in training and here alike.",
        )
