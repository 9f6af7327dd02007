"""KMeans as scikit-learn users know it: its checks pass, and it finds better centres sooner."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tidemill.artifact.codec import to_bytes

sklearn = pytest.importorskip("sklearn")

from scipy import sparse  # noqa: E402
from sklearn.cluster import KMeans as Peer  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from tidemill.errors import Invalid  # noqa: E402
from tidemill.estimators import KMeans  # noqa: E402


@pytest.fixture(scope="module")
def digits() -> Any:
    return load_digits().data.astype(np.float32)


@pytest.fixture(scope="module")
def many() -> Any:
    """So many rows that they are learned in growing parts, side by side."""
    draws = np.random.default_rng(0)
    centres = draws.normal(size=(50, 16)) * 3
    noise = draws.standard_normal((100_000, 16))
    return (centres[draws.integers(0, 50, 100_000)] + noise).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [1, 2, 8])
def test_scikit_learn_finds_nothing_to_complain_of(clusters: int) -> None:
    with warnings.catch_warnings():
        # It warns of each check that it leaves out, such as the one that wants SCIPY_ARRAY_API.
        warnings.simplefilter("ignore")
        results = check_estimator(KMeans(n_clusters=clusters), on_fail=None)
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert failed == []


@pytest.mark.parametrize("clusters", [3, 10, 40])
def test_inertia_on_digits_is_no_worse_than_scikit_learns_best_of_three(
    digits: Any, clusters: int
) -> None:
    peer = min(Peer(clusters, n_init=1, random_state=s).fit(digits).inertia_ for s in range(3))
    assert KMeans(clusters, random_state=0).fit(digits).inertia_ <= peer * 1.01


def test_every_cluster_is_found_among_many_rows(many: Any) -> None:
    fitted = KMeans(50, random_state=1).fit(many)
    assert fitted.inertia_ / len(many) == pytest.approx(16, rel=0.01)


def test_labels_and_inertia_are_of_the_centres_shown(digits: Any) -> None:
    fitted = KMeans(10, random_state=0).fit(digits)
    gaps = ((digits[:, None].astype(float) - fitted.cluster_centers_) ** 2).sum(axis=2)
    assert_array_equal(fitted.labels_, gaps.argmin(axis=1))
    assert_allclose(fitted.inertia_, gaps.min(axis=1).sum(), rtol=1e-5)
    assert_array_equal(fitted.predict(digits), fitted.labels_)
    assert_allclose(fitted.score(digits), -fitted.inertia_, rtol=1e-6)
    assert_allclose(fitted.transform(digits), np.sqrt(gaps), rtol=1e-4)


def test_the_number_of_cores_changes_no_bit(many: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    for cores in (1, 2, 5):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=cores: set(range(n)))
        fitted = KMeans(20, random_state=7).fit(many)
        states.append((to_bytes(fitted.state_), fitted.labels_.tobytes(), fitted.inertia_))
    assert states[0] == states[1] == states[2]


def test_the_order_of_few_rows_changes_nothing(digits: Any) -> None:
    order = np.random.default_rng(0).permutation(len(digits))
    left = KMeans(10, random_state=0).fit(digits)
    right = KMeans(10, random_state=0).fit(digits[order])
    assert_array_equal(left.cluster_centers_, right.cluster_centers_)
    assert_array_equal(left.labels_[order], right.labels_)


def test_a_heavy_row_is_a_row_that_comes_often(digits: Any) -> None:
    weights = np.random.default_rng(0).integers(0, 3, len(digits))
    left = KMeans(10, random_state=0).fit(digits, sample_weight=weights)
    right = KMeans(10, random_state=0).fit(digits.repeat(weights, axis=0))
    assert_allclose(left.cluster_centers_, right.cluster_centers_, rtol=1e-6)
    assert_allclose(left.inertia_, right.inertia_, rtol=1e-6)


def test_weights_count_among_many_rows_too(many: Any) -> None:
    weights = np.where(many[:, 0] > 0, 1.0, 0.0)
    fitted = KMeans(5, random_state=0).fit(many, sample_weight=weights)
    kept = KMeans(5, random_state=0).fit(many[weights > 0])
    assert_allclose(fitted.inertia_, kept.inertia_, rtol=0.02)


def test_sparse_rows_are_the_same_rows(digits: Any) -> None:
    dense = KMeans(10, random_state=0).fit(digits)
    fitted = KMeans(10, random_state=0).fit(sparse.csr_matrix(digits))
    assert_array_equal(dense.labels_, fitted.labels_)
    assert_array_equal(dense.labels_, fitted.predict(sparse.csc_matrix(digits)))


def test_partial_fit_learns_from_batches(many: Any) -> None:
    streamed = KMeans(50, random_state=0)
    for batch in np.array_split(many[:30_000], 10):
        streamed.partial_fit(batch)
    assert -streamed.score(many) / len(many) == pytest.approx(16, rel=0.03)


def test_partial_fit_goes_on_from_fit() -> None:
    old = np.repeat([[0.0], [10.0]], 50, axis=0)
    fitted = KMeans(3, random_state=0).fit(np.concatenate([old, [[10.5]]]))
    fitted.partial_fit(np.full((50, 1), 100.0))
    assert_allclose(sorted(fitted.cluster_centers_.ravel()), [0, 10, 100], atol=0.1)


def test_it_works_in_a_pipeline_and_names_its_columns(digits: Any) -> None:
    pipeline = make_pipeline(StandardScaler(), KMeans(4, random_state=0)).fit(digits)
    assert pipeline.transform(digits).shape == (len(digits), 4)
    assert list(pipeline[-1].get_feature_names_out()) == [
        "kmeans0",
        "kmeans1",
        "kmeans2",
        "kmeans3",
    ]


def test_a_generator_may_be_the_random_state(digits: Any) -> None:
    for make in (np.random.RandomState, np.random.default_rng):
        left, right = (KMeans(10, random_state=make(3)).fit(digits) for _ in range(2))
        assert left.inertia_ == right.inertia_


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_clusters": 0}, "n_clusters must be at least 1; got 0"),
        ({"n_clusters": 30}, "n_samples=20 must be at least n_clusters=30"),
        ({"max_iter": 0}, "max_iter must be at least 1; got 0"),
        ({"tol": -1.0}, "tol must be at least 0; got -1.0"),
        ({"n_init": 0}, "n_init must be at least 1; got 0"),
        ({"n_init": "many"}, "n_init must be at least 1"),
    ],
)
def test_bad_parameters_say_what_to_do(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KMeans(**parameters).fit(np.arange(20.0)[:, None])


def test_rows_that_all_weigh_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        KMeans(1).fit([[1.0], [2.0]], sample_weight=[0, 0])


def test_without_scikit_learn_the_extra_is_named() -> None:
    script = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from tidemill.errors import Missing\n"
        "try:\n    from tidemill.estimators import KMeans\n"
        "except Missing as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "tidemill[sklearn]" in done.stdout, done.stderr


@pytest.mark.parametrize("clusters", [1, 7, 30])
def test_a_fitted_one_makes_others_with_fewer_or_more_clusters(many: Any, clusters: int) -> None:
    fitted = KMeans(20, random_state=0).fit(many)
    other = fitted.finalize(n_clusters=clusters)
    assert other.cluster_centers_.shape == (clusters, many.shape[1])
    assert other.get_params() == {**fitted.get_params(), "n_clusters": clusters}
    anew = KMeans(clusters, random_state=0).fit(many)
    assert -other.score(many) <= anew.inertia_ * 1.05
    assert_array_equal(other.finalize(n_clusters=20).cluster_centers_, fitted.cluster_centers_)


def test_a_finalized_one_goes_on_with_further_rows() -> None:
    fitted = KMeans(4, random_state=0).fit(np.repeat([[0.0], [1], [50], [51]], 20, axis=0))
    other = fitted.finalize(n_clusters=2).partial_fit(np.full((20, 1), 50.5))
    assert_allclose(sorted(other.cluster_centers_.ravel()), [0.5, 50.5], atol=1e-3)


def test_what_the_state_cannot_tell_is_refused(digits: Any) -> None:
    fitted = KMeans(10, random_state=0).fit(digits)
    with pytest.raises(Invalid, match="k must be at most"):
        fitted.finalize(n_clusters=5000)
    with pytest.raises(ValueError, match="n_clusters must be at least 1"):
        fitted.finalize(n_clusters=0)
    with pytest.raises(NotFittedError):
        KMeans(3).finalize(n_clusters=2)
