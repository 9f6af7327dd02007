"""Boosting as estimators: scikit-learn's own battery, and what it does not ask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from sklearn.utils.estimator_checks import parametrize_with_checks

from tidemill.errors import Invalid, InvalidHyperparameter
from tidemill.estimators import XGBoostClassifier, XGBoostRegressor
from tidemill.estimators.base import InvalidInput

xgb = pytest.importorskip("xgboost")


def expected(estimator: Any) -> dict[str, str]:
    if isinstance(estimator, XGBoostRegressor):
        return {}
    reason = "the library's gradients are float32: weight two is two rows to the last bit but one"
    kinds = ("dense", "sparse")
    return {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in kinds}


@parametrize_with_checks(
    [XGBoostClassifier(n_estimators=20, n_jobs=1), XGBoostRegressor(n_estimators=20, n_jobs=1)],
    expected_failed_checks=expected,
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass(estimator: Any, check: Any) -> None:
    check(estimator)


def test_two_classes_are_told_apart_as_by_the_library() -> None:
    features, probe, labels, wanted = train_test_split(
        *load_breast_cancer(return_X_y=True), random_state=0
    )
    names = np.array(["no", "yes"])
    ours = XGBoostClassifier(n_estimators=30, subsample=0.8, random_state=3, n_jobs=1)
    ours.fit(features, names[labels])
    settings = {"objective": "binary:logistic", "subsample": 0.8, "seed": 3, "nthread": 1}
    theirs = xgb.train(settings, xgb.DMatrix(features.astype("f4"), labels), 30)
    chances = theirs.predict(xgb.DMatrix(probe.astype("f4")))
    np.testing.assert_array_equal(ours.predict_proba(probe)[:, 1], chances)
    assert (ours.predict(probe) == names[(chances > 0.5).astype(int)]).all()
    assert ours.score(probe, names[wanted]) > 0.95
    assert ours.n_iter_ == 30
    assert ours.feature_importances_.shape == (30,)
    assert ours.feature_importances_.sum() == pytest.approx(1)


def test_more_classes_and_sparse_rows() -> None:
    features, probe, labels, wanted = train_test_split(
        *load_digits(return_X_y=True), random_state=0
    )
    fitted = XGBoostClassifier(n_estimators=20).fit(csr_matrix(features), labels)
    chances = fitted.predict_proba(csr_matrix(probe))
    assert chances.shape == (len(probe), 10)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
    assert fitted.score(csr_matrix(probe), wanted) > 0.93


def test_numbers_with_holes_are_predicted() -> None:
    features, labels = load_diabetes(return_X_y=True)
    features[np.random.default_rng(0).random(features.shape) < 0.2] = np.nan
    fitted = XGBoostRegressor(n_estimators=50, max_depth=3, learning_rate=0.1)
    assert fitted.fit(features, labels).score(features, labels) > 0.6


def test_training_stops_early_by_the_rows_that_are_held_out() -> None:
    features, probe, labels, wanted = train_test_split(
        *load_breast_cancer(return_X_y=True), random_state=0
    )
    fitted = XGBoostClassifier(
        n_estimators=200, early_stopping_rounds=5, eval_metric="error,logloss"
    ).fit(features, labels, eval_set=(probe, wanted))
    assert fitted.n_iter_ < 150
    assert len(fitted.lines_) == fitted.n_iter_ + 5
    assert fitted.lines_[3].startswith("[3]\ttrain-error:")


def test_one_model_gives_others_of_fewer_rounds_without_data() -> None:
    features, labels = load_diabetes(return_X_y=True)
    whole = XGBoostRegressor(n_estimators=30).fit(features, labels)
    part = whole.finalize(n_estimators=10)
    wanted = XGBoostRegressor(n_estimators=10).fit(features, labels).predict(features)
    np.testing.assert_array_equal(part.predict(features), wanted)
    assert (part.n_iter_, whole.n_iter_) == (10, 30)
    with pytest.raises(Invalid, match="num_round can be 30 at most"):
        whole.finalize(n_estimators=31)


def test_further_rows_add_rounds() -> None:
    features, labels = load_breast_cancer(return_X_y=True)
    model = XGBoostClassifier(n_estimators=5)
    for part in (slice(0, 300), slice(300, None)):
        model.partial_fit(features[part], labels[part], classes=[0, 1])
    assert model.n_iter_ == 10
    assert model.score(features, labels) > 0.95
    numbers = XGBoostRegressor(n_estimators=5).partial_fit(features, labels)
    assert numbers.partial_fit(features, labels).n_iter_ == 10
    with pytest.raises(InvalidInput, match="labels must be among the classes"):
        model.partial_fit(features, labels + 1)


def test_any_hyperparameter_can_be_given_by_its_documented_name() -> None:
    features, labels = load_diabetes(return_X_y=True)
    model = XGBoostRegressor(
        objective="reg:absoluteerror", parameters={"max_leaves": 4, "grow_policy": "lossguide"}
    ).fit(features, labels)
    assert "absoluteerror" in model.get_booster().save_config()
    assert max(len(tree.split("leaf=")) for tree in model.get_booster().get_dump()) == 5
    with pytest.raises(InvalidHyperparameter, match="eta must be a number"):
        XGBoostRegressor(learning_rate=2).fit(features, labels)
