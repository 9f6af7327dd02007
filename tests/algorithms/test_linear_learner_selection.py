"""Which candidate is chosen, and from which score it says yes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from tests.algorithms.test_linear_learner import answers, binary, train
from tidemill.algorithms.linear_learner import DECLARATION
from tidemill.algorithms.linear_learner.hyperparameters import (
    CRITERIA,
    LinearLearnerHyperparameters,
)
from tidemill.algorithms.linear_learner.selection import choose
from tidemill.stats.confusion import Confusion
from tidemill.stats.score_histogram import ScoreHistogram


def draw() -> tuple[np.ndarray, np.ndarray]:
    """Scores of three models, the second the best, and which rows are positive."""
    draws = np.random.default_rng(0)
    positive = draws.random(8_000) < 0.2
    noise = draws.normal(size=(8_000, 3)) * [2, 0.7, 1.4]
    return noise + 2.0 * positive[:, None] - 0.5, positive


def chosen(criterion: str, **more: object) -> tuple[int, Confusion]:
    scores, positive = draw()
    given = LinearLearnerHyperparameters(
        predictor_type="binary_classifier",
        binary_classifier_model_selection_criteria=criterion,
        **more,  # type: ignore[arg-type]
    )
    histogram = ScoreHistogram.of(scores, positive, np.ones(len(scores)))
    model, threshold = choose(given, histogram, np.array([0.5, 0.3, 0.4]))
    return model, Confusion.of(scores[:, model] >= threshold, positive, np.ones(len(scores)))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_finds_the_best_model(criterion: str) -> None:
    assert chosen(criterion)[0] == 1


def test_targets_are_reached_and_the_rest_is_as_good_as_can_be() -> None:
    _, recalling = chosen("precision_at_target_recall", target_recall=0.9)
    assert 0.9 <= recalling.recall() < 0.91
    _, precise = chosen("recall_at_target_precision", target_precision=0.95)
    assert 0.95 <= precise.precision() < 0.96


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_no_other_threshold_has_a_better_f_score(beta: float) -> None:
    scores, positive = draw()
    model, found = chosen("f_beta", f_beta=beta)
    rivals = [
        Confusion.of(scores[:, model] >= t, positive, np.ones(len(scores))).f_beta(beta)
        for t in np.linspace(-2, 3, 26)
    ]
    assert found.f_beta(beta) >= max(rivals) - 1e-3


def by_hand(criterion: str, said: np.ndarray, truth: np.ndarray, rows: np.ndarray) -> float:
    """What the criterion ranks one decision by, from scikit-learn's scores of it."""
    precision, recall, f_beta, _ = precision_recall_fscore_support(
        truth, said, beta=2.0 if criterion == "f_beta" else 1.0, average="binary",
        sample_weight=rows, zero_division=0,
    )  # fmt: skip
    if criterion == "accuracy":
        return float(accuracy_score(truth, said, sample_weight=rows))
    if criterion == "precision_at_target_recall":
        return float(1 + precision if recall >= 0.7 else recall - 0.7)
    if criterion == "recall_at_target_precision":
        return float(1 + recall if precision >= 0.6 else precision - 0.6)
    return float(f_beta)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("criterion", [c for c in CRITERIA if "loss" not in c])
def test_no_threshold_at_all_would_be_better(criterion: str, seed: int) -> None:
    draws = np.random.default_rng(seed)
    truth = draws.random(400) < 0.3
    scores = (draws.normal(size=400) * 2 + 1.5 * truth - 3).round(1) + 0.04
    rows = draws.integers(1, 4, 400).astype(float)
    given = LinearLearnerHyperparameters(
        predictor_type="binary_classifier", f_beta=2.0, target_recall=0.7, target_precision=0.6,
        binary_classifier_model_selection_criteria=criterion,
    )  # fmt: skip
    histogram = ScoreHistogram.of(scores[:, None], truth, rows)
    _, threshold = choose(given, histogram, np.array([0.5]))
    reached = by_hand(criterion, scores >= threshold, truth, rows)
    rivals = [by_hand(criterion, scores >= t, truth, rows) for t in [*np.unique(scores), 99]]
    assert reached == pytest.approx(max(rivals))


def test_a_target_out_of_reach_is_approached() -> None:
    scores = np.zeros((10, 1))
    histogram = ScoreHistogram.of(scores, np.arange(10) < 3, np.ones(10))
    given = LinearLearnerHyperparameters(
        predictor_type="binary_classifier",
        binary_classifier_model_selection_criteria="recall_at_target_precision",
    )
    model, threshold = choose(given, histogram, np.array([1.0]))
    assert model == 0
    assert (scores >= threshold).all()


def test_a_model_that_diverged_is_never_chosen() -> None:
    scores, positive = draw()
    histogram = ScoreHistogram.of(scores, positive, np.ones(len(scores)))
    given = LinearLearnerHyperparameters(predictor_type="binary_classifier")
    assert choose(given, histogram, np.array([0.5, np.inf, 0.4]))[0] != 1


def test_candidates_that_differ_by_noise_are_ranked_by_loss() -> None:
    draws = np.random.default_rng(0)
    positive = draws.random(1000) < 0.5
    alike = draws.normal(size=(1000, 1)) + 2.0 * positive[:, None] - 1
    scores = alike + draws.normal(size=(1000, 4)) * 0.02
    histogram = ScoreHistogram.of(scores, positive, np.ones(1000))
    given = LinearLearnerHyperparameters(predictor_type="binary_classifier")
    for best in range(4):
        loss = np.where(np.arange(4) == best, 0.3, 0.4)
        assert choose(given, histogram, loss)[0] == best


def test_a_target_recall_holds_on_the_validation_channel() -> None:
    rows, held_out = binary(), binary(3000, seed=1)
    model, _ = train(
        "binary_classifier", rows, held_out, target_recall=0.95, mini_batch_size=100,
        binary_classifier_model_selection_criteria="precision_at_target_recall",
    )  # fmt: skip
    said = answers(model, held_out)["predicted_label"] == 1
    assert said[held_out.labels == 1].mean() == pytest.approx(0.95, abs=0.01)


def test_calibration_looks_at_no_more_rows_than_asked() -> None:
    rows, held_out = binary(1000), binary(3000, seed=1)
    _, few = train("binary_classifier", rows, held_out, num_calibration_samples=700)
    _, all_ = train("binary_classifier", rows, held_out)
    assert few.held is not None
    assert all_.held is not None
    assert (few.held.rows, all_.held.rows) == (700, 3000)


LINES = {
    "validation:objective_loss": "epoch=3, validation mse_objective <loss>=0.5",
    "train:objective_loss": "epoch=3, train hinge_loss_objective <loss>=0.5",
    "train:objective_loss:final": "train hinge_loss_objective <loss>=0.5",
    "validation:objective_loss:final": "validation mse_objective <loss>=0.5",
    "validation:binary_f_beta": "validation binary_f_1.000 <score>=0.5",
    "test:binary_f_beta": "test binary_f_0.500 <score>=0.5",
    "test:roc_auc_score": "test roc_auc_score <score>=0.5",
    "test:multiclass_top_k_accuracy": "test multiclass_top_k_accuracy_3 <score>=0.5",
    "validation:macro_f_beta": "validation macro_f_1.000 <score>=0.5",
    "test:mse": "test mse <loss>=0.5",
    "validation:rmse": "validation rmse <loss>=0.5",
    "test:absolute_loss": "test absolute_loss <loss>=0.5",
    "test:objective_loss": "test mse_objective <loss>=0.5",
}


@pytest.mark.parametrize("name", LINES)
def test_a_metric_is_found_in_its_log_line_and_in_no_other(name: str) -> None:
    declared = {m.name: m.regex for m in DECLARATION.metrics}
    for other, text in LINES.items():
        found = re.search(declared[name], f"#quality_metric: host=algo-1, {text}")
        assert bool(found) == (name == other), f"{name} in the line of {other}"
        assert found is None or found[1] == "0.5"


def test_documented_metrics_are_all_declared() -> None:
    declared = {m.name for m in DECLARATION.metrics}
    for suffix in [
        "objective_loss",
        "binary_classification_accuracy",
        "binary_f_beta",
        "precision",
        "recall",
        "roc_auc_score",
        "multiclass_accuracy",
        "multiclass_top_k_accuracy",
        "macro_f_beta",
        "macro_precision",
        "macro_recall",
        "dcg",
        "mse",
        "absolute_loss",
    ]:
        assert {f"validation:{suffix}", f"test:{suffix}"} <= declared
    assert {"validation:rmse", "train:progress", "train:throughput"} <= declared
    assert "test:rmse" not in declared
