"""What training has: the booster, what it began with, and rows until they have been taken in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.xgboost.saved import about
from tidemill.data.batch import Batch
from tidemill.kernels import sound

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Best:
    """The best round so far, by what early stopping looks at. round: from the model's first, 0"""

    score: float
    round: int


@dataclass(frozen=True, slots=True)
class XGBoostState:
    """The booster after the rounds made so far, and the rows that were read but not yet taken in.

    Trees are grown over all rows, again and again: they are gathered in the first pass, and handed
    to the library when it closes, which keeps a byte or two of each value. The state then lets go
    of them, unless they came from several workers, who could not read them again.

    booster: as the library writes it (UBJSON), empty before the first round · before: what this
    training began with, kept only where rounds draw random numbers · inherited: rounds of it
    rounds: made in this training · asked, last: num_round and rounds made of an earlier training,
    for as long as there is no row of another · columns: of the rows
    gathered, held: rows of the training and validation channel in this pass · parts: workers whose
    rows these are · kept: rows of several workers · seen: what rows read again must add up to
    """

    booster: Bytes
    before: Bytes
    inherited: int = 0
    rounds: int = 0
    asked: int = 0
    last: int = 0
    columns: int = 0
    gathered: tuple[Batch, ...] = ()
    held: tuple[Batch, ...] = ()
    kept: tuple[Batch, ...] = ()
    parts: int = 1
    seen: int = 0
    best: Best | None = None
    lines: tuple[str, ...] = ()
    is_over: bool = False

    def check(self) -> None:
        for name in ("booster", "before"):
            sound.shaped(name, getattr(self, name), None)
            if len(getattr(self, name)):
                about(getattr(self, name).tobytes())
        for name in ("inherited", "rounds", "asked", "last", "columns"):
            sound.between(name, getattr(self, name), 0)


def let_go_of_rows(state: XGBoostState) -> XGBoostState:
    """The state without the rows of this pass; the one passed in, given up, loses them at once.

    Whoever called still has it by name, and would else keep the rows while rounds are made.
    """
    for name in ("gathered", "held"):
        object.__setattr__(state, name, ())
    return state


def bytes_of(data: bytes | bytearray) -> Bytes:
    """What the library wrote, as an array."""
    return np.frombuffer(bytes(data), np.uint8)


NOTHING = bytes_of(b"")
