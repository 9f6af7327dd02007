"""k-means: each hyperparameter does what its documentation says, and the centres are good ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tidemill.algorithms.hyperparameters import read
from tidemill.algorithms.kmeans import local_lloyd
from tidemill.algorithms.kmeans.declaration import DECLARATION
from tidemill.algorithms.kmeans.hyperparameters import KMeansHyperparameters
from tidemill.algorithms.kmeans.learner import KMeans
from tidemill.algorithms.kmeans.model import KMeansModel
from tidemill.algorithms.kmeans.nearest import gather, labels_of, origin_of
from tidemill.algorithms.kmeans.state import KMeansState
from tidemill.artifact.codec import to_bytes
from tidemill.data.batch import Batch, Floats, to_csr
from tidemill.errors import Invalid, InvalidData
from tidemill.testing.algorithm import Stream
from tidemill.training.loop import fit


def blobs(rows: int, k: int, columns: int, seed: int = 0, offset: float = 0.0) -> Floats:
    draws = np.random.default_rng(seed)
    centres = draws.normal(size=(k, columns)) * 6 + offset
    noise = draws.normal(size=(rows, columns))
    return (centres[draws.integers(0, k, rows)] + noise).astype(np.float32)


def learner(columns: int, k: int, seed: int = 0, **more: Any) -> KMeans:
    return KMeans(KMeansHyperparameters(feature_dim=columns, k=k, **more), seed=seed)


def train(algorithm: KMeans, rows: Floats, batch_rows: int = 100) -> KMeansState:
    return fit(algorithm, Stream(list(Batch(rows).split(batch_rows))))


def exact_loss(rows: Floats, centres: Floats) -> float:
    gaps = ((rows[:, None, :].astype(np.float64) - centres) ** 2).sum(axis=2)
    return float(gaps.min(axis=1).mean())


def test_one_pass_finds_the_clusters() -> None:
    rows = blobs(3000, 8, 5)
    algorithm = learner(5, 8)
    model = algorithm.finalize(train(algorithm, rows))
    assert model.centres.shape == (8, 5)
    assert exact_loss(rows, model.centres) < 5 * 1.02


def test_every_epoch_after_the_first_lowers_the_loss() -> None:
    rows = np.random.default_rng(3).random((2000, 6), np.float32)
    losses = []
    for epochs in (1, 2, 4, 8):
        algorithm = learner(6, 20, epochs=epochs, local_lloyd_tol=0.0)
        state = train(algorithm, rows)
        assert state.passes == epochs
        losses.append(exact_loss(rows, algorithm.finalize(state).centres))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] * 0.99


def test_epochs_end_early_once_the_loss_stands_still() -> None:
    algorithm = learner(5, 4, epochs=50)
    assert train(algorithm, blobs(500, 4, 5)).passes < 10


def test_the_reported_loss_of_a_later_epoch_is_the_loss() -> None:
    rows = blobs(1000, 4, 3)
    algorithm = learner(3, 4, epochs=10)
    state = train(algorithm, rows)
    (measure,) = algorithm.report(state)["train"]
    assert measure.name == "msd"
    assert_allclose(measure.value, exact_loss(rows, algorithm.finalize(state).centres), rtol=1e-4)


def test_the_reported_loss_of_the_first_epoch_is_near_the_loss() -> None:
    rows = blobs(1000, 4, 3)
    algorithm = learner(3, 4)
    state = train(algorithm, rows)
    (measure,) = algorithm.report(state)["train"]
    assert_allclose(measure.value, exact_loss(rows, algorithm.finalize(state).centres), rtol=0.1)


@pytest.mark.parametrize(("factor", "most"), [(None, 30), (4, 12), (1, 3)])
def test_extra_center_factor_says_how_many_centres_follow(factor: int | None, most: int) -> None:
    algorithm = learner(4, 3, extra_center_factor=factor)
    state = train(algorithm, blobs(500, 3, 4))
    assert len(state.centres) == most
    assert len(algorithm.finalize(state).centres) == 3


def test_one_state_gives_models_of_any_smaller_k() -> None:
    rows = blobs(2000, 4, 5)
    state = train(learner(5, 8), rows)
    model = learner(5, 4).finalize(replace(state, answer=None))
    assert model.centres.shape == (4, 5)
    assert exact_loss(rows, model.centres) < 5 * 1.05


@pytest.mark.parametrize(("half_life", "near"), [(0, 5.0), (200, 10.0)])
def test_half_life_forgets_what_was_seen_long_ago(half_life: int, near: float) -> None:
    old, new = np.zeros((5000, 1), np.float32), np.full((5000, 1), 10, np.float32)
    algorithm = learner(1, 1, extra_center_factor=1, half_life_time_size=half_life)
    state = train(algorithm, np.concatenate([old, new]))
    assert_allclose(algorithm.finalize(state).centres, [[near]], atol=0.05)


def test_half_life_holds_in_later_epochs_too() -> None:
    rows = np.repeat([[0.0], [10.0]], 5000, axis=0).astype(np.float32)
    algorithm = learner(1, 1, epochs=2, half_life_time_size=200)
    assert_allclose(algorithm.finalize(train(algorithm, rows)).centres, [[10.0]], atol=0.05)


def test_init_method_kmeans_spreads_the_first_centres() -> None:
    draws = np.random.default_rng(0)
    crowd = draws.normal(size=(990, 2)) * 0.01
    far = draws.normal(size=(10, 2)) * 0.01 + [[100.0, 0.0]]
    rows = draws.permuted(np.concatenate([crowd, far]), axis=0).astype(np.float32)
    batch = Batch(rows)

    def is_far_seeded(method: str) -> bool:
        algorithm = learner(2, 2, init_method=method, extra_center_factor=2)
        state = algorithm.update(algorithm.start(), batch)
        return bool((state.centres[:, 0] > 50).any())

    assert is_far_seeded("kmeans++")
    assert is_far_seeded("k-means++")
    assert not is_far_seeded("random")


def test_more_local_trials_do_not_find_worse_centres() -> None:
    rows = np.random.default_rng(5).random((1500, 8), np.float32)
    losses = []
    for trials in (1, 10):
        algorithm = learner(8, 12, local_lloyd_num_trials=trials, local_lloyd_init_method="random")
        centres = algorithm.finalize(train(algorithm, rows)).centres
        losses.append(exact_loss(rows, centres))
    assert losses[1] <= losses[0]


def test_local_iterations_are_bounded_and_end_at_the_tolerance() -> None:
    points = np.random.default_rng(5).random((800, 4), np.float32)
    ones, seeds = np.ones(800), points[:30]

    def loss(**settings: Any) -> float:
        return local_lloyd.lloyd(points, ones, seeds, local_lloyd.Settings(**settings))[2]

    assert loss(max_iter=1) > loss(max_iter=5) > loss(max_iter=100, tol=0.0)
    assert loss(tol=1.0) == loss(max_iter=1)


@pytest.mark.parametrize("names", [("msd",), ("ssd",), ("ssd", "msd")])
def test_eval_metrics_choose_what_is_told(names: tuple[str, ...]) -> None:
    rows = np.array([[0.0], [1.0], [10.0], [12.0]], np.float32)
    algorithm = learner(1, 2, eval_metrics=names)
    evaluation = algorithm.evaluate(KMeansModel(np.array([[0.0], [10.0]], np.float32)), Batch(rows))
    wanted = {"msd": 5 / 4, "ssd": 5.0}
    assert {m.name: m.value for m in evaluation.measures()} == {n: wanted[n] for n in names}


def test_metrics_are_found_in_the_documented_log_lines() -> None:
    lines = [
        "#quality_metric: host=algo-1, test msd <loss>=12.5",
        "#quality_metric: host=algo-1, test ssd <loss>=99.0",
        "#quality_metric: host=algo-1, epoch=0, train msd <loss>=13.5",
        "#progress_metric: host=algo-1, completed 50 %",
        "#throughput_metric: host=algo-1, train throughput=1234.5 records/second",
    ]
    found = {
        metric.name: [m[1] for line in lines if (m := re.search(metric.regex, line))]
        for metric in DECLARATION.metrics
    }
    assert found == {
        "test:msd": ["12.5"],
        "test:ssd": ["99.0"],
        "train:msd": ["13.5"],
        "train:progress": ["50"],
        "train:throughput": ["1234.5"],
    }


def test_what_the_sdk_sends_is_read() -> None:
    sent = {
        "k": "10",
        "feature_dim": "784",
        "init_method": "kmeans++",
        "local_lloyd_max_iter": "100",
        "local_lloyd_tol": "0.01",
        "local_lloyd_num_trials": "auto",
        "extra_center_factor": "auto",
        "half_life_time_size": "0",
        "mini_batch_size": "500",
        "eval_metrics": '["msd", "ssd"]',
        "_num_gpus": "auto",
    }
    values = read(KMeansHyperparameters, sent, algorithm="kmeans")
    assert values.eval_metrics == ("msd", "ssd")
    assert values.extra_center_factor is None
    assert KMeans(values).batch_rows == 500
    assert KMeans(values).most == 100


def test_more_clusters_than_rows_is_refused() -> None:
    algorithm = learner(2, 5)
    state = algorithm.update(algorithm.start(), Batch(np.ones((3, 2), np.float32)))
    with pytest.raises(Invalid, match=r"k = 5 .* at least 5 rows.*'3 rows'.*Lower k"):
        algorithm.finalize(algorithm.close_pass(state))


def test_workers_with_few_rows_each_have_enough_together() -> None:
    algorithm, rows = learner(1, 5), np.arange(6, dtype=np.float32)[:, None]
    parts = [algorithm.update(algorithm.start(), Batch(part)) for part in (rows[:3], rows[3:])]
    model = algorithm.finalize(algorithm.close_pass(algorithm.merge(*parts)))
    assert model.centres.shape == (5, 1)


def test_as_many_clusters_as_rows_puts_a_centre_on_each() -> None:
    rows = np.arange(5, dtype=np.float32)[:, None]
    algorithm = learner(1, 5)
    assert sorted(algorithm.finalize(train(algorithm, rows)).centres.ravel()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("epochs", [1, 3])
def test_fewer_different_rows_than_clusters_still_give_k_centres(epochs: int) -> None:
    rows = np.repeat([[1.0], [2.0]], 20, axis=0).astype(np.float32)
    algorithm = learner(1, 4, epochs=epochs)
    assert set(algorithm.finalize(train(algorithm, rows)).centres.ravel()) == {1.0, 2.0}


@pytest.mark.parametrize("rows", [3, 300])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_what_cannot_be_measured_is_refused(value: float, rows: int) -> None:
    features = np.ones((rows, 2), np.float32)
    features[1, 1] = value
    algorithm = learner(2, 2, extra_center_factor=5)
    start = algorithm.update(algorithm.start(), Batch(np.eye(2, dtype=np.float32)))
    with pytest.raises(InvalidData, match="finite"):
        algorithm.update(start, Batch(features))


def test_rows_of_another_width_are_refused() -> None:
    algorithm = learner(3, 2)
    with pytest.raises(InvalidData, match=r"3 features, as feature_dim says; got '4 features'"):
        algorithm.update(algorithm.start(), Batch(np.ones((3, 4), np.float32)))
    with pytest.raises(InvalidData, match="3 features"):
        KMeansModel(np.ones((2, 3), np.float32)).predict(Batch(np.ones((1, 4), np.float32)))


def test_a_weight_of_two_is_a_row_that_comes_twice_and_zero_none() -> None:
    rows = blobs(60, 3, 2)
    weights = np.random.default_rng(0).integers(0, 3, 60).astype(np.float32)
    algorithm = learner(2, 3, extra_center_factor=100)
    weighted = algorithm.update(algorithm.start(), Batch(rows, weights=weights))
    twice = algorithm.update(algorithm.start(), Batch(rows.repeat(weights.astype(int), axis=0)))
    left, right = (algorithm.finalize(s).centres for s in (weighted, twice))
    assert_allclose(np.sort(left, axis=0), np.sort(right, axis=0), rtol=1e-5)


def test_rows_far_from_zero_are_told_apart() -> None:
    near, far = blobs(2000, 6, 4), blobs(2000, 6, 4, offset=5000.0)
    for rows in (near, far):
        algorithm = learner(4, 6, epochs=3)
        model = algorithm.finalize(train(algorithm, rows))
        assert exact_loss(rows, model.centres) < 4 * 1.03
        answers = model.predict(Batch(rows))
        gaps = rows.astype(np.float64) - model.centres[answers["closest_cluster"].astype(int)]
        wanted = np.sqrt((gaps**2).sum(axis=1))
        assert_allclose(answers["distance_to_cluster"], wanted, rtol=2e-3)


def test_answers_are_the_nearest_centre_and_the_euclidean_distance() -> None:
    model = KMeansModel(np.array([[0.0, 0.0], [3.0, 4.0]], np.float32))
    for copies in (1, 50):
        rows = np.repeat([[0.0, 0.0], [3.0, 3.0], [0.0, 1.0]], copies, axis=0).astype(np.float32)
        for batch in (Batch(rows), Batch(to_csr(rows))):
            answers = model.predict(batch)
            assert_array_equal(answers["closest_cluster"], np.repeat([0, 1, 0], copies))
            assert_array_equal(answers["distance_to_cluster"], np.repeat([0, 1, 1], copies))
            assert {a.dtype for a in answers.values()} == {np.dtype(np.float32)}


def test_workers_that_share_the_rows_find_the_clusters_together() -> None:
    rows = blobs(4000, 10, 6)
    # Sorted, so that no worker sees every cluster.
    rows = rows[np.argsort(rows[:, 0])]
    algorithm = learner(6, 10, epochs=4)
    states = [algorithm.start()] * 3
    for _ in range(4):
        states = [
            _folded(algorithm, state, part)
            for state, part in zip(states, np.array_split(rows, 3), strict=True)
        ]
        merged = algorithm.merge(algorithm.merge(states[0], states[1]), states[2])
        states = [algorithm.close_pass(merged)] * 3
    assert exact_loss(rows, algorithm.finalize(states[0]).centres) < 6 * 1.02


def _folded(algorithm: KMeans, state: KMeansState, rows: Floats) -> KMeansState:
    for batch in Batch(rows).split(200):
        state = algorithm.update(state, batch)
    return state


def test_another_seed_is_another_run() -> None:
    rows = np.random.default_rng(0).random((500, 3), np.float32)
    blobs_ = [to_bytes(train(learner(3, 9, seed=s), rows)) for s in (0, 0, 1)]
    assert blobs_[0] == blobs_[1] != blobs_[2]


@pytest.mark.parametrize("weighted", [False, True])
def test_evidence_is_what_a_plain_sum_gives(weighted: bool) -> None:
    draws = np.random.default_rng(1)
    rows, centres = draws.random((9000, 3), np.float32), draws.random((7, 3), np.float32)
    weights = draws.random(9000, np.float32) if weighted else None
    batch = Batch(rows, weights=weights)
    evidence = gather(batch, centres, np.zeros(3, np.float32))
    labels, mass = labels_of(rows, centres), np.ones(9000) if weights is None else weights
    for at in range(7):
        mine = labels == at
        assert_allclose(evidence.counts[at], mass[mine].sum(), rtol=1e-5)
        assert_allclose(evidence.sums[at], (rows * mass[:, None])[mine].sum(axis=0), rtol=1e-4)
    gaps = ((rows - centres[labels]) ** 2).sum(axis=1)
    assert_allclose(evidence.loss(centres), gaps @ mass, rtol=1e-4)


def test_the_order_in_which_blocks_are_done_changes_no_bit() -> None:
    rows = np.random.default_rng(1).random((20_000, 3), np.float32)

    def backwards(work: Any, items: Any) -> Sequence[Any]:
        return [work(item) for item in reversed(list(items))][::-1]

    origin = np.zeros(3, np.float32)
    plain = gather(Batch(rows), rows[:9], origin)
    other = gather(Batch(rows), rows[:9], origin, backwards)
    assert to_bytes(plain) == to_bytes(other)


def test_the_origin_moves_only_for_rows_far_from_zero() -> None:
    rows = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    assert not origin_of(Batch(rows)).any()
    assert_allclose(origin_of(Batch(rows + np.float32(100))), 100, atol=1)


def test_seeds_hit_every_cluster() -> None:
    rows = blobs(2000, 40, 8)
    for draw in range(5):
        generator = np.random.Generator(np.random.Philox(draw))
        chosen = local_lloyd.seed(rows, np.ones(2000), 40, "kmeans++", generator)
        assert len(set(chosen.tolist())) == 40
        # A seed is a row, so it is twice as far from its cluster's rows as their mean would be.
        assert exact_loss(rows, rows[chosen]) < 2 * 8 * 1.2


@pytest.mark.parametrize("init", ["random", "kmeans++"])
@pytest.mark.parametrize("count", [1, 100, 3000])
def test_many_seeds_of_many_points_are_that_many(init: str, count: int) -> None:
    rows = blobs(6000, 5, 2)
    generator = np.random.Generator(np.random.Philox(3))
    chosen = local_lloyd.seed(rows, np.ones(6000), count, init, generator)
    assert len(set(chosen.tolist())) == count


def test_the_width_is_taken_from_the_data_when_it_is_not_given() -> None:
    rows = blobs(300, 3, 4)
    given, taken = learner(4, 3), KMeans(KMeansHyperparameters(k=3))
    assert_array_equal(
        taken.finalize(train(taken, rows)).centres, given.finalize(train(given, rows)).centres
    )
    with pytest.raises(InvalidData, match="4 features"):
        taken.update(train(taken, rows), Batch(blobs(9, 3, 5)))
