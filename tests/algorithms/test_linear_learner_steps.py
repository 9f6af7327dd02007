"""Slopes, optimizers, averages: the arithmetic of one step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.algorithms.linear_learner.hyperparameters import LinearLearnerHyperparameters
from tidemill.algorithms.linear_learner.losses import OBJECTIVES, loss_of
from tidemill.algorithms.linear_learner.optimizers import optimizer_of
from tidemill.algorithms.linear_learner.plan import candidates, plan
from tidemill.algorithms.linear_learner.scaler import Scaler
from tidemill.algorithms.linear_learner.state import Iterate
from tidemill.algorithms.linear_learner.step import Stepper

KINDS = {
    "logistic": "binary_classifier",
    "hinge_loss": "binary_classifier",
    "softmax_loss": "multiclass_classifier",
}


def settings_of(loss: str) -> LinearLearnerHyperparameters:
    return LinearLearnerHyperparameters(
        predictor_type=KINDS.get(loss, "regressor"),
        loss=loss,
        num_classes=3,
        quantile=0.3,
        loss_insensitivity=0.2,
        huber_delta=0.5,
        margin=1.5,
    )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_slopes_are_the_derivatives_of_the_losses(name: str) -> None:
    given, models = settings_of(name), 2
    draws = np.random.default_rng(0)
    width = given.outputs * models
    scores = draws.normal(size=(40, width)).astype(np.float32)
    labels = draws.integers(0, 3 if given.outputs == 3 else 2, 40).astype(np.float32)
    rows, loss, small = np.ones(40, np.float32), loss_of(name, given), 1e-2
    slopes = scores.copy()
    loss(slopes, labels, rows, np.empty_like(scores))
    for column in range(width):
        for row in range(0, 40, 7):
            alone = np.zeros(40, np.float32)
            alone[row] = 1
            sides = []
            for step in (small, -small):
                moved = scores.copy()
                moved[row, column] += step
                total = loss(moved, labels, alone, np.empty_like(scores))
                sides.append(float(total[column % models]))
            numeric = (sides[0] - sides[1]) / (2 * small)
            assert slopes[row, column] == pytest.approx(numeric, abs=0.02)


def test_a_logistic_loss_far_out_stays_finite() -> None:
    scores = np.float32([[1e4], [-1e4], [1e4], [-1e4]])
    labels, rows = np.float32([1, 0, 0, 1]), np.ones(4, np.float32)
    total = loss_of("logistic", settings_of("logistic"))(scores, labels, rows, scores.copy())
    assert total[0] == pytest.approx(160, abs=1e-3)
    np.testing.assert_allclose(scores[:, 0], [0, 0, 1, -1], atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_an_optimizer_walks_as_its_paper_says(name: str) -> None:
    given = LinearLearnerHyperparameters(predictor_type="regressor", optimizer=name, momentum=0.8)
    optimizer = optimizer_of(plan(given))
    draws = np.random.default_rng(0)
    at, wanted = np.ones((3, 2), np.float32), np.ones((3, 2))
    moments = tuple(np.zeros((3, 2), np.float32) for _ in range(optimizer.moments))
    first = second = np.zeros((3, 2))
    rate = np.full((3, 2), 0.1, np.float32)
    for count in range(1, 30):
        slope = draws.normal(size=(3, 2))
        at -= optimizer.step(slope.astype(np.float32), moments, rate, count)[0]
        if name == "sgd":
            first = 0.8 * first + 0.1 * slope
            wanted -= first
        elif name == "adam":
            first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
            wanted -= (
                0.1 * (first / (1 - 0.9**count)) / (np.sqrt(second / (1 - 0.999**count)) + 1e-8)
            )
        else:
            second = 0.9 * second + 0.1 * slope**2
            wanted -= 0.1 * slope / (np.sqrt(second) + 1e-8)
    np.testing.assert_allclose(at, wanted, rtol=1e-4, atol=1e-5)


def stepper(**more: object) -> Stepper:
    given = LinearLearnerHyperparameters(
        predictor_type="regressor", num_models=3, **more,  # type: ignore[arg-type]
    )  # fmt: skip
    scaler = Scaler(np.array([1.0, -2.0]), np.array([0.5, 2.0]), 0.0, 1.0)
    return Stepper(given, plan(given), scaler, candidates(given, 2))


def fresh() -> Iterate:
    zeros = [np.zeros((3, 3), np.float32) for _ in range(4)]
    return Iterate(zeros[0], (zeros[1], zeros[2]), zeros[3], 0, 0, 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 1000))
def test_the_average_is_the_mean_of_the_iterates(steps: int, seed: int) -> None:
    draws, walk, at = np.random.default_rng(seed), stepper(), fresh()
    seen = []
    for _ in range(steps):
        features = draws.normal(size=(8, 2)).astype(np.float32)
        at, _, _ = walk.learn(at, features, features.sum(axis=1), None)
        seen.append(at.weights.copy())
    np.testing.assert_allclose(at.average(), np.mean(seen, axis=0), atol=1e-5)


def test_folding_the_scaler_in_is_scaling_the_rows() -> None:
    draws, walk = np.random.default_rng(0), stepper()
    features = draws.normal(size=(8, 2)).astype(np.float32)
    weights = draws.normal(size=(3, 3)).astype(np.float32)
    scores, _, _ = walk.lose(weights, features, features[:, 0], None)
    scaled = (features - [1.0, -2.0]) * [0.5, 2.0]
    np.testing.assert_allclose(scores, scaled @ weights[:2] + weights[2], rtol=1e-4, atol=1e-5)


def test_the_rate_decays_by_the_schedule_down_to_its_minimum() -> None:
    walk = stepper(
        learning_rate=1.0, lr_scheduler_step=10, lr_scheduler_factor=0.5,
        lr_scheduler_minimum_lr=0.2, bias_lr_mult=4.0,
    )  # fmt: skip
    rates = [(float(r[0, 0]), float(r[2, 0])) for r in map(walk._rate_at, (0, 9, 10, 20, 30, 400))]
    assert rates == [
        pytest.approx(p) for p in [(1, 4), (1, 4), (0.5, 2), (0.25, 1), (0.2, 0.8), (0.2, 0.8)]
    ]


def test_rows_without_weight_move_nothing() -> None:
    walk, at = stepper(), fresh()
    features = np.ones((4, 2), np.float32)
    after, _, weight = walk.learn(at, features, np.ones(4, np.float32), np.zeros(4, np.float32))
    assert weight == 0
    assert after.steps == 0
    assert not after.weights.any()
