"""Progressive validation: every row is first predicted, and only then learned from.

The error that such predictions make is what the learner would have made as it went along (Blum,
Kalai & Langford, "Beating the hold-out", COLT 1999; Dawid's prequential principle, 1984): an honest
estimate that needs no rows to be held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidemill.algorithms.base import Algorithm, Evaluation, Measure
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch

_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Mean:
    """What a model answers on average, where nothing tells how good that is."""

    name: str
    total: float
    weight: float

    def merge(self, other: Mean) -> Mean:
        """Of both sets of rows."""
        return Mean(self.name, self.total + other.total, self.weight + other.weight)

    def measures(self) -> Sequence[Measure]:
        return [Measure(f"mean_{self.name}", self.total / (self.weight or 1.0))]


def tested(algorithm: Algorithm[Any], model: Any, parts: Sequence[Batch]) -> Evaluation:
    """What a model makes of rows that it has not learned from; of one part or more."""
    gathered: Evaluation | None = None
    for part in parts:
        for batch in part.split(_ROWS):
            evidence = test(algorithm, model, batch)
            gathered = evidence if gathered is None else gathered.merge(evidence)
    assert gathered is not None
    return gathered


def test(algorithm: Algorithm[Any], model: Any, batch: Batch) -> Evaluation:
    """Of one batch; raises Invalid for rows that can not be learned from."""
    with np.errstate(over="ignore", invalid="ignore"):
        found: Evaluation | None = algorithm.evaluate(model, batch)
        if found is not None:
            return found
        name, answers = next(iter(model.predict(batch).items()))
        return Mean(name, float(answers.sum(dtype=np.float64)), float(len(batch)))


def added(before: bytes | None, evidence: Evaluation) -> tuple[bytes, Mapping[str, float]]:
    """Evidence with that of before: its bytes, and its measures by name."""
    every = from_bytes(type(evidence), before).merge(evidence) if before else evidence
    return to_bytes(every), measures(every)


def measures(evidence: Evaluation) -> Mapping[str, float]:
    """As numbers by name, those that are numbers."""
    found = ((one.name, float(one.value)) for one in evidence.measures())
    return {name: value for name, value in found if np.isfinite(value)}
