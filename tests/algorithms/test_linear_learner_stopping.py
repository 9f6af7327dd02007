"""When training ends, and what of it is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.algorithms.test_linear_learner import binary, learner
from tidemill.algorithms.linear_learner.state import Evidence, LinearState


def judged(losses: list[list[float]], **given: object) -> LinearState:
    """The state after epochs in which the candidates had these losses on held-out rows."""
    rows = binary(100)
    algorithm = learner("binary_classifier", num_models=len(losses[0]), epochs=99, **given)
    state = algorithm.close_pass(algorithm.update(algorithm.start(), rows))
    for loss in losses:
        state = algorithm.update(state, rows)
        held = Evidence(100, 100.0, 100 * np.array(loss))
        state = algorithm.close_pass(replace(state, held=held, held_out=True))
    return state


def test_training_goes_on_while_the_leading_candidate_gains_on_itself() -> None:
    lucky = [[0.9, 0.9], [0.8, 0.5], [0.7, 0.8], [0.65, 0.9], [0.6, 0.9], [0.55, 0.9]]
    state = judged(lucky, early_stopping_patience=2)
    assert (state.phase, state.epoch, state.stalled) == ("train", 6, 0)
    assert state.best_loss is not None
    np.testing.assert_allclose(state.best_loss, [0.55, 0.5])


@pytest.mark.parametrize(("gain", "stalled"), [(0.0009, 1), (0.0011, 0), (-0.5, 1), (0.0, 1)])
def test_a_gain_below_the_tolerance_counts_as_none(gain: float, stalled: int) -> None:
    assert judged([[0.5, 9.0], [0.5 * (1 - gain), 9.0]]).stalled == stalled
