"""Several workers: what the mean of their models keeps, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.algorithms.test_linear_learner import binary, learner, numbers
from tidemill.algorithms.linear_learner.learner import LinearLearner
from tidemill.algorithms.linear_learner.state import LinearState
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch


def copied(state: LinearState) -> LinearState:
    return from_bytes(LinearState, to_bytes(state))


def begun() -> tuple[LinearLearner, LinearState, list[Batch]]:
    """A learner past its survey, and three workers' rows: few, more, many."""
    algorithm, rows = learner("regressor", num_models=3, mini_batch_size=100), numbers(1500)
    state = algorithm.close_pass(algorithm.update(algorithm.start(), rows))
    return algorithm, state, [rows.rows(0, 100), rows.rows(100, 500), rows.rows(500, 1500)]


def same(left: LinearState, right: LinearState, tolerance: float = 1e-5) -> None:
    assert left.iterate is not None
    assert right.iterate is not None
    assert left.train is not None
    assert right.train is not None
    for a, b in (
        (left.iterate.weights, right.iterate.weights),
        (left.iterate.average(), right.iterate.average()),
        *zip(left.iterate.moments, right.iterate.moments, strict=True),
        (left.train.loss, right.train.loss),
    ):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_merging_is_associative_and_commutative() -> None:
    algorithm, start, parts = begun()
    a, b, c = (algorithm.update(copied(start), part) for part in parts)

    def merge(left: LinearState, right: LinearState) -> LinearState:
        return algorithm.merge(copied(left), copied(right))

    same(merge(merge(a, b), c), merge(a, merge(b, c)))
    same(merge(a, b), merge(b, a))


def test_models_weigh_by_their_rows() -> None:
    algorithm, start, parts = begun()
    few, many = (algorithm.update(copied(start), parts[i]) for i in (0, 2))
    merged = algorithm.merge(copied(few), copied(many))
    assert few.iterate is not None
    assert many.iterate is not None
    assert merged.iterate is not None
    wanted = (few.iterate.weights * 100 + many.iterate.weights * 1000) / 1100
    np.testing.assert_allclose(merged.iterate.weights, wanted, rtol=1e-5, atol=1e-6)


def test_a_worker_without_rows_changes_no_byte() -> None:
    algorithm, start, parts = begun()
    worked = algorithm.update(copied(start), parts[1])
    for left, right in ((worked, start), (start, worked), (LinearState(), worked)):
        merged = algorithm.merge(copied(left), copied(right))
        assert to_bytes(merged) == to_bytes(worked)


@pytest.mark.parametrize("workers", [2, 5])
def test_workers_that_share_the_rows_learn_nearly_as_much(workers: int) -> None:
    rows, probe = binary(6000), binary(4000, seed=1)
    algorithm = learner("binary_classifier", mini_batch_size=50, num_models=4)

    def trained(shards: list[Batch]) -> float:
        states = [algorithm.start() for _ in shards]
        while True:
            for i, shard in enumerate(shards):
                for batch in shard.split(50):
                    if algorithm.pass_is_over(states[i]):
                        break
                    states[i] = algorithm.update(states[i], batch)
            merged = states[0]
            for other in states[1:]:
                merged = algorithm.merge(merged, other)
            merged = algorithm.close_pass(merged)
            if not algorithm.wants_another_pass(merged):
                found = algorithm.evaluate(algorithm.finalize(merged), probe)
                assert found is not None
                return found.measures()[0].value
            states = [copied(merged) for _ in shards]

    alone = trained([rows])
    assert trained(list(rows.split(6000 // workers))) < alone + 0.005


def test_histograms_and_surveys_add_up_exactly() -> None:
    algorithm = learner("binary_classifier", epochs=1, num_models=2, mini_batch_size=100)
    rows = binary(1000)
    left, right = (
        algorithm.update(algorithm.start(), rows.rows(*c)) for c in ((0, 300), (300, 1000))
    )
    survey = algorithm.merge(left, right)
    assert survey.survey is not None
    assert survey.survey.rows == 1000
    np.testing.assert_allclose(survey.survey.features.mean, rows.dense().mean(axis=0), rtol=1e-4)
    state = algorithm.close_pass(survey)
    state = algorithm.close_pass(algorithm.update(state, rows))
    assert state.phase == "calibrate"
    whole = algorithm.update(copied(state), rows)
    parts = [algorithm.update(copied(state), rows.rows(*c)) for c in ((0, 300), (300, 1000))]
    both = algorithm.merge(*parts)
    assert both.histogram is not None
    assert whole.histogram is not None
    np.testing.assert_array_equal(both.histogram.counts, whole.histogram.counts)
