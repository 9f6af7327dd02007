"""One mini-batch: scores, slopes and new weights of all candidates, with two matrix products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.linear_learner.hyperparameters import LinearLearnerHyperparameters
from tidemill.algorithms.linear_learner.losses import loss_of
from tidemill.algorithms.linear_learner.optimizers import optimizer_of, shrinkage
from tidemill.algorithms.linear_learner.plan import Candidates, Plan
from tidemill.algorithms.linear_learner.scaler import Scaler
from tidemill.algorithms.linear_learner.sparse import compact, whole
from tidemill.algorithms.linear_learner.state import Iterate
from tidemill.data.batch import Csr, Floats, Integers

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Doubles = NDArray[np.float64]
_MOST_OWED = 100.0


@dataclass(frozen=True, slots=True)
class Active:
    """A batch over the columns that it works on.

    index: rows of the weights that these are, the bias last; None for all
    inverse: (columns, 1) · mean: (columns,) still to be taken off, or None
    """

    matrix: Floats | csr_array[Any, tuple[int, int]]
    index: Integers | None
    inverse: Floats
    mean: Floats | None


class Stepper:
    """Scaled columns are never made: the scaler is folded into the weights on the way forward,
    and into their gradient on the way back, so a batch is read twice and copied never.

    Holds buffers and constants only: whatever must be remembered is in the Iterate.
    """

    def __init__(
        self,
        given: LinearLearnerHyperparameters,
        plan: Plan,
        scaler: Scaler,
        candidates: Candidates,
        mean_weight: float = 1.0,
    ) -> None:
        """mean_weight: of a row, as far as the survey knows."""
        self.plan = plan
        self.columns = len(scaler.mean)
        self.models = len(candidates)
        self.loss = loss_of(plan.loss, given)
        self.optimizer = optimizer_of(plan)
        self.width = given.outputs * self.models
        self.mean_weight = mean_weight
        self._scale(scaler)
        rows, bias = np.ones(self.columns + 1), np.zeros(self.columns + 1)
        rows[-1], bias[-1] = 0, 1
        tile = [np.tile(v, given.outputs) for v in _columns(candidates)]
        self.base_rate, wd, l1 = tile
        self.by_weight = rows + bias * (plan.bias_lr_mult if given.use_bias else 0)
        self.wd = _outer(rows + bias * plan.bias_wd_mult, wd) if wd.any() else None
        self.l1 = _outer(rows, l1) if l1.any() else None
        self.lazy = _lazy(scaler, given.mini_batch_size)
        self.rate, self.decays = self._rate(0), 0
        self.ones = np.ones(0, np.float32)
        self.scores = self.spare = np.empty((0, self.width), np.float32)

    def _scale(self, scaler: Scaler) -> None:
        base = scaler.base()
        rest = scaler.mean if base is None else scaler.mean - base
        self.base = base
        self.inverse = scaler.inverse.astype(np.float32)[:, None]
        self.mean = rest.astype(np.float32) if rest.any() else None
        self.whole_mean = scaler.mean.astype(np.float32) if scaler.mean.any() else None

    def learn(
        self, at: Iterate, features: Floats | Csr, labels: Floats, rows: Floats | None
    ) -> tuple[Iterate, Floats, float]:
        """One step: (the new iterate, (models,) summed losses before it, weight of the rows).

        The iterate's arrays are changed in place. labels: scaled · rows: weights, None for ones
        """
        active = self._active(features)
        weights = at.weights if active.index is None else at.weights[active.index]
        slopes = self._scores(active, weights)
        each, weight = self._row_weights(len(labels), rows)
        lost = self.loss(slopes, labels, each, self.spare[: len(labels)])
        if weight <= 0:
            return at, lost, 0.0
        if rows is not None:
            slopes *= rows[:, None]
        largest = max(at.largest, len(labels))
        gradient = self._gradient(active, slopes, each)
        # By the usual rows and weight, not its own: a short last batch, or one of light rows,
        # counts for what it holds; its noise would else jolt a settled model.
        gradient *= np.float32(1 / (largest * self.mean_weight))
        self._apply(at, active.index, weights, gradient)
        after = Iterate(at.weights, at.moments, at.drag, at.steps + 1, at.averaged + 1, largest)
        return after, lost, weight

    def lose(
        self, weights: Floats, features: Floats | Csr, labels: Floats, rows: Floats | None
    ) -> tuple[Floats, Floats, float]:
        """Raw scores (rows, outputs · models), summed losses (models,) and the rows' weight."""
        active = self._active(features)
        taken = weights if active.index is None else weights[active.index]
        scores = self._scores(active, taken).copy()
        each, weight = self._row_weights(len(labels), rows)
        lost = self.loss(self.scores[: len(labels)], labels, each, self.spare[: len(labels)])
        return scores, lost, weight

    def _active(self, features: Floats | Csr) -> Active:
        if not isinstance(features, Csr):
            dense = features if self.base is None else features - self.base
            return Active(dense, None, self.inverse, self.mean)
        if self.whole_mean is not None:
            return Active(whole(features), None, self.inverse, self.whole_mean)
        matrix, touched = compact(features)
        return Active(matrix, np.append(touched, self.columns), self.inverse[touched], None)

    def _scores(self, active: Active, weights: Floats) -> Floats:
        rows = active.matrix.shape[0]
        if rows > len(self.scores):
            self.scores = np.empty((rows, self.width), np.float32)
            self.spare = np.empty_like(self.scores)
        scores = self.scores[:rows]
        scaled = weights[:-1] * active.inverse
        bias = weights[-1] if active.mean is None else weights[-1] - active.mean @ scaled
        if isinstance(active.matrix, np.ndarray):
            np.matmul(active.matrix, scaled, out=scores)
            scores += bias
        else:
            np.add(active.matrix @ scaled, bias, out=scores)
        return scores

    def _gradient(self, active: Active, slopes: Floats, each: Floats) -> Floats:
        gradient = np.empty((active.inverse.shape[0] + 1, self.width), np.float32)
        inner, sums = gradient[:-1], np.matmul(self.ones[: len(each)], slopes, out=gradient[-1])
        if isinstance(active.matrix, np.ndarray):
            np.matmul(active.matrix.T, slopes, out=inner)
        else:
            inner[...] = active.matrix.T @ slopes
        if active.mean is not None:
            inner -= active.mean[:, None] * sums
        inner *= active.inverse
        return gradient

    def _apply(
        self, at: Iterate, index: Integers | None, weights: Floats, gradient: Floats
    ) -> None:
        size = len(gradient)
        # All rows of these tables but the last, the bias's, are alike: any part of them will do.
        lazy = 1 if index is None or self.lazy is None else self.lazy[index]
        if self.wd is not None:
            gradient += self.wd[-size:] * weights * lazy
        moments = at.moments if index is None else tuple(m[index] for m in at.moments)
        rate = self._rate_at(at.steps)[-size:]
        change, own = self.optimizer.step(gradient, moments, rate, at.steps + 1)
        if self.l1 is not None:
            change = change + shrinkage(weights - change, own * self.l1[-size:] * lazy)
        weights -= change
        drag = change * np.float32(at.averaged)
        if index is None:
            np.add(at.drag, drag, out=at.drag)
            return
        at.weights[index] = weights
        at.drag[index] += drag
        for kept, part in zip(at.moments, moments, strict=True):
            kept[index] = part

    def _row_weights(self, count: int, rows: Floats | None) -> tuple[Floats, float]:
        if count > len(self.ones):
            self.ones = np.ones(count, np.float32)
        if rows is None:
            return self.ones[:count], float(count)
        return rows, float(rows.sum(dtype=np.float64))

    def _rate_at(self, steps: int) -> Floats:
        decays = steps // self.plan.lr_step
        if decays != self.decays:
            self.rate, self.decays = self._rate(decays), decays
        return self.rate

    def _rate(self, decays: int) -> Floats:
        least = np.minimum(self.base_rate, self.plan.lr_minimum)
        return _outer(
            self.by_weight, np.maximum(self.base_rate * self.plan.lr_factor**decays, least)
        )


def _columns(candidates: Candidates) -> tuple[Floats, Floats, Floats]:
    return candidates.learning_rate, candidates.wd, candidates.l1


def _outer(by_row: Doubles, by_column: NDArray[np.floating]) -> Floats:
    return np.outer(by_row, by_column).astype(np.float32)


def _lazy(scaler: Scaler, rows: int) -> Floats | None:
    """(columns + 1, 1) how many steps' penalties a column owes when a mini-batch comes that has it:
    one by the chance of that."""
    if scaler.share is None:
        return None
    chance = 1 - (1 - np.minimum(scaler.share, 1)) ** rows
    return np.append(1 / np.maximum(chance, 1 / _MOST_OWED), 1).astype(np.float32)[:, None]
