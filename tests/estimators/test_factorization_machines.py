"""Factorization machines as estimators: scikit-learn's own battery, and what it does not ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_diabetes, make_friedman1
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from tidemill.artifact.codec import to_bytes
from tidemill.data.batch import Batch, Csr, to_csr
from tidemill.errors import Invalid
from tidemill.estimators import FactorizationMachineClassifier, FactorizationMachineRegressor
from tidemill.estimators.base import InvalidInput
from tidemill.estimators.column_scaling import ColumnScaling
from tidemill.kernels import factorization_machines as kernel

Estimator = FactorizationMachineClassifier | FactorizationMachineRegressor


@parametrize_with_checks([FactorizationMachineClassifier(), FactorizationMachineRegressor()])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass(estimator: Any, check: Any) -> None:
    check(estimator)


def ratings(rows: int, seed: int = 0, users: int = 60, items: int = 40) -> tuple[Any, Any]:
    """One-hot users and items, sparse, and what the users say of the items, with noise."""
    tastes = np.random.default_rng(99)
    of_users, of_items = tastes.normal(size=(users, 3)), tastes.normal(size=(items, 3))
    draws = np.random.default_rng(seed)
    user, item = draws.integers(0, users, rows), draws.integers(0, items, rows)
    columns = np.stack([user, users + item], axis=1)
    pointers = np.arange(0, 2 * rows + 1, 2)
    sparse = csr_matrix((np.ones(2 * rows), columns.ravel(), pointers), shape=(rows, users + items))
    says = (of_users[user] * of_items[item]).sum(axis=1) + draws.normal(size=rows) * 0.5
    return sparse, 3 + says


def test_ratings_are_predicted_from_who_and_what() -> None:
    (rows, says), (probe, wanted) = ratings(8000), ratings(2000, seed=1)
    machine = FactorizationMachineRegressor(8, random_state=0).fit(rows, says)
    error = float(np.sqrt(np.mean((machine.predict(probe) - wanted) ** 2)))
    assert error < 0.75  # 0.5 is noise; without pairs of features it would be 1.8
    assert machine.score(probe, wanted) > 0.8


def test_clicks_are_told_from_who_and_what() -> None:
    (rows, says), (probe, wanted) = ratings(8000), ratings(2000, seed=1)
    machine = FactorizationMachineClassifier(8, random_state=0).fit(rows, says > 3)
    linear = LogisticRegression().fit(rows, says > 3)
    area = roc_auc_score(wanted > 3, machine.predict_proba(probe)[:, 1])
    assert area > 0.92
    assert area > roc_auc_score(wanted > 3, linear.predict_proba(probe)[:, 1]) + 0.2


def test_features_too_rare_to_be_known_do_not_drown_the_rest() -> None:
    """A wide table where weights decide and most columns come once: pairs there are learned by
    heart, and no held-out row bears them out."""
    draws = np.random.default_rng(0)
    columns = draws.integers(0, 40_000, (12_000, 8)) + np.arange(8) * 40_000
    columns[:, 0] = draws.integers(0, 50, 12_000)
    pointers = np.arange(0, columns.size + 1, 8)
    rows = csr_matrix((np.ones(columns.size), columns.ravel(), pointers), (12_000, 320_000))
    scores = draws.normal(size=50)[columns[:, 0]] * 1.5
    labels = draws.random(12_000) < 1 / (1 + np.exp(-scores))
    best = roc_auc_score(labels[10_000:], scores[10_000:])
    machine = FactorizationMachineClassifier(random_state=0).fit(rows[:10_000], labels[:10_000])
    free = FactorizationMachineClassifier(wd=0.0, random_state=0)
    free.fit(rows[:10_000], labels[:10_000])
    area, of_free = (
        roc_auc_score(labels[10_000:], m.decision_function(rows[10_000:])) for m in (machine, free)
    )
    assert area > best - 0.06
    assert area > of_free + 0.03


def test_dense_columns_are_no_worse_off_than_with_linear_models() -> None:
    parts = train_test_split(*load_breast_cancer(return_X_y=True), random_state=0)
    features, probe, labels, wanted = parts
    machine = FactorizationMachineClassifier(random_state=0).fit(features, labels)
    peer = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, labels)
    assert machine.score(probe, wanted) >= peer.score(probe, wanted) - 0.015
    for data in (load_diabetes(return_X_y=True), make_friedman1(2000, 10, random_state=0)):
        features, probe, labels, wanted = train_test_split(*data, random_state=0)
        regressor = FactorizationMachineRegressor(random_state=0).fit(features, labels)
        linear = LinearRegression().fit(features, labels)
        assert regressor.score(probe, wanted) > linear.score(probe, wanted) - 0.02


@pytest.mark.parametrize("sparse", [False, True])
def test_coefficients_say_what_predictions_are_made_of(sparse: bool) -> None:
    draws = np.random.default_rng(0)
    rows = np.column_stack(
        [draws.normal(size=500) * 3 + 5, draws.normal(size=500) * 0.1, draws.random(500) < 0.3,
         (draws.random(500) < 0.2) * 7.0, np.full(500, 4.0)]
    )  # fmt: skip
    target = rows[:, 0] * rows[:, 1] * 20 - 30 * rows[:, 2] + rows[:, 3] + 100
    given = csr_matrix(rows) if sparse else rows
    machine = FactorizationMachineRegressor(3, random_state=0).fit(given, target)
    if not sparse:
        assert machine.score(given, target) > 0.99
    products = np.triu(machine.factors_ @ machine.factors_.T, 1)
    by_hand = (
        machine.intercept_ + rows @ machine.coef_ + np.einsum("ri,ij,rj->r", rows, products, rows)
    )
    assert_allclose(machine.predict(given), by_hand, rtol=1e-3, atol=1e-2)
    other = rows if sparse else csr_matrix(rows)
    assert_allclose(machine.predict(other), machine.predict(given), rtol=1e-5)


def test_sparse_and_dense_one_hot_rows_give_the_same_model() -> None:
    rows, says = ratings(5000)
    sparse = FactorizationMachineRegressor(random_state=0).fit(rows, says)
    dense = FactorizationMachineRegressor(random_state=0).fit(rows.toarray(), says)
    assert to_bytes(sparse.model_) == to_bytes(dense.model_)
    assert_array_equal(sparse.predict(rows), dense.predict(rows.toarray()))


def test_the_same_seed_gives_the_same_bytes_whatever_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, says = ratings(6000)
    first = FactorizationMachineRegressor(random_state=3).fit(rows, says)
    monkeypatch.setattr(kernel, "WORTH_SHARING", 1)
    monkeypatch.setattr("tidemill.estimators.machine.WORTH_SHARING", 1)
    monkeypatch.setattr("tidemill.estimators.base._LITTLE_WORK", 1)
    second = FactorizationMachineRegressor(random_state=3).fit(rows, says)
    assert to_bytes(first.state_) == to_bytes(second.state_)
    other = FactorizationMachineRegressor(random_state=4).fit(rows, says)
    assert to_bytes(first.state_) != to_bytes(other.state_)


@pytest.mark.parametrize("make", [FactorizationMachineClassifier, FactorizationMachineRegressor])
def test_fewer_factors_are_made_of_a_fitted_machine(make: Callable[..., Estimator]) -> None:
    (rows, says), (probe, wanted) = ratings(8000), ratings(2000, seed=1)
    if make is FactorizationMachineClassifier:
        says, wanted = says > 3, wanted > 3
    many = make(16, random_state=0).fit(rows, says)
    before = to_bytes(many.state_)
    few = many.finalize(n_factors=3)
    assert few.model_.factors.shape == (100, 3)
    assert few.score(probe, wanted) > many.score(probe, wanted) - 0.02
    assert to_bytes(many.state_) == before
    assert_array_equal(many.finalize().predict(probe), many.predict(probe))
    with pytest.raises(Invalid, match="num_factors must be at most 16"):
        many.finalize(n_factors=17)


def test_rows_that_come_in_parts_are_learned() -> None:
    (rows, says), (probe, wanted) = ratings(20_000), ratings(2000, seed=1)
    parts = FactorizationMachineRegressor(8, random_state=0)
    scores = []
    for start in range(0, 20_000, 5000):
        for _ in range(3):
            parts.partial_fit(rows[start : start + 5000], says[start : start + 5000])
        scores.append(parts.score(probe, wanted))
    assert scores[-1] > 0.75
    assert scores[-1] > scores[0]
    assert parts.n_iter_ == 12


def test_a_fitted_machine_goes_on_with_further_rows() -> None:
    (rows, says), (probe, wanted) = ratings(6000), ratings(2000, seed=1)
    machine = FactorizationMachineRegressor(8, random_state=0).fit(rows[:3000], says[:3000])
    before = machine.score(probe, wanted)
    for _ in range(3):
        machine.partial_fit(rows[3000:], says[3000:])
    assert machine.score(probe, wanted) > before


def test_classes_of_any_kind_come_back() -> None:
    rows, says = ratings(300)
    named = np.array(["dislikes", "likes"])[(says > 3).astype(int)]
    machine = FactorizationMachineClassifier(random_state=0).fit(rows, named)
    assert set(machine.predict(rows)) <= {"dislikes", "likes"}
    chances = machine.predict_proba(rows)
    assert_allclose(chances.sum(axis=1), 1, rtol=1e-6)
    assert_allclose(np.exp(machine.predict_log_proba(rows)), chances, rtol=1e-5)
    assert_array_equal(machine.predict(rows) == "likes", machine.decision_function(rows) >= 0)


def test_three_classes_are_refused() -> None:
    rows, _ = ratings(90)
    with pytest.raises(InvalidInput, match="must be 2 classes, and there are 3"):
        FactorizationMachineClassifier().fit(rows, np.arange(90) % 3)


def test_partial_fit_must_be_told_the_classes() -> None:
    rows, says = ratings(90)
    machine = FactorizationMachineClassifier()
    with pytest.raises(InvalidInput, match="classes must be given"):
        machine.partial_fit(rows, says > 3)
    machine.partial_fit(rows, says > 3, classes=[False, True])
    with pytest.raises(InvalidInput, match="must be among the classes"):
        machine.partial_fit(rows, np.full(90, 7))


@pytest.mark.parametrize(
    ("name", "bad"),
    [("n_factors", 0), ("epochs", 0), ("epochs", "many"), ("wd", -1.0), ("learning_rate", -1),
     ("batch_size", 0), ("init_sigma", float("nan"))],
)  # fmt: skip
def test_bad_parameters_name_themselves(name: str, bad: Any) -> None:
    rows, says = ratings(50)
    with pytest.raises(InvalidInput, match=f"{name} must be at least"):
        FactorizationMachineRegressor(**{name: bad}).fit(rows, says)


def test_columns_come_to_one_size_and_keep_their_zeros() -> None:
    draws = np.random.default_rng(0)
    rows = np.column_stack(
        [draws.normal(size=400) * 50 + 1000, draws.random(400) < 0.2,
         (draws.random(400) < 0.1) * 30.0, np.full(400, 9.0), np.zeros(400)]
    ).astype(np.float32)  # fmt: skip
    scaling = ColumnScaling.of(Batch(rows))
    scaled = scaling.apply(rows)
    assert isinstance(scaled, Csr)  # a fifth of it is left
    dense = scaled.to_dense()
    assert_allclose([dense[:, 0].mean(), dense[:, 0].std()], [0, 1], atol=1e-5)
    assert_array_equal(dense[:, 1], rows[:, 1])
    assert_allclose(dense[:, 2], rows[:, 2] / 30, rtol=1e-6)
    assert not dense[:, 3:].any()
    sparse = ColumnScaling.of(Batch(to_csr(rows)))
    assert not sparse.shift.any()
    assert_allclose(sparse.scale[1:3], [1, 1 / 30], rtol=1e-6)


def test_weights_of_columns_count_as_repetitions() -> None:
    draws = np.random.default_rng(0)
    rows = draws.normal(size=(30, 3)).astype(np.float32) * (draws.random((30, 3)) < 0.7)
    weights = draws.integers(1, 4, 30)
    twice = np.repeat(rows, weights, axis=0)
    for make in (lambda r: r, to_csr):
        weighed = ColumnScaling.of(Batch(make(rows), weights=weights.astype(np.float32)))
        repeated = ColumnScaling.of(Batch(make(twice)))
        assert_allclose(weighed.scale, repeated.scale)
        assert_allclose(weighed.shift, repeated.shift)
