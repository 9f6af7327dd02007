"""How good a model is on a channel: evidence gathered batch by batch, merged, read out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidemill.algorithms.base import Algorithm, Evaluation, Measure
from tidemill.training.loop import Rows


def evaluate(algorithm: Algorithm[Any], model: Any, rows: Rows) -> Sequence[Measure]:
    """The measures over one pass; none when the rows carry no evidence."""
    gathered: Evaluation | None = None
    for batch, _ in rows.read(0):
        evidence = algorithm.evaluate(model, batch)
        gathered = gathered.merge(evidence) if gathered and evidence else gathered or evidence
    return gathered.measures() if gathered else ()
