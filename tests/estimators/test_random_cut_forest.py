"""RandomCutForest as scikit-learn users know it: its checks pass, and odd rows are found."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tidemill.errors import Invalid

sklearn = pytest.importorskip("sklearn")

from scipy import sparse  # noqa: E402
from sklearn.datasets import load_breast_cancer, load_digits  # noqa: E402
from sklearn.ensemble import IsolationForest  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from tidemill.estimators import RandomCutForest  # noqa: E402


def normal(rows: int, columns: int = 4, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(rows, columns))


@pytest.mark.parametrize("contamination", ["auto", 0.1])
def test_scikit_learn_finds_nothing_to_complain_of(contamination: Any) -> None:
    with warnings.catch_warnings():
        # It warns of each check that it leaves out, such as the one that wants SCIPY_ARRAY_API.
        warnings.simplefilter("ignore")
        forest = RandomCutForest(20, 64, contamination=contamination)
        results = check_estimator(forest, on_fail=None)
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert failed == []


def test_odd_digits_are_found_no_worse_than_by_an_isolation_forest() -> None:
    digits = load_digits()
    eights = np.flatnonzero(digits.target == 8)[:10]
    chosen = np.r_[np.flatnonzero(digits.target == 0), eights]
    rows, is_odd = digits.data[chosen], np.isin(chosen, eights)
    ours, theirs = (
        np.mean([
            roc_auc_score(is_odd, -kind(random_state=s).fit(rows).score_samples(rows))
            for s in range(3)
        ])
        for kind in (RandomCutForest, IsolationForest)
    )  # fmt: skip
    assert ours >= theirs - 0.005


def test_scaled_columns_count_alike_in_a_pipeline() -> None:
    data = load_breast_cancer()
    chosen = np.r_[np.flatnonzero(data.target == 1), np.flatnonzero(data.target == 0)[:20]]
    rows, is_odd = data.data[chosen], data.target[chosen] == 0
    plain, scaled = (
        roc_auc_score(is_odd, -model.fit(rows).score_samples(rows))
        for model in (
            RandomCutForest(random_state=0),
            make_pipeline(StandardScaler(), RandomCutForest(random_state=0)),
        )
    )
    assert scaled > 0.93
    assert plain > 0.9


def test_three_sigma_is_the_rule_of_auto() -> None:
    rows = normal(3000)
    fitted = RandomCutForest(random_state=0).fit(rows)
    scores = fitted.score_samples(rows)
    assert fitted.offset_ == pytest.approx(scores.mean() - 3 * scores.std(), rel=1e-6)
    assert_allclose(fitted.decision_function(rows), scores - fitted.offset_)
    assert_array_equal(fitted.predict(rows) == -1, scores < fitted.offset_)


def test_contamination_is_the_share_of_the_training_rows_that_are_outliers() -> None:
    rows = normal(2000)
    for share in (0.01, 0.2):
        said = RandomCutForest(contamination=share, random_state=0).fit_predict(rows)
        assert (said == -1).mean() == pytest.approx(share, abs=1e-3)
    few = RandomCutForest(20, 16, contamination=0.1, random_state=0).fit(normal(30_000))
    assert (few.predict(normal(5000, seed=1)) == -1).mean() == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_trees", 0), ("num_samples_per_tree", 2.5), ("contamination", 0.6), ("contamination", 0)],
)
def test_a_bad_parameter_names_itself(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        RandomCutForest(**{name: value}).fit(normal(20))


def test_parts_make_the_forest_of_the_whole() -> None:
    rows = normal(3000)
    whole = RandomCutForest(random_state=3).fit(rows)
    parts = RandomCutForest(random_state=3)
    for part in np.array_split(rows, 7):
        parts.partial_fit(part)
    assert_array_equal(parts.score_samples(rows), whole.score_samples(rows))
    assert parts.offset_ == pytest.approx(whole.offset_)


def test_other_forests_are_made_of_the_state() -> None:
    rows = normal(3000)
    fitted = RandomCutForest(random_state=3).fit(rows)
    other = fitted.finalize(num_trees=30, num_samples_per_tree=50, contamination=0.05)
    wanted = RandomCutForest(30, 50, contamination=0.05, random_state=3).fit(rows)
    assert_array_equal(other.score_samples(rows), wanted.score_samples(rows))
    assert other.offset_ == wanted.offset_
    assert other.n_features_in_ == 4
    with pytest.raises(Invalid, match="num_trees"):
        fitted.finalize(num_trees=0)


def test_sparse_rows_are_the_same_rows() -> None:
    rows = np.where(normal(500, 30) > 1, normal(500, 30, seed=1), 0)
    fitted = RandomCutForest(random_state=0).fit(rows)
    again = RandomCutForest(random_state=0).fit(sparse.csr_matrix(rows))
    assert_array_equal(fitted.score_samples(rows), again.score_samples(sparse.csr_array(rows)))


def test_a_pickle_answers_the_same_and_takes_only_the_forest_along() -> None:
    rows = normal(2000, 40)
    fitted = RandomCutForest(random_state=0).fit(rows)
    blob = pickle.dumps(fitted)
    assert_array_equal(pickle.loads(blob).score_samples(rows), fitted.score_samples(rows))
    assert len(blob) < 100 * 256 * 40 + 4 * rows.size * 4
