import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score

from tidemill.stats.score_histogram import ScoreHistogram


def draw(rows: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(3)
    positive = draws.random(rows) < 0.3
    scores = draws.normal(size=(rows, 2)) * [1, 20] + positive[:, None] * [1, 40]
    return scores, positive, draws.integers(1, 4, rows).astype(float)


def test_the_area_is_scikit_learns_to_the_width_of_a_bin() -> None:
    scores, positive, weights = draw()
    areas = ScoreHistogram.of(scores, positive, weights).roc_auc()
    for model in range(2):
        wanted = roc_auc_score(positive, scores[:, model], sample_weight=weights)
        assert areas[model] == pytest.approx(wanted, abs=1e-3)


def test_a_threshold_decides_as_comparing_with_it_does() -> None:
    scores, positive, weights = draw()
    histogram = ScoreHistogram.of(scores, positive, weights)
    table, thresholds = histogram.confusion(), histogram.thresholds()
    for at in (1, 1500, 2048, 2600, 4000):
        said = scores[:, 0] >= thresholds[at]
        counted = confusion_matrix(positive, said, sample_weight=weights)
        assert table.true_positive[0, at] == pytest.approx(counted[1, 1])
        assert table.false_positive[0, at] == pytest.approx(counted[0, 1])


def test_the_outermost_thresholds_accept_all_and_nothing() -> None:
    scores, positive, weights = draw(50)
    histogram = ScoreHistogram.of(scores, positive, weights)
    table, thresholds = histogram.confusion(), histogram.thresholds()
    assert (thresholds[0], thresholds[-1]) == (-np.inf, np.inf)
    assert thresholds[2048] == 0
    assert table.recall()[0, 0] == 1
    assert table.recall()[0, -1] == 0
    assert (np.diff(thresholds) > 0).all()


def test_parts_merge_to_the_whole() -> None:
    scores, positive, weights = draw()
    parts = [
        ScoreHistogram.of(scores[cut], positive[cut], weights[cut])
        for cut in (slice(0, 700), slice(700, None))
    ]
    whole = ScoreHistogram.of(scores, positive, weights)
    np.testing.assert_array_equal(parts[0].merge(parts[1]).counts, whole.counts)
    np.testing.assert_array_equal(ScoreHistogram.none(2).merge(whole).counts, whole.counts)


def test_one_class_has_no_area_and_odd_scores_do_no_harm() -> None:
    odd = np.array([[np.nan], [np.inf], [-np.inf], [0.0]])
    histogram = ScoreHistogram.of(odd, np.ones(4, bool), np.ones(4))
    assert np.isnan(histogram.roc_auc()).all()
    assert histogram.counts.sum() == 4
