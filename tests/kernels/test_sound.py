"""Arrays from somebody's file are held against what they claim to be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tidemill.kernels import sound

ROWS = np.ones((2, 3), np.float32)


def test_what_is_sound_passes() -> None:
    sound.shaped("rows", ROWS, 2, None)
    sound.shaped("rows", None, 2, None)
    sound.within("rows", ROWS[:0], 5, 6)
    sound.within("rows", ROWS, 1, 2)
    sound.finite("rows", ROWS[:0])
    sound.counted("rows", ROWS - 1)
    sound.between("k", 2**53, 0)
    sound.rising("rows", np.array([1, 1, 2]))
    sound.rising("rows", np.array([1, 2]), strictly=True)
    sound.bounds("rows", np.array([0, 0, 3]), 2, 4)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: sound.require(False, "a law"),
        lambda: sound.shaped("rows", ROWS, 3, None),
        lambda: sound.shaped("rows", ROWS, None),
        lambda: sound.shaped("rows", np.zeros(()), None),
        lambda: sound.within("rows", ROWS, 0, 1),
        lambda: sound.within("rows", ROWS, 2, 3),
        lambda: sound.finite("rows", np.array([1, np.nan])),
        lambda: sound.finite("rows", np.array([-np.inf, 1])),
        lambda: sound.counted("rows", -ROWS),
        lambda: sound.between("k", float("nan"), 0),
        lambda: sound.between("k", -1, 0),
        lambda: sound.rising("rows", np.array([2**62, -(2**63)])),
        lambda: sound.rising("rows", np.array([1, 1]), strictly=True),
        lambda: sound.bounds("rows", np.array([0, 3]), 2, 4),
        lambda: sound.bounds("rows", np.zeros(0, np.int64), None, 4),
        lambda: sound.bounds("rows", np.array([-1, 3]), None, 4),
        lambda: sound.bounds("rows", np.array([0, 5]), None, 4),
        lambda: sound.bounds("rows", np.array([0, -(2**63)]), 1, 4),
    ],
)
def test_what_is_not_is_refused(ask: Callable[[], None]) -> None:
    with pytest.raises(ValueError, match=r"must be|does not hold"):
        ask()
