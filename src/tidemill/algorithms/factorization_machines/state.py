"""All that training remembers. Its size depends on features and factors, not on rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tidemill.algorithms.factorization_machines.balance import Balance
from tidemill.algorithms.factorization_machines.quality import Quality
from tidemill.data.batch import Floats
from tidemill.kernels import sound
from tidemill.kernels.factorization_machines import HEAD, SEEN, WEIGHT, stride_of, width_of

_BLOCK = 1 << 16
_MOST_FACTORS = 1 << 20
_BORNE_OUT, _LEAST, _HOLD = 0.5, 0.01, 8.0
"""What part must be borne out · what is left of it at least · how much stronger the prior gets."""


@dataclass(frozen=True, slots=True)
class FactorizationState:
    """records: (columns, HEAD + 3 · width) float32, None until a row comes; of every feature the
    weight, its first and second moment, the entries seen in the pass that last had rows, then its
    factors, and their moments, each padded to ``width`` (see the kernel) · bias: (HEAD,) alike

    factors, is_logistic: what was trained · steps: ever made · epoch: passes closed
    seen: evidence of this pass, gathered before each step · rows: of this pass, on this worker
    closed: the evidence of the last pass · share: rows of it, on the worker that had most
    weight: of the rows of the last pass · past: of those before training was reopened
    left: share of the loss that the last pass left · held: what held-out rows say of this pass
    strength: of the prior of factors, more than 1 once held-out rows did not bear them out
    """

    records: Floats | None = None
    bias: Floats | None = None
    factors: int = 0
    is_logistic: bool = False
    steps: int = 0
    epoch: int = 0
    seen: Quality | None = None
    rows: int = 0
    closed: Quality | None = None
    share: int = 0
    weight: float = 0.0
    past: float = 0.0
    left: float = 1.0
    held: Balance | None = None
    strength: float = 1.0

    def check(self) -> None:
        sound.require((self.records is None) == (self.bias is None), "features come with a bias")
        sound.between("factors", self.factors, 0, _MOST_FACTORS)
        sound.shaped("records", self.records, None, stride_of(width_of(self.factors)))
        sound.shaped("bias", self.bias, HEAD)
        if self.records is not None:
            sound.require(len(self.records) > 0, "there are features")
            sound.counted("entries seen", self.records[:, SEEN])
        for name in ("steps", "epoch", "rows", "share", "weight", "past"):
            sound.between(name, getattr(self, name), 0)


def merged(left: FactorizationState, right: FactorizationState) -> FactorizationState:
    """Two workers' states of one pass, begun alike, as one.

    A feature becomes the mean of both, by the entries that each has seen of it; one that only one
    of them has seen is as that one left it. The mean of models is not the model of all rows, but
    evidence adds up exactly, and whoever saw no rows changes nothing.
    """
    if left.records is None or left.bias is None or not left.rows:
        return right if right.records is not None else left
    if right.records is None or right.bias is None or not right.rows:
        return left
    for start in range(0, len(left.records), _BLOCK):
        cut = slice(start, start + _BLOCK)
        _mix(left.records[cut], right.records[cut])
    _mix(left.bias[None], right.bias[None])
    return replace(
        left,
        steps=max(left.steps, right.steps),
        seen=left.seen.merge(right.seen) if left.seen and right.seen else left.seen or right.seen,
        rows=max(left.rows, right.rows),
    )


def closed(state: FactorizationState) -> FactorizationState:
    """A pass ended: its evidence read, nothing seen yet of the next."""
    state = replace(_restrained(state), epoch=state.epoch + 1)
    if state.seen is None:
        return state
    return replace(
        state,
        seen=None,
        rows=0,
        closed=state.seen,
        share=state.rows,
        weight=state.seen.weight,
        left=state.seen.left(),
    )


def _restrained(state: FactorizationState) -> FactorizationState:
    """Whatever held-out rows do not bear out made small, and factors held back from now on."""
    if state.held is None or state.records is None:
        return state
    linear, pairs = state.held.sizes()
    strength = state.strength
    if linear < _BORNE_OUT:
        state.records[:, WEIGHT] *= max(linear, _LEAST)
    if pairs < _BORNE_OUT:
        factors_of(state)[...] *= math.sqrt(max(pairs, _LEAST))
        strength *= _HOLD
    return replace(state, held=None, strength=strength)


def factors_of(state: FactorizationState) -> Floats:
    """(columns, factors), a view of the records."""
    assert state.records is not None
    return state.records[:, HEAD : HEAD + state.factors]


def _mix(left: Floats, right: Floats) -> None:
    """Records of two workers into the left ones."""
    mine, others = left[:, SEEN].copy(), right[:, SEEN]
    total = mine + others
    share = np.divide(others, total, out=np.zeros_like(total), where=total > 0)[:, None]
    left *= 1 - share  # so that a share of all, or of none, leaves no trace of the other
    left += right * share
    left[:, SEEN] = total
