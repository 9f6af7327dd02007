"""The nearest-neighbour estimators: scikit-learn's own battery, and what it does not ask."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier as Peer
from sklearn.neighbors import KNeighborsRegressor as PeerRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from tidemill.artifact.codec import to_bytes
from tidemill.estimators import KNeighborsClassifier, KNeighborsRegressor
from tidemill.estimators.base import InvalidInput

DIGITS = train_test_split(*load_digits(return_X_y=True), random_state=0)


@parametrize_with_checks(
    [
        KNeighborsClassifier(),
        KNeighborsRegressor(),
        KNeighborsClassifier(n_neighbors=1, metric="cosine"),
    ]
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass(estimator: Any, check: Any) -> None:
    check(estimator)


def test_digits_are_told_as_by_scikit_learn() -> None:
    features, probe, labels, _ = DIGITS
    names = np.array([f"digit {i}" for i in range(10)])
    ours = KNeighborsClassifier(5).fit(features, names[labels])
    peer = Peer(5, algorithm="brute").fit(features, names[labels])
    # Of rows that are equally far, either may come first.
    assert (ours.predict(probe) == peer.predict(probe)).mean() > 0.995
    assert (ours.predict_proba(probe) == peer.predict_proba(probe)).mean() > 0.995
    distances, rows = ours.kneighbors(probe)
    theirs, whose = peer.kneighbors(probe)
    assert_allclose(distances, theirs, rtol=1e-6)
    assert (rows == whose).mean() > 0.98
    assert ours.score(probe, names[DIGITS[3]]) > 0.97


def test_numbers_are_told_as_by_scikit_learn() -> None:
    features, probe, labels, _ = train_test_split(*load_diabetes(return_X_y=True), random_state=0)
    ours = KNeighborsRegressor(7).fit(features, labels)
    peer = PeerRegressor(7).fit(features, labels)
    assert_allclose(ours.predict(probe), peer.predict(probe), rtol=1e-5)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbours_of_the_rows_themselves_leave_these_out(metric: str) -> None:
    features = DIGITS[0]
    ours = KNeighborsRegressor(4, metric=metric).fit(features, DIGITS[2])
    peer = PeerRegressor(4, metric=metric, algorithm="brute").fit(features, DIGITS[2])
    distances, rows = ours.kneighbors()
    assert_allclose(distances, peer.kneighbors()[0], atol=1e-6)
    assert (rows != np.arange(len(rows))[:, None]).all()
    alone = KNeighborsRegressor(2).fit(np.zeros((5, 1)), np.arange(5.0))
    found = alone.kneighbors(return_distance=False)
    assert (found != np.arange(5)[:, None]).all()


@pytest.mark.parametrize(
    "given",
    [
        {"index": "IVFFlat", "n_lists": 20, "n_probe": 20},
        {"index": "IVFPQ", "pq_m": 16, "n_probe": 10},
        {"reduction": "fjlt", "reduction_target": 48},
        {"sample_size": 1000},
    ],
)
def test_approximations_are_nearly_as_good(given: dict[str, Any]) -> None:
    features, probe, labels, wanted = DIGITS
    fitted = KNeighborsClassifier(3, random_state=0, **given).fit(features, labels)
    assert fitted.score(probe, wanted) > 0.94
    assert fitted.n_samples_fit_ == given.get("sample_size", len(features))


def test_rows_that_come_in_parts_are_all_there() -> None:
    features, probe, labels, _ = DIGITS
    whole = KNeighborsClassifier(3).fit(features, labels)
    parts = KNeighborsClassifier(3)
    for at in range(0, len(features), 300):
        rows = slice(at, at + 300)
        parts.partial_fit(features[rows], labels[rows], classes=range(10))
    assert_array_equal(parts.predict(probe), whole.predict(probe))
    assert_array_equal(parts.kneighbors(probe)[1], whole.kneighbors(probe)[1])
    whole.partial_fit(probe[:1], [DIGITS[3][0]])
    assert whole.kneighbors(probe[:1], 1)[1].tolist() == [[len(features)]]


def test_partial_fit_must_know_the_classes() -> None:
    rows = np.zeros((2, 1))
    with pytest.raises(InvalidInput, match="classes must be given"):
        KNeighborsClassifier().partial_fit(rows, [0, 1])
    fitted = KNeighborsClassifier(1).partial_fit(rows, [0, 1], classes=[0, 1])
    with pytest.raises(InvalidInput, match="among the classes"):
        fitted.partial_fit(rows, [0, 2])


def test_a_class_without_rows_has_no_share() -> None:
    fitted = KNeighborsClassifier(1).partial_fit([[0.0], [1.0]], [3, 5], classes=[3, 4, 5])
    assert fitted.predict_proba([[0.9]]).tolist() == [[0, 0, 1]]


def test_others_are_made_of_the_state_without_the_data() -> None:
    features, probe, labels, _ = DIGITS
    fitted = KNeighborsClassifier(5, random_state=0).fit(features, labels)
    fitted.predict(probe)
    for given in (
        {"n_neighbors": 1},
        {"metric": "cosine"},
        {"index": "IVFFlat", "n_lists": 10},
        {"sample_size": 200},
    ):
        other = fitted.finalize(**given)
        anew = KNeighborsClassifier(5, random_state=0).set_params(**given).fit(features, labels)
        assert_array_equal(other.predict(probe), anew.predict(probe))
        assert other.get_params() == anew.get_params()
    one = fitted.finalize(n_neighbors=1)
    assert one.model_.opened() is fitted.model_.opened()
    one.partial_fit(probe, DIGITS[3])
    assert one.score(probe, DIGITS[3]) == 1
    assert fitted.n_samples_fit_ == len(features)


def test_sparse_rows_are_the_same_rows() -> None:
    features, probe, labels, _ = DIGITS
    dense = KNeighborsClassifier(3).fit(features, labels)
    sparse = KNeighborsClassifier(3).fit(csr_matrix(features), labels)
    assert_array_equal(dense.kneighbors(probe)[1], sparse.kneighbors(csr_matrix(probe))[1])


def test_the_number_of_cores_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(0)
    rows, labels = draws.normal(size=(6000, 30)), draws.integers(0, 3, 6000)
    made = []
    for cores in (1, 3):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=cores: set(range(n)))
        fitted = KNeighborsClassifier(4, index="IVFFlat", random_state=3).fit(rows, labels)
        distances, found = fitted.kneighbors(rows + 0.1)
        made.append((to_bytes(fitted.model_), distances.tobytes(), found.tobytes()))
    assert made[0] == made[1]


def test_it_can_be_searched_for_the_best_k() -> None:
    search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 40]}, cv=3)
    assert search.fit(DIGITS[0], DIGITS[2]).best_params_ == {"n_neighbors": 1}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_neighbors": 0}, "n_neighbors must be a whole number of at least 1"),
        ({"n_neighbors": 2.5}, "n_neighbors must be a whole number of at least 1"),
        ({"sample_size": -1}, "sample_size must be"),
        ({"metric": "manhattan"}, "metric must be one of euclidean, cosine, inner_product"),
        ({"index": "faiss.Flat"}, "index must be one of Flat, IVFFlat"),
        ({"reduction": "pca"}, "reduction must be one of None, sign, fjlt"),
    ],
)
def test_bad_parameters_say_what_to_do(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KNeighborsClassifier(**parameters).fit(np.arange(20.0)[:, None], np.arange(20) % 2)


@pytest.mark.parametrize("k", [0, 21, 1.0])
def test_more_neighbours_than_rows_are_refused(k: Any) -> None:
    fitted = KNeighborsRegressor().fit(np.arange(20.0)[:, None], np.arange(20.0))
    with pytest.raises(ValueError, match="n_neighbors must be from 1 to 20"):
        fitted.kneighbors([[1.0]], k)
    if k == 21:
        with pytest.raises(ValueError, match="n_neighbors must be from 1 to 20"):
            KNeighborsRegressor(21).fit(np.arange(20.0)[:, None], np.arange(20.0)).predict([[1.0]])
