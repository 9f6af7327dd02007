"""The linear estimators: scikit-learn's own battery, and what it does not ask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_classification
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import precision_score, recall_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from tidemill.data.batch import Batch
from tidemill.errors import Invalid
from tidemill.estimators import LinearLearnerClassifier, LinearLearnerRegressor
from tidemill.estimators.base import InvalidInput
from tidemill.estimators.shuffled import Shuffled


@parametrize_with_checks([LinearLearnerClassifier(), LinearLearnerRegressor()])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass(estimator: Any, check: Any) -> None:
    check(estimator)


def test_two_classes_are_told_apart_as_by_logistic_regression() -> None:
    parts = train_test_split(*load_breast_cancer(return_X_y=True), random_state=0)
    features, probe, labels, wanted = parts
    ours = LinearLearnerClassifier(random_state=0).fit(features, labels)
    peer = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, labels)
    assert ours.score(probe, wanted) >= peer.score(probe, wanted) - 0.015
    area = roc_auc_score(wanted, ours.predict_proba(probe)[:, 1])
    assert area > roc_auc_score(wanted, peer.predict_proba(probe)[:, 1]) - 0.005


def test_ten_classes_are_told_apart_as_by_logistic_regression() -> None:
    features, probe, labels, wanted = train_test_split(
        *load_digits(return_X_y=True), random_state=0
    )
    names = np.array([f"digit {i}" for i in range(10)])
    ours = LinearLearnerClassifier(random_state=0).fit(features, names[labels])
    peer = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, labels)
    assert ours.score(probe, names[wanted]) >= peer.score(probe, wanted) - 0.015
    assert ours.classes_.tolist() == names.tolist()
    assert ours.coef_.shape == (10, 64)
    assert ours.intercept_.shape == (10,)


def test_numbers_are_predicted_as_by_least_squares() -> None:
    features, probe, labels, wanted = train_test_split(
        *load_diabetes(return_X_y=True), random_state=0
    )
    ours = LinearLearnerRegressor(random_state=0).fit(features, labels)
    peer = LinearRegression().fit(features, labels)
    assert ours.score(probe, wanted) > peer.score(probe, wanted) - 0.02
    again = probe @ ours.coef_ + ours.intercept_
    np.testing.assert_allclose(ours.predict(probe), again, rtol=1e-3)


def test_scores_probabilities_and_labels_agree() -> None:
    features, labels = make_classification(500, 8, random_state=0)
    labels = np.array([False, True])[labels]
    fitted = LinearLearnerClassifier(random_state=0).fit(features, labels)
    scores, chances = fitted.decision_function(features), fitted.predict_proba(features)
    np.testing.assert_allclose(scores, features @ fitted.coef_[0] + fitted.intercept_, atol=1e-4)
    np.testing.assert_allclose(chances[:, 1], 1 / (1 + np.exp(-scores)), rtol=1e-4)
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(features)), chances, rtol=1e-5)
    assert (fitted.predict(features) == (scores > 0)).all()
    assert fitted.classes_.dtype == bool


@pytest.mark.parametrize("labels", [[-7, 900], ["no", "yes"], [0.5, 1.5], [3, 10**12]])
def test_classes_of_any_kind_come_back(labels: list[Any]) -> None:
    features, codes = make_classification(200, 5, random_state=0)
    given = np.array(labels)[codes]
    if given.dtype.kind == "f":
        with pytest.raises(ValueError, match="continuous"):
            LinearLearnerClassifier().fit(features, given)
        return
    fitted = LinearLearnerClassifier(random_state=0).fit(features, given)
    assert fitted.classes_.tolist() == labels
    assert fitted.classes_.dtype == given.dtype
    assert fitted.score(features, given) > 0.8


def test_hinge_has_margins_but_no_probabilities() -> None:
    features, labels = make_classification(300, 5, random_state=0)
    fitted = LinearLearnerClassifier(loss="hinge_loss", random_state=0).fit(features, labels)
    assert fitted.score(features, labels) > 0.8
    assert not hasattr(fitted, "predict_proba")


def test_class_weights_are_sample_weights() -> None:
    features, labels = make_classification(400, 6, weights=[0.9], random_state=0)
    by_class = LinearLearnerClassifier(class_weight={0: 1, 1: 4}, random_state=0)
    by_row = LinearLearnerClassifier(random_state=0)
    by_class.fit(features, labels)
    by_row.fit(features, labels, sample_weight=np.where(labels == 1, 4, 1))
    np.testing.assert_array_equal(by_class.coef_, by_row.coef_)
    even = LinearLearnerClassifier(class_weight="balanced", random_state=0).fit(features, labels)
    plain = LinearLearnerClassifier(random_state=0).fit(features, labels)
    assert even.predict(features).sum() > plain.predict(features).sum()


def test_rows_that_come_in_parts_are_learned() -> None:
    features, labels = make_classification(4000, 8, flip_y=0.1, random_state=0)
    whole = LinearLearnerClassifier(random_state=0).fit(features, labels)
    parts = LinearLearnerClassifier(random_state=0, batch_size=50)
    for at in range(0, 4000, 500):
        rows = slice(at, at + 500)
        parts.partial_fit(features[rows], labels[rows], classes=[0, 1])
    assert parts.score(features, labels) > whole.score(features, labels) - 0.01
    assert parts.n_iter_ == 8


def test_fitted_models_go_on_with_further_rows() -> None:
    draws = np.random.default_rng(0)
    rows = draws.normal(size=(2000, 3))
    fitted = LinearLearnerRegressor(random_state=0, batch_size=50).fit(rows, rows[:, 0])
    for _ in range(20):
        fitted.partial_fit(rows, rows[:, 1])
    np.testing.assert_allclose(fitted.coef_, [0, 1, 0], atol=0.05)


def test_partial_fit_must_know_the_classes() -> None:
    rows = np.zeros((2, 1))
    with pytest.raises(InvalidInput, match="classes must be given"):
        LinearLearnerClassifier().partial_fit(rows, [0, 1])
    fitted = LinearLearnerClassifier().partial_fit(rows, [0, 1], classes=[0, 1])
    with pytest.raises(InvalidInput, match="among the classes"):
        fitted.partial_fit(rows, [0, 2])


def test_sparse_rows_are_learned_as_dense_ones() -> None:
    draws = np.random.default_rng(0)
    features = (draws.random((6000, 40)) < 0.1).astype(np.float32)
    labels = (features @ draws.normal(size=40) + draws.logistic(size=6000) * 0.5 > 0).astype(int)
    dense = LinearLearnerClassifier(random_state=0).fit(features, labels)
    sparse = LinearLearnerClassifier(random_state=0).fit(csr_matrix(features), labels)
    assert sparse.score(csr_matrix(features), labels) > dense.score(features, labels) - 0.01
    np.testing.assert_allclose(
        sparse.predict_proba(csr_matrix(features)), sparse.predict_proba(features), atol=1e-5
    )


def test_the_same_seed_gives_the_same_bytes() -> None:
    features, labels = make_classification(5000, 8, random_state=0)
    left, right, other = (
        LinearLearnerClassifier(random_state=s, num_models=3).fit(features, labels)
        for s in (1, 1, 2)
    )
    assert left.coef_.tobytes() == right.coef_.tobytes()
    assert left.coef_.tobytes() != other.coef_.tobytes()


@pytest.mark.parametrize("loss", ["quantile_loss", "huber_loss", "absolute_loss"])
def test_losses_that_forgive_outliers_do(loss: str) -> None:
    draws = np.random.default_rng(0)
    rows = draws.normal(size=(2000, 2))
    labels = rows @ [1, 2] + np.where(draws.random(2000) < 0.05, 50, 0)
    fitted = LinearLearnerRegressor(loss=loss, delta=0.1, random_state=0).fit(rows, labels)
    np.testing.assert_allclose(fitted.coef_, [1, 2], atol=0.1)
    assert abs(fitted.intercept_) < 0.5


@pytest.mark.parametrize("rows", [50, (1 << 17) + 77])
def test_every_row_comes_once_a_pass_in_an_order_of_its_own(rows: int) -> None:
    values = np.arange(rows, dtype=np.float32)
    data = Shuffled(Batch(values[:, None], values, values), 1000, seed=3)
    passes = []
    for pass_ in (0, 1):
        batches = [batch for batch, _ in data.read(pass_)]
        assert all(len(b) == 1000 for b in batches[:-1])
        for batch in batches:
            np.testing.assert_array_equal(batch.dense()[:, 0], batch.labels)
        passes.append(np.concatenate([b.labels for b in batches]))
    assert (np.sort(passes[0]) == values).all()
    assert (passes[0] != passes[1]).mean() > 0.9


def test_a_pass_goes_on_from_any_cursor() -> None:
    values = np.arange((1 << 17) + 5000, dtype=np.float32)
    data = Shuffled(Batch(values[:, None], values), 4096, seed=3)
    whole = list(data.read(1))
    for at in (3, len(whole) - 2):
        rest = list(data.read(1, whole[at][1]))
        assert len(rest) == len(whole) - at - 1
        np.testing.assert_array_equal(rest[0][0].labels, whole[at + 1][0].labels)


def test_one_fitted_classifier_makes_others_by_other_criteria() -> None:
    features, labels = make_classification(4000, weights=[0.8], flip_y=0.1, random_state=0)
    fitted = LinearLearnerClassifier(random_state=0).fit(features, labels)
    assert fitted.threshold_ == 0
    wary = fitted.finalize(criterion="precision_at_target_recall", target_recall=0.95)
    sure = fitted.finalize(criterion="recall_at_target_precision", target_precision=0.9)
    assert recall_score(labels, wary.predict(features)) == pytest.approx(0.95, abs=0.01)
    assert precision_score(labels, sure.predict(features)) == pytest.approx(0.9, abs=0.01)
    assert wary.threshold_ < 0 < sure.threshold_
    for other in (wary, sure):
        np.testing.assert_array_equal(other.coef_, fitted.coef_)
        np.testing.assert_array_equal(
            other.finalize(criterion="loss_function").predict(features), fitted.predict(features)
        )
    direct = LinearLearnerClassifier(
        criterion="precision_at_target_recall", target_recall=0.95, random_state=0
    ).fit(features, labels)
    assert direct.threshold_ == wary.threshold_


def test_a_finalized_one_goes_on_with_further_rows() -> None:
    features, labels = make_classification(2000, random_state=0)
    fitted = LinearLearnerClassifier(random_state=0).fit(features[:1000], labels[:1000])
    other = fitted.finalize(criterion="accuracy").partial_fit(features[1000:], labels[1000:])
    assert other.score(features, labels) > fitted.score(features, labels) - 0.02


def test_what_the_state_cannot_tell_is_refused() -> None:
    features, labels = make_classification(500, random_state=0)
    fitted = LinearLearnerClassifier(random_state=0).fit(features, labels)
    with pytest.raises(Invalid, match="loss must be logistic, as in the earlier training"):
        fitted.finalize(loss="hinge_loss")
    with pytest.raises(ValueError, match="criterion must be one of accuracy"):
        fitted.finalize(criterion="luck")
    streamed = LinearLearnerClassifier(random_state=0).partial_fit(features, labels, [0, 1])
    with pytest.raises(ValueError, match="tallies of scores"):
        streamed.finalize(criterion="f1")
    halves = LinearLearnerRegressor(loss="quantile_loss", quantile=0.5).fit(features, labels)
    with pytest.raises(Invalid, match=r"quantile must be 0\.5"):
        halves.finalize(quantile=0.9)
