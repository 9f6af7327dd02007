"""Evidence is merged over the batches of a channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.training.adder import Adder, table
from tidemill.algorithms.base import Measure
from tidemill.data.batch import Batch
from tidemill.training.evaluate import evaluate


@dataclass(frozen=True, slots=True)
class Rows:
    count: int

    def merge(self, other: Any) -> Rows:
        return Rows(self.count + other.count)

    def measures(self) -> Sequence[Measure]:
        return [Measure("rows", self.count)]


class Judge(Adder):
    """Has evidence of odd batches only."""

    def evaluate(self, model: Any, batch: Batch) -> Rows | None:
        return Rows(len(batch)) if len(batch) % 2 else None


def test_evidence_of_all_batches_is_merged() -> None:
    assert evaluate(Judge(), None, table(10)) == [Measure("rows", 10)]


def test_rows_without_evidence_have_no_measures() -> None:
    assert evaluate(Adder(), None, table(10)) == ()
    assert evaluate(Judge(), None, table(0)) == ()
