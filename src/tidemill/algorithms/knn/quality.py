"""How good the answers are on labelled rows, under the names that SageMaker documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Measure
from tidemill.data.batch import Floats
from tidemill.stats.class_tally import ClassTally
from tidemill.stats.deviation import Deviation


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Mergeable. Labels that no row of the index has count as one class, never found."""

    tally: ClassTally

    @staticmethod
    def of(said: Floats, truth: Floats, classes: Floats) -> Accuracy:
        """said, truth : (rows,) labels · classes : sorted, all that ``said`` may be"""
        names = np.searchsorted(classes, truth).clip(0, len(classes) - 1)
        true = np.where(classes[names] == truth, names, len(classes))
        found = np.searchsorted(classes, said)
        hits = found[found == true]
        hit, said_, true_ = (_counts(which, len(classes) + 1) for which in (hits, found, true))
        return Accuracy(ClassTally(hit, said_, true_, top=0.0, gain=0.0))

    def merge(self, other: Accuracy) -> Accuracy:
        """Of both sets of rows."""
        return Accuracy(self.tally.merge(other.tally))

    def measures(self) -> Sequence[Measure]:
        return [
            Measure("accuracy", self.tally.accuracy(), "score"),
            Measure("macro_f_1.000", self.tally.macro_f_beta(1.0), "score"),
        ]


@dataclass(frozen=True, slots=True)
class Error:
    """Mergeable."""

    deviation: Deviation

    @staticmethod
    def of(said: Floats, truth: Floats) -> Error:
        """Both (rows,)."""
        return Error(Deviation.of(said, truth, np.ones(len(truth))))

    def merge(self, other: Error) -> Error:
        """Of both sets of rows."""
        return Error(self.deviation.merge(other.deviation))

    def measures(self) -> Sequence[Measure]:
        return [Measure("mse", self.deviation.mean_square())]


def _counts(which: NDArray[np.intp], classes: int) -> NDArray[np.float64]:
    return np.bincount(which, minlength=classes).astype(np.float64)
