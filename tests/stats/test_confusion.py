import numpy as np
import pytest
from sklearn import metrics

from tidemill.stats.confusion import Confusion
from tidemill.stats.deviation import Deviation


def test_the_scores_of_a_decision_are_scikit_learns_and_merge() -> None:
    draws = np.random.default_rng(0)
    truth, weights = draws.random(500) < 0.4, draws.integers(1, 5, 500).astype(float)
    said = np.where(draws.random(500) < 0.8, truth, ~truth)
    halves = slice(0, 200), slice(200, None)
    left, right = (Confusion.of(said[h], truth[h], weights[h]) for h in halves)
    seen = left.merge(right)
    how = {"sample_weight": weights}
    assert seen.accuracy() == pytest.approx(metrics.accuracy_score(truth, said, **how))
    assert seen.precision() == pytest.approx(metrics.precision_score(truth, said, **how))
    assert seen.recall() == pytest.approx(metrics.recall_score(truth, said, **how))
    assert seen.f_beta(0.5) == pytest.approx(metrics.fbeta_score(truth, said, beta=0.5, **how))


def test_what_cannot_be_divided_is_zero() -> None:
    nothing = Confusion.of(np.zeros(3, bool), np.zeros(3, bool), np.ones(3))
    assert (nothing.precision(), nothing.recall(), nothing.f_beta(1.0)) == (0, 0, 0)
    assert nothing.accuracy() == 1


def test_deviations_are_scikit_learns_and_merge() -> None:
    draws = np.random.default_rng(0)
    truth, said = draws.normal(size=(2, 300))
    weights = draws.random(300)
    parts = [Deviation.of(said[c], truth[c], weights[c]) for c in (slice(0, 9), slice(9, None))]
    seen = parts[0].merge(parts[1])
    how = {"sample_weight": weights}
    assert seen.mean_square() == pytest.approx(metrics.mean_squared_error(truth, said, **how))
    assert seen.root_mean_square() ** 2 == pytest.approx(seen.mean_square())
    assert seen.mean_distance() == pytest.approx(metrics.mean_absolute_error(truth, said, **how))
    assert Deviation(0.0, 0.0, 0.0).mean_square() == 0
