"""k-means goes on from an earlier training, and makes other models of its state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.algorithms.test_kmeans import blobs, exact_loss, learner, train
from tidemill.algorithms.kmeans.learner import KMeans
from tidemill.algorithms.kmeans.state import KMeansState, empty
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch, Floats
from tidemill.errors import Invalid
from tidemill.testing.algorithm import Stream
from tidemill.training.loop import Position, fit


def go_on(algorithm: KMeans, state: KMeansState, rows: Floats) -> KMeansState:
    again = algorithm.reopen(from_bytes(KMeansState, to_bytes(state)))
    return fit(algorithm, Stream(list(Batch(rows).split(100))), resume=Position(again))


@pytest.mark.parametrize("epochs", [1, 4])
@pytest.mark.parametrize("k", [1, 3, 8, 20, 80])
def test_a_state_gives_any_k_up_to_the_centres_kept(epochs: int, k: int) -> None:
    rows = blobs(3000, 20, 4)
    state = train(learner(4, 8, epochs=epochs), rows)
    other = learner(4, k, epochs=epochs)
    model = other.finalize(other.reopen(state))
    assert model.centres.shape == (k, 4)
    anew = other.finalize(train(other, rows))
    assert exact_loss(rows, model.centres) <= exact_loss(rows, anew.centres) * 1.15


@pytest.mark.parametrize("epochs", [1, 4])
def test_back_at_the_first_k_the_model_is_the_first_one(epochs: int) -> None:
    algorithm, other = learner(4, 8, epochs=epochs), learner(4, 3)
    state = train(algorithm, blobs(1000, 9, 4))
    again = algorithm.reopen(other.reopen(algorithm.reopen(state)))
    assert_array_equal(algorithm.finalize(again).centres, algorithm.finalize(state).centres)


def test_more_clusters_than_centres_kept_are_refused() -> None:
    state = train(learner(4, 8, extra_center_factor=2), blobs(1000, 8, 4))
    with pytest.raises(Invalid, match=r"k must be at most 16, .* kept; got 17\. Lower k"):
        learner(4, 17).reopen(state)


def test_another_width_is_refused() -> None:
    state = train(learner(4, 8), blobs(1000, 8, 4))
    with pytest.raises(Invalid, match="feature_dim must be 4, as in the earlier training; got 5"):
        learner(5, 8).reopen(state)


@pytest.mark.parametrize("epochs", [1, 3])
def test_new_rows_may_be_anywhere(epochs: int) -> None:
    rows = blobs(4000, 10, 3)
    # No cluster of the old rows is among the new ones.
    old, new = rows[rows[:, 0] < 0], rows[rows[:, 0] >= 0]
    algorithm = learner(3, 10, epochs=epochs)
    state = go_on(algorithm, train(algorithm, old), new)
    assert exact_loss(rows, algorithm.finalize(state).centres) < 3 * 1.05


@pytest.mark.parametrize("epochs", [1, 3])
def test_later_epochs_weigh_the_rows_that_they_do_not_read(epochs: int) -> None:
    old, new = np.zeros((3000, 1), np.float32), np.full((1000, 1), 10, np.float32)
    algorithm = learner(1, 1, epochs=epochs)
    state = go_on(algorithm, train(algorithm, old), new)
    assert_allclose(algorithm.finalize(state).centres, [[2.5]], rtol=1e-4)


@pytest.mark.parametrize("epochs", [1, 3])
def test_the_reported_loss_is_of_old_and_new_rows(epochs: int) -> None:
    rows = blobs(2000, 6, 3)
    algorithm = learner(3, 6, epochs=epochs)
    state = go_on(algorithm, train(algorithm, rows[:1500]), rows[1500:])
    (measure,) = algorithm.report(state)["train"]
    assert_allclose(measure.value, exact_loss(rows, algorithm.finalize(state).centres), rtol=0.1)


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_half_life_lets_the_earlier_training_fade(epochs: int) -> None:
    old, new = np.zeros((5000, 1), np.float32), np.full((3000, 1), 10, np.float32)
    algorithm = learner(1, 1, epochs=epochs, half_life_time_size=200)
    state = go_on(algorithm, train(algorithm, old), new)
    assert_allclose(algorithm.finalize(state).centres, [[10.0]], atol=0.05)


def test_of_workers_only_the_leader_brings_what_was_seen() -> None:
    rows = blobs(1200, 4, 2)
    algorithm = learner(2, 4)
    state = train(algorithm, rows[:400])
    parts = [algorithm.reopen(state, leads=leads) for leads in (True, False, False)]
    for at, part in enumerate(np.split(rows[400:1000], 3)):
        parts[at] = algorithm.update(parts[at], Batch(part))
    merged = algorithm.merge(algorithm.merge(parts[0], parts[1]), parts[2])
    seen = algorithm.reopen(algorithm.close_pass(merged)).before
    assert seen is not None
    assert seen.rows == 1000
    assert_allclose(seen.weights.sum(), 1000, rtol=1e-6)


def test_of_workers_without_rows_the_leader_keeps_the_answer() -> None:
    algorithm = learner(2, 4, epochs=3)
    state = train(algorithm, blobs(400, 4, 2))
    leader, other = algorithm.reopen(state), algorithm.reopen(state, leads=False)
    for pair in ((leader, other), (other, leader)):
        after = algorithm.close_pass(algorithm.merge(*pair))
        assert_array_equal(algorithm.finalize(after).centres, algorithm.finalize(state).centres)


def test_smaller_settings_later_on_lose_none_of_what_was_kept() -> None:
    rows = blobs(2000, 30, 2)
    state = train(learner(2, 30), rows)
    few = learner(2, 2)
    after = go_on(few, go_on(few, state, rows[:500]), rows[:500])
    model = learner(2, 30).finalize(learner(2, 30).reopen(after))
    assert exact_loss(rows, model.centres) < 2 * 1.1


@pytest.mark.parametrize("changes", [{}, {"k": 3}, {"epochs": 1}, {"extra_center_factor": 2}])
def test_going_on_again_and_again_keeps_the_state_small(changes: dict[str, Any]) -> None:
    rows, first = blobs(300, 4, 3), learner(3, 5, epochs=2)
    algorithm = learner(3, **{"k": 5, "epochs": 2, **changes})
    state = go_on(algorithm, train(first, rows), rows)
    small = len(to_bytes(state))
    for _ in range(5):
        state = go_on(algorithm, state, rows)
    assert len(to_bytes(state)) <= small * 1.05
    seen = algorithm.reopen(state).before
    assert seen is not None
    assert seen.rows == 2100
    assert_allclose(seen.weights.sum(), 2100)


def test_what_was_kept_is_as_heavy_as_the_rows_of_the_last_pass() -> None:
    rows = blobs(4000, 5, 3)
    algorithm = learner(3, 5, epochs=4)
    sample = algorithm.close_pass(algorithm.update(algorithm.start(), Batch(rows[::10])))
    assert not sample.follows
    state = fit(algorithm, Stream([Batch(rows)]), resume=Position(sample, 1))
    seen = algorithm.reopen(state).before
    assert seen is not None
    assert_allclose(seen.weights.sum(), 4000)


def test_a_fresh_worker_joins_a_reopened_one() -> None:
    rows = blobs(500, 4, 3)
    algorithm = learner(3, 4)
    leader = algorithm.reopen(train(algorithm, rows))
    for pair in ((empty(3), leader), (leader, empty(3)), (algorithm.start(), leader)):
        assert to_bytes(algorithm.merge(*pair)) == to_bytes(leader)
