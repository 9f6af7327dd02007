"""Random cut forest beyond the laws: how rows are dealt, what is told, and what is refused."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tidemill.algorithms.randomcutforest import DECLARATION
from tidemill.algorithms.randomcutforest.forest import deal, plant
from tidemill.algorithms.randomcutforest.hyperparameters import RandomCutForestHyperparameters
from tidemill.algorithms.randomcutforest.learner import RandomCutForest
from tidemill.algorithms.randomcutforest.model import RandomCutForestModel
from tidemill.algorithms.randomcutforest.quality import KEPT, ThreeSigma
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch
from tidemill.errors import Invalid, InvalidData, InvalidHyperparameter
from tidemill.registry import check
from tidemill.stats.score_histogram import ScoreHistogram


def algorithm(columns: int, trees: int = 50, samples: int = 32, **more: Any) -> RandomCutForest:
    return RandomCutForest(RandomCutForestHyperparameters(columns, trees, samples), **more)


def learned(rows: Any, trees: int = 50, samples: int = 32, **more: Any) -> Any:
    made = algorithm(rows.shape[1], trees, samples, **more)
    return functools.reduce(made.update, Batch(rows).split(1000), made.start())


def normal(rows: int, columns: int = 3, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


@pytest.mark.parametrize(("rows", "trees", "size"), [(1000, 10, 100), (990, 10, 100), (7, 50, 5)])
def test_no_row_is_dealt_twice_to_a_tree_and_none_much_more_often_than_others(
    rows: int, trees: int, size: int
) -> None:
    members = deal(rows, trees, size, seed=3)
    assert members.shape == (trees, size)
    assert all(len(set(tree)) == size for tree in members.tolist())
    times = np.bincount(members.ravel(), minlength=rows)
    a_round = rows // size * size
    assert times.max() <= -(-trees * size // a_round)
    if trees * size <= rows:
        assert set(times.tolist()) <= {0, 1}


def test_a_full_forest_deals_every_kept_row_to_one_tree() -> None:
    state = learned(normal(5000))
    model = algorithm(3).finalize(state)
    assert len(state.sample) == 50 * 32
    assert model.rows.shape == (50 * 32, 3)
    assert model.sample_size == 32
    kept = {row.tobytes() for row in state.sample.ordered().rows}
    assert {row.tobytes() for row in model.rows} == kept


def test_the_order_of_the_rows_does_not_matter_while_all_are_held() -> None:
    rows = normal(900)
    wanted = to_bytes(algorithm(3).finalize(learned(rows)))
    assert to_bytes(algorithm(3).finalize(learned(rows[::-1].copy()))) == wanted


def test_the_number_of_cores_changes_no_byte() -> None:
    rows = normal(3000, 5)
    with ThreadPoolExecutor(4) as pool:

        def side_by_side(work: Any, items: Iterable[Any]) -> Iterable[Any]:
            return pool.map(work, items)

        both = [algorithm(5, each=each).finalize(learned(rows)) for each in (map, side_by_side)]
        assert to_bytes(both[0]) == to_bytes(both[1])
        asked = Batch(normal(20_000, 5, seed=2))
        assert_array_equal(both[0].scores(asked), both[1].scores(asked, side_by_side))


def test_another_seed_grows_another_forest_that_says_much_the_same() -> None:
    rows, asked = normal(2000), Batch(normal(500, seed=9) * 2)
    one, other = (
        algorithm(3, 100, 64, seed=s).finalize(learned(rows, 100, 64, seed=s)).scores(asked)
        for s in (1, 2)
    )
    assert (one != other).mean() > 0.9
    assert np.corrcoef(one, other)[0, 1] > 0.97


def test_fewer_or_smaller_trees_are_made_of_the_state_as_training_would_have_made_them() -> None:
    rows = normal(20_000)
    state = learned(rows, 100, 64)
    for trees, samples in ((50, 64), (100, 16), (60, 20)):
        other = algorithm(3, trees, samples)
        wanted = to_bytes(other.finalize(learned(rows, trees, samples)))
        assert to_bytes(other.finalize(other.reopen(state))) == wanted


def test_more_or_bigger_trees_share_the_rows_that_there_are() -> None:
    state = learned(normal(20_000), 50, 32)
    more = algorithm(3, 200, 256)
    model = more.finalize(more.reopen(state))
    assert (len(model.trees.nodes), model.sample_size) == (200, 256)
    assert 1600 <= len(model.rows) <= 1800
    few = learned(normal(100))
    assert more.finalize(more.reopen(few)).sample_size == 100


def test_going_on_keeps_a_uniform_sample_of_all_rows() -> None:
    old, new = (np.full((n, 1), v, np.float32) for n, v in ((30_000, 0), (10_000, 1)))
    algo = algorithm(1, 50, 64)
    state = algo.reopen(learned(old, 50, 64))
    state = functools.reduce(algo.update, Batch(new).split(1000), state)
    assert state.sample.seen == 40_000
    assert state.sample.ordered().rows.mean() == pytest.approx(0.25, abs=0.03)


def test_far_rows_score_high_and_the_scale_is_that_of_the_sample_size() -> None:
    rows = normal(20_000, 2)
    model = algorithm(2, 100, 256).finalize(learned(rows, 100, 256))
    asked = np.array([[0, 0], [2, 0], [4, -4], [1e6, 0]], np.float32)
    scores = model.predict(Batch(asked))["score"]
    assert scores.dtype == np.float32
    assert (np.diff(scores) > 0).all()
    assert 0.5 < scores[0] < 1
    assert scores[-1] == pytest.approx(np.log2(257), rel=1e-3)


def test_a_tree_of_one_row_a_constant_column_and_constant_rows_are_scored() -> None:
    rows = normal(500)
    rows[:, 1] = 7
    single = algorithm(3, 50, 1).finalize(learned(rows, 50, 1))
    assert_allclose(single.predict(Batch(rows + 1))["score"], 1)
    assert np.isfinite(algorithm(3).finalize(learned(rows)).predict(Batch(rows))["score"]).all()
    same = algorithm(3).finalize(learned(np.ones((100, 3), np.float32)))
    low, high = same.predict(Batch(np.array([[1, 1, 1], [1, 2, 1]], np.float32)))["score"]
    assert low == pytest.approx(0.5, abs=1e-6)
    assert high == pytest.approx(np.log2(33))


def test_a_shingled_series_shows_where_it_breaks() -> None:
    draws = np.random.default_rng(0)
    series = np.sin(np.arange(6000) / 8) + draws.normal(size=6000) * 0.1
    series[4000:4020] = 0.3
    rows = np.lib.stride_tricks.sliding_window_view(series, 24).astype(np.float32)
    scores = algorithm(24, 100, 256).finalize(learned(rows, 100, 256)).scores(Batch(rows))
    touched = np.abs(np.arange(len(rows)) - 3998) <= 22
    assert 3980 < scores.argmax() < 4020
    assert (scores[touched].mean() - scores[~touched].mean()) / scores[~touched].std() > 2


def test_displacements_of_rrcf_tell_anomalies_no_better() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the old way in which it tells its version
        peer = pytest.importorskip("rrcf")
    metrics = pytest.importorskip("sklearn.metrics")
    draws = np.random.default_rng(4)
    rows = draws.normal(size=(1500, 3)) * [1, 2, 4]
    is_odd = np.arange(1500) < 60
    rows[is_odd] += draws.normal(size=(60, 3)) * 4
    ours = algorithm(3, 50, 128).finalize(learned(rows.astype(np.float32), 50, 128))
    found = ours.scores(Batch(rows.astype(np.float32)))
    asked, theirs = np.r_[:60, 200:280], np.zeros(1500)
    for t in range(20):
        chosen = draws.choice(1500, 128, replace=False)
        tree = peer.RCTree(rows[chosen], index_labels=chosen, random_state=t)
        for i in asked:
            is_new = i not in tree.leaves
            if is_new:
                tree.insert_point(rows[i], index=i)
            theirs[i] += tree.codisp(i)
            if is_new:
                tree.forget_point(i)
    area = metrics.roc_auc_score
    assert area(is_odd[asked], found[asked]) >= area(is_odd[asked], theirs[asked]) - 0.01


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2e30])
def test_numbers_that_cannot_be_used_are_told_of(value: float) -> None:
    rows = normal(100)
    model = algorithm(3).finalize(learned(rows))
    rows[50, 2] = value
    with pytest.raises(InvalidData, match="feature 3 of row 51"):
        learned(rows)
    with pytest.raises(InvalidData, match="feature 3 of row 51"):
        model.predict(Batch(rows))


def test_rows_of_another_width_are_told_of_everywhere() -> None:
    algo, wide = algorithm(3), Batch(normal(10, 4))
    model = algo.finalize(learned(normal(100)))
    with pytest.raises(InvalidData, match="3 features"):
        algo.update(algo.start(), wide)
    with pytest.raises(InvalidData, match="3 features"):
        model.predict(wide)
    with pytest.raises(InvalidData, match="3 features"):
        algo.evaluate(model, replace(wide, labels=np.zeros(10, np.float32)))
    with pytest.raises(Invalid, match="feature_dim must be 3, .* got 4"):
        algorithm(4).reopen(learned(normal(100)))


def test_no_rows_make_no_forest() -> None:
    algo = algorithm(3)
    with pytest.raises(Invalid, match="one row or more"):
        algo.finalize(algo.start())


def test_a_damaged_model_is_refused_when_it_is_used() -> None:
    model = algorithm(3).finalize(learned(normal(100)))
    child = model.trees.child.copy()
    child[3] = 2**30
    damaged = replace(model, trees=replace(model.trees, child=child))
    again = from_bytes(RandomCutForestModel, to_bytes(damaged))
    with pytest.raises(InvalidData, match="saved forest"):
        again.predict(Batch(normal(2)))


@pytest.mark.parametrize("labels", [[0, 2], [0, np.nan], [0.5, 1]])
def test_labels_other_than_0_and_1_are_told_of(labels: list[float]) -> None:
    with pytest.raises(InvalidData, match="1, an anomaly, or 0"):
        ThreeSigma.of(np.ones(2, np.float32), np.array(labels, np.float32), ("accuracy",))
    with pytest.raises(InvalidData, match="2 labels a row"):
        ThreeSigma.of(np.ones(2, np.float32), np.ones((2, 2), np.float32), ("accuracy",))


def test_the_three_sigma_rule_is_told_in_the_documented_words() -> None:
    scores = np.r_[np.ones(96), [9, 9, 9, 1]].astype(np.float32)
    labels = np.r_[np.zeros(96), [1, 1, 0, 1]].astype(np.float32)
    both = ("accuracy", "precision_recall_fscore")
    found = ThreeSigma.of(scores, labels, both)
    assert found.threshold() == pytest.approx(scores.mean() + 3 * scores.std(), rel=1e-6)
    told = {m.name: m.value for m in found.measures()}
    assert told == pytest.approx(
        {"f1": 2 / 3, "precision": 2 / 3, "recall": 2 / 3, "accuracy": 0.98}
    )
    assert {m.kind for m in found.measures()} == {"score"}
    assert [m.name for m in ThreeSigma.of(scores, labels, both[:1]).measures()] == ["accuracy"]
    assert ThreeSigma.of(scores, labels, ()).measures() == []


def test_evidence_of_many_rows_is_bounded_and_all_but_exact() -> None:
    draws = np.random.default_rng(1)
    is_odd = draws.random(150_000) < 0.01
    scores = (0.8 + draws.gamma(4, 0.05, 150_000) + is_odd * draws.random(150_000)).astype("f4")
    tell = ("precision_recall_fscore", "accuracy")
    parts = [
        ThreeSigma.of(scores[at : at + 7000], is_odd[at : at + 7000].astype(np.float32), tell)
        for at in range(0, 150_000, 7000)
    ]
    found = functools.reduce(ThreeSigma.merge, parts)
    other = functools.reduce(lambda left, right: right.merge(left), parts)
    assert isinstance(found.counts, ScoreHistogram)
    assert len(found.scores) == 0
    assert isinstance(functools.reduce(ThreeSigma.merge, parts[: KEPT // 7000]).counts, type(None))
    said = scores > scores.mean(dtype=float) + 3 * scores.std(dtype=float)
    right = (said & is_odd).sum()
    wanted = [2 * right / (said.sum() + is_odd.sum()), right / said.sum(), right / is_odd.sum()]
    assert_allclose([m.value for m in found.measures()][:3], wanted, atol=5e-3)
    assert [m.value for m in other.measures()] == pytest.approx([m.value for m in found.measures()])


def test_rows_without_labels_are_no_evidence() -> None:
    algo = algorithm(3)
    assert algo.evaluate(algo.finalize(learned(normal(50))), Batch(normal(5))) is None


def test_planting_needs_no_order_and_keeps_rows_of_a_tree_together() -> None:
    rows = normal(640)
    one, trees = plant(rows, 10, 64, 5)
    other, _ = plant(rows[::-1].copy(), 10, 64, 5)
    assert_array_equal(one, other)
    leaves = trees.leaf_row.reshape(10, 64)
    assert (leaves // 64 == np.arange(10)[:, None]).all()


def test_hyperparameters_that_every_client_sends_are_taken() -> None:
    sent = {"feature_dim": "3", "mini_batch_size": "1000", "num_trees": "50"}
    asked = check("randomcutforest", sent)
    assert (asked.feature_dim, asked.num_trees, asked.num_samples_per_tree) == (3, 50, 256)
    assert asked.eval_metrics == ("accuracy", "precision_recall_fscore")
    for name, value in (("num_trees", "49"), ("num_samples_per_tree", "2049")):
        with pytest.raises(InvalidHyperparameter, match=name):
            check("randomcutforest", {**sent, name: value})


def test_answers_are_scores_and_go_to_csv_as_json() -> None:
    assert (DECLARATION.response_key, DECLARATION.csv_accept) == ("scores", "application/json")
