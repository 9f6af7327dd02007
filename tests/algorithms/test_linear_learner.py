"""What linear learner learns, and what its hyperparameters change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score

from tidemill.algorithms.hyperparameters import read
from tidemill.algorithms.linear_learner import DECLARATION
from tidemill.algorithms.linear_learner.learner import LinearLearner
from tidemill.algorithms.linear_learner.model import LinearModel
from tidemill.algorithms.linear_learner.plan import candidates
from tidemill.algorithms.linear_learner.state import LinearState
from tidemill.data.batch import Batch, to_csr
from tidemill.errors import InvalidHyperparameter
from tidemill.testing.algorithm import Stream
from tidemill.training.loop import Position, fit

LOSSES = (
    "squared_loss",
    "absolute_loss",
    "eps_insensitive_squared_loss",
    "eps_insensitive_absolute_loss",
    "quantile_loss",
    "huber_loss",
)


def learner(kind: str, **given: object) -> LinearLearner:
    words = {"predictor_type": kind, **{name: str(value) for name, value in given.items()}}
    made = DECLARATION.algorithm(read(DECLARATION.hyperparameters, words, algorithm="ll"))
    assert isinstance(made, LinearLearner)
    return made


def train(
    kind: str, rows: Batch, held_out: Batch | None = None, **given: object
) -> tuple[LinearModel, LinearState]:
    algorithm = learner(kind, **given)
    held = Stream([held_out]) if held_out else None
    state = fit(algorithm, Stream(list(rows.split(algorithm.batch_rows))), held_out=held)
    return algorithm.finalize(state), state


def draw(rows: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Columns of different scale and place, and a noisy score."""
    draws = np.random.default_rng(seed)
    features = draws.normal(size=(rows, 6)) * [1, 20, 0.05, 3, 1, 1] + [0, 50, 1, 0, -5, 0]
    scores = features @ [1.0, 0.05, 10, -0.3, 0.5, 0] - 10.0
    return features.astype(np.float32), scores + draws.logistic(size=rows)


def binary(rows: int = 4000, seed: int = 0) -> Batch:
    features, scores = draw(rows, seed)
    return Batch(features, (scores > 0).astype(np.float32))


def numbers(rows: int = 4000, seed: int = 0) -> Batch:
    features, scores = draw(rows, seed)
    return Batch(features, (100 * scores + 2000).astype(np.float32))


def answers(model: LinearModel, rows: Batch) -> dict[str, np.ndarray]:
    return dict(model.predict(rows))


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_binary_classifier_ranks_as_well_as_logistic_regression(optimizer: str) -> None:
    rows, probe = binary(), binary(4000, seed=1)
    model, _ = train("binary_classifier", rows, mini_batch_size=100, optimizer=optimizer)
    peer = LogisticRegression(max_iter=1000).fit(rows.features, rows.labels)
    area = roc_auc_score(probe.labels, answers(model, probe)["score"])
    assert area > roc_auc_score(probe.labels, peer.decision_function(probe.features)) - 0.002


def test_probabilities_are_those_of_logistic_regression() -> None:
    rows = binary(20_000)
    model, _ = train("binary_classifier", rows, mini_batch_size=200, wd=0, l1=0)
    peer = LogisticRegression(max_iter=1000, C=1e6).fit(rows.features, rows.labels)
    wanted = peer.predict_proba(rows.features)[:, 1]
    assert np.abs(answers(model, rows)["score"] - wanted).max() < 0.05


def test_hinge_scores_are_margins_and_not_probabilities() -> None:
    rows = binary()
    model, _ = train("binary_classifier", rows, loss="hinge_loss", mini_batch_size=100)
    score, label = answers(model, rows).values()
    assert score.min() < -0.5
    assert (label == (score >= np.float32(model.threshold))).all()
    assert (label == rows.labels).mean() > 0.7


def test_a_multiclass_classifier_is_as_right_as_softmax_regression() -> None:
    features, scores = draw(6000)
    labels = np.digitize(scores, [-2, 0, 2]).astype(np.float32)
    rows = Batch(features, labels)
    model, state = train(
        "multiclass_classifier", rows, num_classes=4, mini_batch_size=100, num_models=4
    )
    peer = LogisticRegression(max_iter=2000).fit(features / features.std(0), labels)
    found = answers(model, rows)
    assert found["score"].shape == (6000, 4)
    np.testing.assert_allclose(found["score"].sum(axis=1), 1, rtol=1e-5)
    right = (found["predicted_label"] == labels).mean()
    assert right > peer.score(features / features.std(0), labels) - 0.01
    assert state.epoch > 1


@pytest.mark.parametrize("loss", LOSSES)
def test_every_regression_loss_finds_the_line(loss: str) -> None:
    rows = numbers()
    model, _ = train("regressor", rows, loss=loss, mini_batch_size=100)
    peer = LinearRegression().fit(rows.features.astype(float), rows.labels)
    error = answers(model, rows)["score"] - rows.labels
    best = rows.labels - peer.predict(rows.features)
    assert np.abs(error).mean() < np.abs(best).mean() * 1.03


def test_a_quantile_is_above_its_share_of_the_labels() -> None:
    rows = numbers()
    model, _ = train("regressor", rows, loss="quantile_loss", quantile=0.9, mini_batch_size=100)
    assert (rows.labels <= answers(model, rows)["score"]).mean() == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(
    "given",
    [
        {"normalize_data": "false", "learning_rate": 0.3, "epochs": 60},
        {"normalize_label": "false", "learning_rate": 3},
        {"unbias_data": "false", "epochs": 60},
        {"unbias_label": "false", "learning_rate": 0.1},
        {"init_method": "normal", "init_sigma": 0.5, "init_bias": 1},
        {"use_lr_scheduler": "false"},
        {"optimizer": "sgd", "momentum": 0.5},
    ],
)
def test_however_the_data_is_scaled_the_line_is_the_same(given: dict[str, object]) -> None:
    features, scores = draw()
    rows = Batch(features / np.float32([1, 20, 0.05, 3, 1, 1]), (scores / 3).astype(np.float32))
    model, _ = train("regressor", rows, mini_batch_size=50, **given)
    error = answers(model, rows)["score"] - rows.labels
    peer = LinearRegression().fit(rows.features.astype(float), rows.labels)
    best = rows.labels - peer.predict(rows.features)
    assert (error**2).mean() < (best**2).mean() * 1.05


def test_a_huge_mean_costs_no_precision() -> None:
    draws = np.random.default_rng(0)
    day = draws.integers(1_600_000, 1_600_400, 4000).astype(np.float32)
    rows = Batch(day[:, None], (day - 1_600_200) / 10)
    model, _ = train("regressor", rows, mini_batch_size=100, learning_rate=0.1, num_models=1)
    assert np.abs(answers(model, rows)["score"] - rows.labels).max() < 1


def test_without_bias_rows_of_zeros_score_zero() -> None:
    model, _ = train("regressor", numbers(), use_bias="false", mini_batch_size=100)
    nothing = Batch(np.zeros((1, 6), np.float32))
    assert answers(model, nothing)["score"][0] == 0


def test_constant_columns_get_no_weight() -> None:
    rows = binary()
    features = np.column_stack([rows.features, np.full(4000, 7.0)]).astype(np.float32)
    model, _ = train("binary_classifier", Batch(features, rows.labels), mini_batch_size=100)
    assert model.weights[6] == 0


def test_l1_empties_columns_that_tell_nothing() -> None:
    model, _ = train("regressor", numbers(), l1=0.1, num_models=1, mini_batch_size=100)
    spread = model.weights * numbers().features.std(axis=0)
    assert model.weights[5] == 0
    assert np.abs(spread[:5]).min() > 5
    _, candidates = train("regressor", numbers(), mini_batch_size=100)
    assert candidates.best is not None
    assert candidates.best[:-1].all(), "without so much of it, none is emptied"


def test_weight_decay_shrinks_the_weights() -> None:
    sizes = [
        np.abs(train("regressor", numbers(), wd=wd, num_models=1)[0].weights).sum()
        for wd in (0, 1, 10)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_balanced_weights_find_more_of_a_rare_class() -> None:
    features, scores = draw()
    rows = Batch(features, (scores > 5).astype(np.float32))
    by_loss = {"binary_classifier_model_selection_criteria": "loss_function"}
    said = {
        weight: answers(
            train("binary_classifier", rows, positive_example_weight_mult=weight, **by_loss)[0],
            rows,
        )["predicted_label"].sum()
        for weight in ("1.0", "3.0", "balanced")
    }
    assert said["1.0"] < said["3.0"] < said["balanced"]


def test_balanced_classes_find_more_of_a_rare_one() -> None:
    features, scores = draw()
    rows = Batch(features, np.digitize(scores, [0, 6]).astype(np.float32))
    plain, even = (
        answers(
            train("multiclass_classifier", rows, num_classes=3, balance_multiclass_weights=balance)[
                0
            ],
            rows,
        )["predicted_label"]
        for balance in ("false", "true")
    )
    assert (even == 2).sum() > 1.5 * (plain == 2).sum()


def test_row_weights_count_as_repetitions() -> None:
    rows = numbers(500)
    weights = np.where(np.arange(500) < 250, 3.0, 1.0).astype(np.float32)
    weighted = Batch(rows.features, rows.labels, weights)
    repeated = rows.take(np.repeat(np.arange(500), weights.astype(int)))
    given = {"num_models": 1, "mini_batch_size": 1000, "learning_rate": 0.1, "epochs": 50}
    left, right = (train("regressor", b, **given)[0] for b in (weighted, repeated))
    np.testing.assert_allclose(left.weights, right.weights, rtol=1e-3)


def test_sparse_rows_that_fill_every_column_train_as_dense_ones_do() -> None:
    rows = binary()
    given = {"mini_batch_size": 100, "unbias_data": "false", "normalize_data": "false"}
    sparse = Batch(to_csr(rows.features), rows.labels)
    dense_model, _ = train("binary_classifier", rows, **given)
    sparse_model, _ = train("binary_classifier", sparse, **given)
    np.testing.assert_allclose(dense_model.weights, sparse_model.weights, rtol=0.02, atol=0.01)


@pytest.mark.parametrize("unbias", ["auto", "true"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_wide_sparse_rows_are_learned(unbias: str, optimizer: str) -> None:
    draws = np.random.default_rng(0)
    words = draws.integers(0, 300, (3000, 8))
    worth = draws.normal(size=300)
    features = np.zeros((3000, 1000), np.float32)
    np.put_along_axis(features, words, 0.3, axis=1)
    labels = (features @ np.r_[worth, np.zeros(700)] > 0).astype(np.float32)
    rows = Batch(to_csr(features), labels)
    model, state = train(
        "binary_classifier", rows, unbias_data=unbias, optimizer=optimizer,
        mini_batch_size=50, learning_rate=0.1,
    )  # fmt: skip
    assert state.survey is not None
    assert state.survey.sparse
    assert roc_auc_score(labels, answers(model, rows)["score"]) > 0.97
    assert not model.weights[300:].any(), "columns that never occur have no weight"
    dense = answers(model, Batch(features))["score"]
    np.testing.assert_allclose(answers(model, rows)["score"], dense, rtol=1e-4, atol=1e-6)


def test_training_stops_early_and_only_then() -> None:
    rows = binary()
    _, eager = train("binary_classifier", rows, early_stopping_patience=1, epochs=40)
    _, steady = train("binary_classifier", rows, early_stopping_patience=41, epochs=40)
    assert eager.epoch < 40
    assert steady.epoch == 40


def test_the_held_out_rows_decide_which_epoch_and_model_is_served() -> None:
    rows, held_out = numbers(60), numbers(2000, seed=1)
    noise = np.random.default_rng(0).normal(size=(2060, 50)).astype(np.float32)
    wide = Batch(np.column_stack([rows.features, noise[:60]]), rows.labels)
    held = Batch(np.column_stack([held_out.features, noise[60:]]), held_out.labels)
    _, state = train("regressor", wide, held, epochs=40, mini_batch_size=10, learning_rate=0.1)
    assert state.best_loss is not None
    assert state.held_loss is not None
    assert state.chosen == state.best_loss.argmin()
    assert state.best_loss.min() < state.held_loss.min(), "the last epoch was not the best"


def test_all_candidates_are_trained_as_if_alone() -> None:
    rows = binary(1000)
    _, many = train("binary_classifier", rows, num_models=7, mini_batch_size=100, epochs=3)
    _, one = train("binary_classifier", rows, num_models=1, mini_batch_size=100, epochs=3)
    assert many.best is not None
    assert one.best is not None
    np.testing.assert_allclose(many.best[:, :1], one.best, rtol=1e-3, atol=1e-4)


def test_auto_trains_fewer_candidates_where_many_do_not_fit() -> None:
    def models(columns: int) -> int:
        algorithm = learner("binary_classifier")
        empty = to_csr(np.zeros((2, 4), np.float32))
        wide = Batch(
            type(empty)(empty.indptr, empty.indices, empty.values, columns), np.float32([0, 1])
        )
        state = algorithm.close_pass(algorithm.update(algorithm.start(), wide))
        assert state.train is not None
        return len(state.train.loss)

    assert models(1000) == 32
    assert models(2_000_000) == 4


def test_candidates_begin_with_the_users_own_and_all_differ() -> None:
    given = {"predictor_type": "regressor", "num_models": "70", "learning_rate": "0.2", "wd": "0.5"}
    made = candidates(read(DECLARATION.hyperparameters, given, algorithm="ll"), columns=3)
    described = [tuple(made.describe(i).items()) for i in range(70)]
    assert dict(described[0]) == {"learning_rate": 0.2, "l1": 0.0, "wd": 0.5}
    assert len(set(described)) == 70
    plain = read(DECLARATION.hyperparameters, {**given, "wd": "0", "l1": "0"}, algorithm="ll")
    made = candidates(plain, columns=3)
    assert not made.wd.any()
    assert not made.l1.any()
    assert len(set(made.learning_rate.tolist())) == 70


def test_a_model_says_which_candidate_it_is() -> None:
    model, state = train("regressor", numbers(500), num_models=8)
    given = read(
        DECLARATION.hyperparameters,
        {"predictor_type": "regressor", "num_models": "8"},
        algorithm="ll",
    )
    assert model.candidate == candidates(given, 6).describe(state.chosen)


def test_epochs_report_the_users_own_model_in_the_documented_words() -> None:
    seen: list[dict[str, Any]] = []
    algorithm = learner("binary_classifier", epochs=3, mini_batch_size=100)

    class Watch:
        def batch(self, position: Position[Any], rows: int) -> None: ...
        def closed(self, position: Position[Any]) -> None:
            seen.append(dict(algorithm.report(position.state)))

    rows = Stream([binary(1000)])
    state = fit(algorithm, rows, held_out=rows, watcher=Watch())
    assert seen[0] == {}
    names = {m.name for report in seen[1:] for lines in report.values() for m in lines}
    assert names == {"binary_classification_cross_entropy_objective"}
    assert list(seen[1]) == ["train", "validation"]
    assert seen[1]["validation"][0].value == state_loss(seen[1])
    assert seen[3]["train"][0].value < seen[1]["train"][0].value
    assert algorithm.progress(state) == 1


def state_loss(report: dict[str, Any]) -> float:
    value = report["validation"][0].value
    assert isinstance(value, float)
    return value


def test_test_rows_are_measured_in_the_documented_words() -> None:
    wanted = {
        "binary_classifier": ["binary_classification_accuracy", "binary_f_2.000", "precision",
                              "recall", "roc_auc_score"],
        "multiclass_classifier": ["multiclass_accuracy", "multiclass_top_k_accuracy_2", "dcg",
                                  "macro_recall", "macro_precision", "macro_f_2.000"],
        "regressor": ["mse", "absolute_loss", "rmse"],
    }  # fmt: skip
    for kind, names in wanted.items():
        rows = binary(500)
        algorithm = learner(kind, num_classes=3, f_beta=2, accuracy_top_k=2, epochs=2)
        model = algorithm.finalize(fit(algorithm, Stream([rows])))
        found = algorithm.evaluate(model, rows)
        assert found is not None
        assert [m.name for m in found.measures()][1:] == names
        assert found.measures()[0].name.endswith("_objective")
        assert all(np.isfinite(m.value) for m in found.measures())


def test_values_that_do_not_fit_each_other_are_named() -> None:
    with pytest.raises(InvalidHyperparameter, match="num_classes is required"):
        learner("multiclass_classifier")
    with pytest.raises(InvalidHyperparameter, match=r"loss of a regressor must be .*squared_loss"):
        learner("regressor", loss="logistic")


def test_a_rate_under_which_all_diverge_is_named() -> None:
    with pytest.raises(InvalidHyperparameter, match="learning_rate must be small enough"):
        train("regressor", numbers(), optimizer="sgd", learning_rate=1e6, mini_batch_size=10)


def test_candidates_that_diverge_are_left_out() -> None:
    model, _ = train(
        "regressor", numbers(), optimizer="sgd", learning_rate=0.15, mini_batch_size=20
    )
    assert np.isfinite(model.weights).all()
