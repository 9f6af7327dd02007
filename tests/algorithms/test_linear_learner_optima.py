"""What each loss converges to: the optimum that another solver finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import Lasso, LogisticRegression, QuantileRegressor, Ridge

from tests.algorithms.test_linear_learner import train
from tidemill.algorithms.linear_learner.model import LinearModel
from tidemill.data.batch import Batch

Table = np.ndarray[Any, Any]
ROWS, COLUMNS = 600, 4
# Nothing but the loss: columns as they are, no penalty, no candidates, passes without end.
PLAIN: dict[str, object] = {
    "num_models": 1, "normalize_data": "false", "unbias_data": "false", "normalize_label": "false",
    "unbias_label": "false", "wd": 0, "l1": 0, "epochs": 300, "mini_batch_size": ROWS,
    "learning_rate": 0.05, "bias_lr_mult": 1, "early_stopping_patience": 301,
    "lr_scheduler_step": 1, "lr_scheduler_factor": 0.99,
}  # fmt: skip


def features() -> Table:
    return np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype(np.float32)


def numbers() -> Batch:
    draws = np.random.default_rng(1)
    noise = draws.exponential(size=ROWS) * draws.choice([-0.5, 1, 3], ROWS)
    labels = features() @ [1.0, -0.5, 0.2, 0] + 0.7 + noise
    return Batch(features(), labels.astype(np.float32))


def classes(count: int) -> Batch:
    draws = np.random.default_rng(2)
    scores = features() @ [2.0, -1, 0.5, 0] + draws.logistic(size=ROWS)
    labels = np.digitize(scores, np.quantile(scores, np.arange(1, count) / count + 0.1))
    return Batch(features(), labels.astype(np.float32))


def reached(model: LinearModel) -> Table:
    """Weights and bias as one vector (or a table, a column a class)."""
    return np.concatenate([np.asarray(model.weights), np.asarray(model.bias)[None]])


def errors(rows: Batch, at: Table) -> Table:
    assert rows.labels is not None
    answer: Table = rows.dense() @ at[:-1] + at[-1] - rows.labels
    return answer


LOSSES = {
    "squared_loss": lambda e: e**2,
    "absolute_loss": np.abs,
    "eps_insensitive_squared_loss": lambda e: np.maximum(abs(e) - 0.4, 0) ** 2,
    "eps_insensitive_absolute_loss": lambda e: np.maximum(abs(e) - 0.4, 0),
    "quantile_loss": lambda e: np.where(e > 0, 0.25 * e, -0.75 * e),
    "huber_loss": lambda e: np.where(abs(e) < 0.6, e**2 / 2, 0.6 * (abs(e) - 0.3)),
}
# A quantile's loss is flat about its optimum: more steps must be made, and these in small batches.
PATIENT: dict[str, object] = {**PLAIN, "mini_batch_size": 60, "lr_scheduler_factor": 0.999}
GIVEN: dict[str, object] = {"loss_insensitivity": 0.4, "quantile": 0.75, "huber_delta": 0.6}


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_regression_loss_ends_where_scipys_minimum_is(loss: str, optimizer: str) -> None:
    rows = numbers()
    rate = {"adam": 0.05, "sgd": 0.2}[optimizer]
    plain = PATIENT if loss == "quantile_loss" else PLAIN
    given = {**plain, **GIVEN, "learning_rate": rate, "optimizer": optimizer}
    model, state = train("regressor", rows, loss=loss, **given)

    def objective(at: Table) -> float:
        return float(LOSSES[loss](errors(rows, at)).mean())

    start = np.zeros(COLUMNS + 1)
    best = min(
        minimize(objective, start, method=m, options={"maxiter": 20_000}).fun
        for m in ("Nelder-Mead", "BFGS")
    )
    assert objective(reached(model)) < best * 1.002
    assert state.train_loss is not None
    assert state.train_loss[0] == pytest.approx(best, rel=0.005), "and the log says so"


def test_quantiles_are_those_of_scikit_learn() -> None:
    rows = numbers()
    model, _ = train("regressor", rows, loss="quantile_loss", **{**PATIENT, **GIVEN})
    peer = QuantileRegressor(quantile=0.75, alpha=0).fit(rows.features, rows.labels)
    np.testing.assert_allclose(reached(model), [*peer.coef_, peer.intercept_], atol=0.05)


def test_weight_decay_is_ridge() -> None:
    """Mean of (z - y)² + wd/2 · |w|², the bias free: n/2 · wd is scikit-learn's alpha."""
    rows = numbers()
    for wd in (0.2, 2.0):
        model, _ = train("regressor", rows, **{**PLAIN, "wd": wd})
        peer = Ridge(alpha=wd * ROWS / 2).fit(rows.features, rows.labels)
        np.testing.assert_allclose(reached(model), [*peer.coef_, peer.intercept_], atol=0.005)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_l1_is_the_lasso(optimizer: str) -> None:
    """Mean of (z - y)² + l1 · |w|₁, the bias free: l1/2 is scikit-learn's alpha."""
    rows = numbers()
    for l1 in (0.1, 0.6):
        model, _ = train("regressor", rows, **{**PLAIN, "l1": l1, "optimizer": optimizer})
        peer = Lasso(alpha=l1 / 2).fit(rows.features, rows.labels)
        np.testing.assert_allclose(reached(model), [*peer.coef_, peer.intercept_], atol=0.005)
        assert ((peer.coef_ == 0) == (model.weights == 0)).all()


@pytest.mark.parametrize("wd", [0.0, 0.1])
def test_the_logistic_loss_is_logistic_regression(wd: float) -> None:
    rows = classes(2)
    model, _ = train("binary_classifier", rows, **{**PLAIN, "wd": wd, "learning_rate": 0.2})
    peer = LogisticRegression(C=1 / (wd * ROWS) if wd else np.inf, tol=1e-8)
    peer.fit(rows.features, rows.labels)
    np.testing.assert_allclose(reached(model), [*peer.coef_[0], *peer.intercept_], atol=0.02)


def test_the_softmax_loss_is_multinomial_regression() -> None:
    rows, wd = classes(3), 0.02
    given = {**PLAIN, "wd": wd, "learning_rate": 0.2}
    model, _ = train("multiclass_classifier", rows, num_classes=3, **given)
    peer = LogisticRegression(C=1 / (wd * ROWS), tol=1e-8).fit(rows.features, rows.labels)
    np.testing.assert_allclose(model.weights, peer.coef_.T, atol=0.02)
    np.testing.assert_allclose(
        model.predict(rows)["score"], peer.predict_proba(rows.features), atol=0.01
    )


@pytest.mark.parametrize("margin", [1.0, 2.5])
def test_the_hinge_loss_ends_where_scipys_minimum_is(margin: float) -> None:
    rows = classes(2)
    assert rows.labels is not None
    sign = 2 * rows.labels - 1
    given = {**PLAIN, "margin": margin, "learning_rate": 0.2}
    model, _ = train("binary_classifier", rows, loss="hinge_loss", **given)

    def objective(at: Table) -> float:
        scores = rows.dense() @ at[:-1] + at[-1]
        return float(np.maximum(margin - sign * scores, 0).mean())

    best = minimize(objective, reached(model), method="Nelder-Mead", options={"maxiter": 9000}).fun
    assert objective(reached(model)) < best * 1.003


@pytest.mark.parametrize("kind", ["logistic", "hinge_loss"])
def test_weights_of_classes_are_weights_of_rows(kind: str) -> None:
    rows = classes(2)
    assert rows.labels is not None
    weights = np.where(rows.labels == 1, 3, 1).astype(np.float32)
    weighted, _ = train("binary_classifier", Batch(rows.features, rows.labels, weights), loss=kind,
                        **PLAIN)  # fmt: skip
    plain, _ = train("binary_classifier", rows, loss=kind, positive_example_weight_mult=3, **PLAIN)
    np.testing.assert_allclose(reached(plain), reached(weighted), rtol=1e-3, atol=1e-3)


def test_balanced_is_scikit_learns_balanced() -> None:
    rows = classes(2)
    given = {**PLAIN, "learning_rate": 0.2, "positive_example_weight_mult": "balanced"}
    model, _ = train("binary_classifier", rows, **given)
    peer = LogisticRegression(C=np.inf, class_weight="balanced").fit(rows.features, rows.labels)
    np.testing.assert_allclose(reached(model), [*peer.coef_[0], *peer.intercept_], atol=0.02)


def test_balanced_classes_are_scikit_learns_balanced() -> None:
    rows, wd = classes(3), 0.02
    given = {**PLAIN, "wd": wd, "learning_rate": 0.2, "balance_multiclass_weights": "true"}
    model, _ = train("multiclass_classifier", rows, num_classes=3, **given)
    peer = LogisticRegression(C=1 / (wd * ROWS), class_weight="balanced")
    peer.fit(rows.features, rows.labels)
    np.testing.assert_allclose(
        model.predict(rows)["score"], peer.predict_proba(rows.features), atol=0.01
    )


def test_scaling_is_undone_in_the_model() -> None:
    """Ridge over scaled columns and labels, told in terms of the raw ones."""
    raw = numbers()
    assert raw.labels is not None
    rows = Batch(raw.dense() * np.float32([1, 100, 0.01, 5]) + 30, raw.labels * 50 + 7)
    given = {**PLAIN, "wd": 0.3}
    for name in ("normalize_data", "unbias_data", "normalize_label", "unbias_label"):
        given[name] = "true"
    model, _ = train("regressor", rows, **given)
    mean, spread = rows.dense().mean(0), rows.dense().std(0)
    assert rows.labels is not None
    labels = (rows.labels - rows.labels.mean()) / rows.labels.std()
    peer = Ridge(alpha=0.3 * ROWS / 2).fit((rows.dense() - mean) / spread, labels)
    wanted = peer.predict((rows.dense() - mean) / spread) * rows.labels.std() + rows.labels.mean()
    np.testing.assert_allclose(model.predict(rows)["score"], wanted, rtol=0.01, atol=0.5)
