import numpy as np
import pytest
from sklearn import metrics

from tidemill.stats.class_tally import ClassTally


def draw() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(1)
    labels = draws.integers(0, 5, 800)
    scores = draws.normal(size=(800, 5))
    scores[np.arange(800), labels] += 1
    return scores, labels, draws.integers(1, 4, 800).astype(float)


def test_the_scores_are_scikit_learns() -> None:
    scores, labels, weights = draw()
    tally = ClassTally.of(scores, labels, weights, 2)
    said = scores.argmax(axis=1)
    how = {"average": "macro", "sample_weight": weights}
    wanted = {
        tally.accuracy(): metrics.accuracy_score(labels, said, sample_weight=weights),
        tally.top_k_accuracy(): metrics.top_k_accuracy_score(
            labels, scores, k=2, sample_weight=weights
        ),
        tally.macro_precision(): metrics.precision_score(labels, said, **how),
        tally.macro_recall(): metrics.recall_score(labels, said, **how),
        tally.macro_f_beta(2.0): metrics.fbeta_score(labels, said, beta=2.0, **how),
        tally.dcg(): metrics.dcg_score(np.eye(5)[labels], scores, sample_weight=weights),
    }
    for got, right in wanted.items():
        assert got == pytest.approx(right)


def test_parts_merge_to_the_whole() -> None:
    scores, labels, weights = draw()
    cuts = slice(0, 333), slice(333, None)
    left, right = (ClassTally.of(scores[c], labels[c], weights[c], 2) for c in cuts)
    both, whole = left.merge(right), ClassTally.of(scores, labels, weights, 2)
    np.testing.assert_allclose(both.hit, whole.hit)
    assert both.dcg() == pytest.approx(whole.dcg())
    assert both.top_k_accuracy() == pytest.approx(whole.top_k_accuracy())


def test_of_no_rows_every_score_is_zero() -> None:
    tally = ClassTally.of(np.empty((0, 3)), np.empty(0, int), np.empty(0), 3)
    assert (tally.accuracy(), tally.macro_recall(), tally.dcg()) == (0, 0, 0)
