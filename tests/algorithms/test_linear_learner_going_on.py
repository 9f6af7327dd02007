"""Linear learner goes on from an earlier training, and makes other models of its state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.algorithms.test_linear_learner import binary, learner, numbers, train
from tidemill.algorithms.linear_learner.model import LinearModel
from tidemill.algorithms.linear_learner.scaler import Scaler
from tidemill.algorithms.linear_learner.state import LinearState
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch, to_csr
from tidemill.errors import Invalid, InvalidData
from tidemill.testing.algorithm import Stream
from tidemill.training.loop import Position, fit

B, R = "binary_classifier", "regressor"


def go_on(kind: str, state: LinearState, rows: Batch, **given: object) -> LinearState:
    algorithm = learner(kind, **given)
    start = Position(algorithm.reopen(from_bytes(LinearState, to_bytes(state))))
    return fit(algorithm, Stream(list(rows.split(algorithm.batch_rows))), resume=start)


def remade(kind: str, state: LinearState, **given: object) -> LinearModel:
    algorithm = learner(kind, **given)
    return algorithm.finalize(algorithm.reopen(from_bytes(LinearState, to_bytes(state))))


def loss(kind: str, model: LinearModel, probe: Batch) -> float:
    found = learner(kind).evaluate(model, probe)
    assert found is not None
    return found.measures()[0].value


@pytest.mark.parametrize("fresh", [20, 500, 4000])
def test_a_few_new_rows_do_not_wipe_out_what_many_taught(fresh: int) -> None:
    rows, probe = binary(4000 + fresh), binary(8000, seed=1)
    small = {"mini_batch_size": 100}
    before, state = train(B, rows.rows(0, 4000), **small)
    after = learner(B, **small).finalize(go_on(B, state, rows.rows(4000, len(rows)), **small))
    together, _ = train(B, rows, **small)
    wanted = loss(B, together, probe)
    assert loss(B, after, probe) <= wanted * 1.01
    alone, _ = train(B, rows.rows(4000, 4020), **small)
    assert loss(B, alone, probe) > wanted * 1.1


def test_a_few_new_rows_hardly_move_the_threshold_that_many_found() -> None:
    before, state = train(B, binary(4000))
    fresh = binary(30, seed=2)
    for rows in fresh.split(3):
        state = go_on(B, state, rows)
    after = learner(B).finalize(state)
    assert abs(after.threshold - before.threshold) < 0.2


def test_rows_of_all_trainings_count() -> None:
    rows = numbers(1000)
    _, state = train(R, rows)
    assert state.weight == 1000
    twice = go_on(R, go_on(R, state, rows), rows)
    assert twice.weight == 3000
    assert len(to_bytes(twice)) < 3 * len(to_bytes(state))


def test_a_column_that_only_the_new_rows_fill_is_learned_from_them() -> None:
    draws = np.random.default_rng(0)
    features = draws.normal(size=(6000, 3)).astype(np.float32)
    labels = (features @ [1, 2, 3]).astype(np.float32)
    old = features.copy()
    old[:, 2] = 5.0  # constant, so that it teaches nothing
    small = {"mini_batch_size": 50}
    _, state = train(R, Batch(old[:4000], labels[:4000] - 3 * features[:4000, 2]), **small)
    new = features[4000:] + np.array([0, 0, 5], np.float32)
    after = go_on(R, state, Batch(new, labels[4000:]), **small)
    model = learner(R).finalize(after)
    assert_allclose(model.weights, [1, 2, 3], rtol=0.1)


def test_a_sparse_column_of_new_rows_is_not_averaged_with_nothing() -> None:
    draws = np.random.default_rng(0)
    dense = (draws.random((4000, 8)) < 0.3).astype(np.float32)
    dense[:3000, 7] = 0
    labels = (dense @ np.arange(8) + 1).astype(np.float32)
    rows = Batch(to_csr(dense), labels)
    _, state = train(R, rows.rows(0, 3000), mini_batch_size=100, wd=0, l1=0)
    after = go_on(R, state, rows.rows(3000, 4000), mini_batch_size=100, wd=0, l1=0)
    assert_allclose(learner(R).finalize(after).weights, np.arange(8), atol=0.3)


def test_another_criterion_takes_another_threshold_from_the_tallies_kept() -> None:
    rows = binary()
    _, state = train(B, rows, binary_classifier_model_selection_criteria="loss_function")
    for name in ("accuracy", "f1", "precision_at_target_recall", "recall_at_target_precision"):
        given: dict[str, Any] = {
            "binary_classifier_model_selection_criteria": name,
            "target_recall": 0.97,
            "target_precision": 0.99,
        }
        wanted, _ = train(B, rows, **given)
        got = remade(B, state, **given)
        assert to_bytes(got) == to_bytes(wanted), name


def test_a_target_is_reached_without_the_data() -> None:
    rows = binary(20_000)
    _, state = train(B, rows)
    for recall in (0.5, 0.9, 0.99):
        model = remade(
            B,
            state,
            binary_classifier_model_selection_criteria="precision_at_target_recall",
            target_recall=recall,
        )
        found = dict(model.predict(rows))["predicted_label"]
        assert_allclose((found[rows.labels == 1] == 1).mean(), recall, atol=0.01)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "regressor"}, "predictor_type must be binary_classifier"),
        ({"feature_dim": 7}, "feature_dim must be 6"),
        ({"loss": "hinge_loss"}, "loss must be logistic"),
        ({"use_bias": "false"}, "use_bias must be True"),
    ],
)
def test_what_cannot_go_on_from_the_state_is_refused(given: dict[str, Any], words: str) -> None:
    _, state = train(B, binary(500))
    algorithm = learner(**{"kind": B, **given})
    with pytest.raises(Invalid, match=rf"{words}, as in the earlier training.*or train anew"):
        algorithm.reopen(state)


def test_another_number_of_classes_is_refused() -> None:
    rows = binary(500)
    three = Batch(rows.features, np.arange(500, dtype=np.float32) % 3)
    _, state = train("multiclass_classifier", three, num_classes=3)
    with pytest.raises(Invalid, match="num_classes must be 3, as in the earlier training; got 4"):
        learner("multiclass_classifier", num_classes=4).reopen(state)


def test_new_rows_of_another_width_are_refused() -> None:
    _, state = train(B, binary(500))
    algorithm = learner(B)
    narrow = Batch(np.ones((5, 3), np.float32), np.ones(5, np.float32))
    with pytest.raises(InvalidData, match="must have 6 features"):
        algorithm.update(algorithm.reopen(state), narrow)


def test_other_candidates_may_go_on() -> None:
    _, state = train(R, numbers(1000), num_models=4)
    model = remade(R, state, num_models=1)
    assert to_bytes(model) == to_bytes(remade(R, state, num_models=4))
    after = go_on(R, state, numbers(1000, seed=3), num_models=2, learning_rate=0.01)
    assert after.candidates is not None
    assert len(after.candidates) == 2


def test_no_new_rows_change_nothing() -> None:
    wanted, state = train(B, binary(500))
    algorithm = learner(B)
    after = fit(algorithm, Stream([]), resume=Position(algorithm.reopen(state)))
    assert to_bytes(algorithm.finalize(after)) == to_bytes(wanted)
    again = algorithm.reopen(algorithm.reopen(state))
    assert to_bytes(algorithm.finalize(again)) == to_bytes(wanted)


@pytest.mark.parametrize("passes", [1, 2])
def test_a_training_that_was_stopped_goes_on_too(passes: int) -> None:
    algorithm, rows = learner(R, mini_batch_size=100), numbers(1000)
    state = algorithm.start()
    for _ in range(passes):  # the first is the survey
        state = algorithm.close_pass(algorithm.update(state, rows))
    model = remade(R, state, mini_batch_size=100)
    assert_array_equal(model.weights, algorithm.finalize(state).weights)
    after = go_on(R, state, rows, mini_batch_size=100)
    assert after.weight == 1000 * passes


def test_weights_in_one_scaler_say_the_same_in_another() -> None:
    draws = np.random.default_rng(0)
    old = Scaler(draws.normal(size=3), draws.random(3) + 0.5, 2.0, 3.0)
    new = Scaler(draws.normal(size=3), np.array([2.0, 0.5, 0.0]), -1.0, 0.1)
    weights, bias = np.array([[1.0], [2.0], [0.0]]), np.array([0.5])
    for got, wanted in zip(
        new.fold(*new.adopt(old, weights, bias)), old.fold(weights, bias), strict=True
    ):
        assert_allclose(got, wanted)
