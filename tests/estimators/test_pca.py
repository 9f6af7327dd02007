"""PCA as scikit-learn users know it: its checks pass, and its components are those of the peer."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tidemill.artifact.codec import to_bytes

sklearn = pytest.importorskip("sklearn")

from scipy import sparse  # noqa: E402
from sklearn.datasets import load_digits, load_wine  # noqa: E402
from sklearn.decomposition import PCA as Peer  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from tidemill.errors import Invalid  # noqa: E402
from tidemill.estimators import PCA  # noqa: E402

SHOWN = (
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "mean_",
)


@pytest.fixture(scope="module")
def digits() -> Any:
    return load_digits().data


@pytest.fixture(scope="module")
def wide() -> Any:
    """Rows of so many columns that randomized mode keeps a sketch."""
    draws = np.random.default_rng(0)
    shades = draws.normal(size=(600, 40)) * np.arange(1, 41) ** -1.0
    return (shades @ draws.normal(size=(40, 2100)) + 5).astype(np.float32)


def same(left: Any, right: Any, rtol: float, atol: float = 1e-6) -> None:
    signs = np.sign(np.einsum("ij,ij->i", left.components_, right.components_))
    assert_allclose(left.components_ * signs[:, None], right.components_, rtol=rtol, atol=atol)
    for name in SHOWN[1:]:
        assert_allclose(getattr(left, name), getattr(right, name), rtol=rtol, atol=atol)


@parametrize_with_checks([PCA(), PCA(n_components=1, whiten=True)])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("count", [1, 10, 0.9, 50])
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_that_is_shown_is_what_the_peer_shows(
    digits: Any, count: Any, whiten: bool, dtype: Any
) -> None:
    rows = digits.astype(dtype)
    ours, peer = (C(count, whiten=whiten).fit(rows) for C in (PCA, Peer))
    same(ours, peer, rtol=2e-4, atol=1e-4)
    assert ours.n_components_ == peer.n_components_
    assert_allclose(ours.noise_variance_, peer.noise_variance_, rtol=1e-3)
    got, wanted = ours.transform(rows), peer.transform(rows)
    assert_allclose(np.abs(got), np.abs(wanted), atol=2e-3)
    assert_allclose(ours.inverse_transform(got), peer.inverse_transform(wanted), atol=2e-3)
    assert {getattr(ours, name).dtype for name in SHOWN} == {np.dtype(dtype)}
    assert got.dtype == dtype


@pytest.mark.parametrize("far", [1e4, 1e9])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_float64_rows_keep_their_digits(far: float, size: float) -> None:
    rows = (np.random.default_rng(0).normal(size=(500, 5)) * [5, 4, 3, 2, 1] + far) * size
    peer = Peer(svd_solver="full").fit(rows)  # its own choice loses them
    same(PCA().fit(rows), peer, rtol=1e-5, atol=1e-5)
    streamed = PCA()
    for part in np.array_split(rows, 7):
        streamed.partial_fit(part)
    same(streamed, peer, rtol=1e-5, atol=1e-5)


def test_columns_of_different_units_are_told_apart() -> None:
    rows = load_wine().data
    same(PCA(5).fit(rows), Peer(5).fit(rows), rtol=1e-3, atol=1e-5)


def test_without_the_mean_it_is_a_singular_value_decomposition(digits: Any) -> None:
    ours = PCA(5, subtract_mean=False).fit(digits)
    _, values, vectors = np.linalg.svd(digits, full_matrices=False)
    assert_allclose(ours.singular_values_, values[:5], rtol=1e-5)
    assert_allclose(np.abs(ours.components_), np.abs(vectors[:5]), atol=1e-4)
    assert not ours.mean_.any()


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_sparse_rows_are_the_same_rows(wide: Any, mode: str) -> None:
    rows = np.where(np.random.default_rng(1).random(wide.shape) < 0.05, wide, 0)
    dense, few = (
        PCA(3, algorithm_mode=mode, random_state=0, extra_components=30).fit(table)
        for table in (rows, sparse.csr_matrix(rows))
    )
    assert_allclose(dense.explained_variance_, few.explained_variance_, rtol=1e-3)
    projected = few.transform(sparse.csc_matrix(rows))
    assert_allclose(projected, few.transform(rows), atol=1e-3)


def test_a_sketch_tells_nearly_as_much_as_all_products(wide: Any) -> None:
    exact = PCA(10).fit(wide)
    sketched = PCA(10, algorithm_mode="randomized", random_state=0).fit(wide)
    got, wanted = (p.explained_variance_ratio_.sum() for p in (sketched, exact))
    assert got == pytest.approx(wanted, rel=1e-3)
    told = np.square(sketched.transform(wide)).sum() / np.square(wide - wide.mean(axis=0)).sum()
    assert told == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_the_number_of_cores_changes_no_bit(
    wide: Any, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = []
    for cores in (1, 2, 5):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=cores: set(range(n)))
        fitted = PCA(4, algorithm_mode=mode, random_state=3).fit(wide)
        states.append((to_bytes(fitted.state_), fitted.components_.tobytes()))
    assert states[0] == states[1] == states[2]


@pytest.mark.parametrize("rows", [1, 7, 200])
def test_partial_fit_ends_where_fit_does(digits: Any, rows: int) -> None:
    some = digits[:250] if rows == 1 else digits[:600]
    streamed = PCA(8)
    for at in range(0, len(some), rows):
        streamed.partial_fit(some[at : at + rows])
    same(streamed, PCA(8).fit(some), rtol=1e-4, atol=1e-4)
    assert streamed.n_samples_ == len(some)


def test_partial_fit_goes_on_from_fit(digits: Any) -> None:
    fitted = PCA(8).fit(digits[:1000]).partial_fit(digits[1000:])
    same(fitted, PCA(8).fit(digits), rtol=1e-4, atol=1e-4)


def test_a_refused_batch_leaves_what_was_learned(digits: Any) -> None:
    fitted = PCA(3).fit(digits)
    before = to_bytes(fitted.state_)
    with pytest.raises(ValueError, match="NaN"):
        fitted.partial_fit(np.full((2, 64), np.nan))
    assert to_bytes(fitted.state_) == before


@pytest.mark.parametrize("changes", [{"n_components": 5}, {"whiten": True}, {"n_components": 0.8}])
@pytest.mark.parametrize("subtract_mean", [True, False])
def test_a_fitted_one_makes_others_without_rows(
    digits: Any, changes: dict[str, Any], subtract_mean: bool
) -> None:
    fitted = PCA(30).fit(digits)
    other = fitted.finalize(**changes, subtract_mean=subtract_mean)
    anew = PCA(**{"n_components": 30, **changes}, subtract_mean=subtract_mean).fit(digits)
    same(other, anew, rtol=1e-9)
    assert_allclose(other.transform(digits), anew.transform(digits), atol=1e-9)
    assert fitted.n_components_ == 30


def test_what_the_state_cannot_tell_is_refused(digits: Any, wide: Any) -> None:
    with pytest.raises(ValueError, match="from 1 to 64"):
        PCA(3).fit(digits).finalize(n_components=65)
    sketched = PCA(3, algorithm_mode="randomized", extra_components=2, random_state=0).fit(wide)
    assert sketched.finalize(n_components=5).n_components_ == 5
    with pytest.raises(Invalid, match="from 1 to 5, the directions"):
        sketched.finalize(n_components=6)
    with pytest.raises(NotFittedError):
        PCA(3).finalize(n_components=2)


def test_it_works_in_a_pipeline_and_names_its_columns(digits: Any) -> None:
    labels = load_digits().target
    pipeline = make_pipeline(PCA(20), GaussianNB()).fit(digits, labels)
    assert pipeline.score(digits, labels) > 0.9
    assert list(PCA(2).fit(digits).get_feature_names_out()) == ["pca0", "pca1"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components must be None, a share"),
        ({"n_components": 7}, "from 1 to 6, the lesser of n_samples and n_features; got 7"),
        ({"n_components": 1.5}, "n_components must be None, a share"),
        ({"n_components": "mle"}, "n_components must be None, a share"),
        ({"algorithm_mode": "exact"}, "algorithm_mode must be regular or randomized; got 'exact'"),
        ({"extra_components": -2}, "extra_components must be an integer of at least -1; got -2"),
    ],
)
def test_bad_parameters_say_what_to_do(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PCA(**parameters).fit(np.random.default_rng(0).normal(size=(6, 9)))


def test_infinity_in_a_question_is_refused(digits: Any) -> None:
    fitted = PCA(3).fit(digits)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN|infinity"):
            fitted.transform(np.full((1, 64), value))


def test_rows_of_one_kind_spread_along_nothing() -> None:
    fitted = PCA(2).fit(np.ones((5, 3)))
    assert_array_equal(fitted.explained_variance_, [0, 0])
    assert_array_equal(fitted.transform(np.ones((2, 3))), np.zeros((2, 2)))
