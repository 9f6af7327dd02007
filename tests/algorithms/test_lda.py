"""lda: topics are recovered, documents are told apart, and bad input is named."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.algorithms.lda_documents import (
    errors,
    grid,
    lda,
    likelihood,
    random_topics,
    train,
    written,
)
from tidemill.algorithms.lda.hyperparameters import LdaHyperparameters
from tidemill.algorithms.lda.learner import Lda
from tidemill.algorithms.lda.model import LdaModel
from tidemill.artifact.codec import to_bytes
from tidemill.data.batch import Batch, Csr
from tidemill.errors import Invalid, InvalidData, InvalidHyperparameter

ROWS = np.array([[3, 1, 0], [0, 0, 0], [0, 2, 5]], np.float32)


@pytest.mark.parametrize("epochs", [0, 1, 5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_rows_and_columns_of_the_grid_are_found(epochs: int, seed: int) -> None:
    topics, rows = grid(seed=seed)
    algorithm = lda(9, 5, epochs=epochs, seed=seed)
    model = algorithm.finalize(train(algorithm, rows))
    assert errors(topics, model.beta).max() < 0.05
    assert_allclose(model.alpha, 0.2, atol=0.02)


@pytest.mark.parametrize("epochs", [0, 3])
def test_topics_of_a_vocabulary_wider_than_the_basis_are_found(epochs: int) -> None:
    topics, alpha = random_topics(6, 300), np.array([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    algorithm = lda(300, 6, epochs=epochs)
    state = train(algorithm, written(topics, alpha, 8000, 80, seed=1))
    assert state.moments is not None
    assert state.moments.basis.shape[1] < 300
    model = algorithm.finalize(state)
    assert errors(topics, model.beta).max() < 0.25
    assert_allclose(np.sort(model.alpha), np.sort(alpha), atol=0.04)


def test_epochs_explain_held_out_documents_better() -> None:
    topics = random_topics(8, 200, seed=3)
    rows = written(topics, np.full(8, 0.1), 3000, 40, seed=2)
    found = []
    for epochs in (0, 1, 4):
        algorithm = lda(200, 8, epochs=epochs)
        found.append(likelihood(algorithm, train(algorithm, rows[:2500]), rows[2500:]))
    assert found == sorted(found)
    true = LdaModel(np.full(8, 0.1, np.float32), topics.astype(np.float32))
    evaluation = lda(200, 8).evaluate(true, Batch(rows[2500:]))
    assert found[-1] > evaluation.measures()[0].value - 0.02


def test_mixtures_are_those_the_documents_were_written_with() -> None:
    topics, _ = grid(1)
    model = LdaModel(np.full(5, 0.2, np.float32), topics.astype(np.float32))
    mixtures = np.random.default_rng(0).dirichlet(np.full(5, 0.2), 200)
    rows = (mixtures @ topics * 3000).round().astype(np.float32)
    found = model.predict(Batch(rows))["topic_mixture"]
    assert found.dtype == np.float32
    assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert_allclose(found, mixtures, atol=0.02)


def test_a_document_without_words_has_the_prior_s_mixture() -> None:
    model = LdaModel(np.array([0.6, 0.2], np.float32), np.full((2, 3), 1 / 3, np.float32))
    assert_allclose(model.predict(Batch(ROWS))["topic_mixture"][1], [0.75, 0.25])


def test_what_is_evaluated_is_the_log_likelihood_of_a_word() -> None:
    draws = np.random.default_rng(0)
    beta = draws.dirichlet(np.ones(3), 2).astype(np.float32)
    model = LdaModel(np.array([0.6, 0.2], np.float32), beta)
    (measure,) = lda(3, 2).evaluate(model, Batch(ROWS)).measures()
    likely = model.predict(Batch(ROWS))["topic_mixture"] @ beta
    assert (measure.name, measure.kind) == ("pwll", "score")
    assert_allclose(measure.value, (ROWS * np.log(likely)).sum() / ROWS.sum(), rtol=1e-5)


def test_words_that_no_training_document_had_do_not_spoil_an_answer() -> None:
    topics, rows = grid(500)
    algorithm = lda(12, 5)
    model = algorithm.finalize(train(algorithm, np.pad(rows, ((0, 0), (0, 3)))))
    strange = np.zeros((1, 12), np.float32)
    strange[0, [0, 11]] = 4
    assert np.isfinite(model.predict(Batch(strange))["topic_mixture"]).all()
    assert np.isfinite(
        likelihood(algorithm, train(algorithm, np.pad(rows, ((0, 0), (0, 3)))), strange)
    )


def test_the_model_has_all_that_was_asked_for_and_sums_to_what_it_should() -> None:
    _, rows = grid(300)
    for alpha0 in (0.3, 1.0, 7.0):
        for epochs in (0, 2):
            algorithm = lda(9, 5, alpha0=alpha0, epochs=epochs)
            model = algorithm.finalize(train(algorithm, rows))
            assert model.beta.shape == (5, 9)
            assert_allclose(model.beta.sum(axis=1), 1, rtol=1e-5)
            assert_allclose(model.alpha.sum(), alpha0, rtol=1e-5)
            assert (model.beta > 0).all()


@pytest.mark.parametrize("epochs", [0, 2])
@pytest.mark.parametrize(
    "rows",
    [
        [[1, 0, 0, 0]],
        [[5, 5, 0, 0]],
        [[0.2, 0.3, 0, 0], [0, 0.1, 0.2, 0]],
        [[2, 2, 0, 0], [0, 0, 3, 1]] * 10,
        [[1, 2, 3, 4]] * 40,
    ],
    ids=["one word", "one document", "fractions", "two kinds", "all alike"],
)
def test_there_are_as_many_topics_as_asked_for_however_few_the_documents_show(
    rows: Any, epochs: int
) -> None:
    algorithm = lda(4, 7, epochs=epochs)
    model = algorithm.finalize(train(algorithm, np.asarray(rows, np.float32)))
    assert model.beta.shape == (7, 4)
    assert_allclose(model.beta.sum(axis=1), 1, rtol=1e-5)
    assert (model.alpha > 0).all()
    assert np.isfinite(model.predict(Batch(ROWS[:, [0, 1, 2, 2]]))["topic_mixture"]).all()


def test_counts_that_are_no_integers_are_taken_as_they_are() -> None:
    topics, rows = grid(3000)
    algorithm = lda(9, 5)
    draws = np.random.default_rng(0)
    blurred = rows * draws.uniform(0.9, 1.1, rows.shape).astype(np.float32)
    assert errors(topics, algorithm.finalize(train(algorithm, blurred)).beta).max() < 0.1


def test_a_heavy_document_is_one_that_comes_often() -> None:
    _, rows = grid(600)
    weights = np.random.default_rng(0).integers(0, 3, len(rows))
    for epochs in (0, 1):
        algorithm = lda(9, 5, epochs=epochs, mini_batch_size=5000)
        models = []
        for batch in (
            Batch(rows, weights=weights.astype(np.float32)),
            Batch(rows.repeat(weights, axis=0)),
        ):
            state = algorithm.start()
            while algorithm.wants_another_pass(
                state := algorithm.close_pass(algorithm.update(state, batch))
            ):
                pass
            models.append(algorithm.finalize(state))
        assert_allclose(models[0].beta, models[1].beta, atol=1e-4)
        assert_allclose(models[0].alpha, models[1].alpha, atol=1e-4)


def test_words_told_of_twice_in_a_row_add_up() -> None:
    _, rows = grid(200)
    batch = Batch(rows)
    sparse = Csr(
        np.arange(0, 200 * 18 + 1, 18),
        np.tile(np.arange(18) % 9, 200),
        np.tile(rows / 2, 2).ravel(),
        9,
    )
    algorithm = lda(9, 5, epochs=1)
    models = []
    for given in (batch, Batch(sparse)):
        state = algorithm.start()
        while algorithm.wants_another_pass(
            state := algorithm.close_pass(algorithm.update(state, given))
        ):
            pass
        models.append(algorithm.finalize(state))
    assert_allclose(models[0].beta, models[1].beta, atol=1e-4)


@pytest.mark.parametrize("epochs", [0, 2])
def test_the_number_of_cores_changes_no_bit(epochs: int) -> None:
    rows = written(random_topics(5, 2500), np.full(5, 0.2), 2200, 50, seed=0)
    wanted = to_bytes(train(lda(2500, 5, epochs=epochs), rows))
    with ThreadPoolExecutor(3) as pool:
        algorithm = lda(2500, 5, epochs=epochs, each=pool.map)
        state = train(algorithm, rows)
        assert to_bytes(state) == wanted
        assert to_bytes(algorithm.finalize(state)) == to_bytes(
            lda(2500, 5, epochs=epochs).finalize(state)
        )


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, 1e10])
@pytest.mark.parametrize("row", [3, 700])
def test_what_is_no_count_is_named_by_row_and_column(value: float, row: int) -> None:
    rows = grid(1000)[1]
    rows[row, 4] = value
    algorithm = lda(9, 5, mini_batch_size=100)
    with pytest.raises(InvalidData, match=rf"row {row + 1}, feature 5: must be a count"):
        train(algorithm, rows)
    with pytest.raises(InvalidData, match=rf"row {row + 1}, feature 5: must be a count"):
        LdaModel(np.ones(2, np.float32), np.full((2, 9), 1 / 9, np.float32)).predict(Batch(rows))


def test_rows_of_another_width_are_refused() -> None:
    model = LdaModel(np.ones(2, np.float32), np.full((2, 4), 0.25, np.float32))
    for use in (lambda: train(lda(4, 2), ROWS), lambda: model.predict(Batch(ROWS))):
        with pytest.raises(InvalidData, match="rows must have 4 features.*got '3 features'"):
            use()


@pytest.mark.parametrize("rows", [np.zeros((0, 3)), np.zeros((50, 3))])
@pytest.mark.parametrize("epochs", [0, 2])
def test_without_a_word_there_is_no_model(rows: Any, epochs: int) -> None:
    algorithm = lda(3, 2, epochs=epochs)
    with pytest.raises(Invalid, match="documents that have words"):
        algorithm.finalize(train(algorithm, rows.astype(np.float32)))


def test_more_topics_than_the_cube_can_hold_need_epochs() -> None:
    with pytest.raises(InvalidHyperparameter, match="num_topics must be at most 256"):
        lda(1000, 300, epochs=0)
    algorithm = lda(30, 300, epochs=1)
    model = algorithm.finalize(
        train(algorithm, written(random_topics(3, 30), np.ones(3), 99, 9, 0))
    )
    assert model.beta.shape == (300, 30)


def test_batches_are_of_the_size_asked_for_as_long_as_they_fit_the_memory() -> None:
    def rows(words: int, size: int) -> int:
        return Lda(LdaHyperparameters(3, words, size)).batch_rows

    assert rows(25, 1000) == 1000
    assert rows(25, 10**9) == 1 << 16
    assert rows(5000, 10**9) * 5000 <= 1 << 24
    assert rows(10**6, 10**9) == 256


def test_a_pass_reports_how_likely_its_words_were() -> None:
    _, rows = grid(2000)
    algorithm = lda(9, 5, epochs=2)
    state = train(algorithm, rows)
    (measure,) = algorithm.report(state)["train"]
    assert measure.name == "pwll"
    assert_allclose(measure.value, likelihood(algorithm, state, rows), atol=0.02)
    assert algorithm.report(algorithm.start()) == {}
    assert [algorithm.epoch(state, pass_) for pass_ in range(3)] == [None, 0, 1]


def test_the_state_grows_with_words_and_topics_alone() -> None:
    rows = written(random_topics(5, 400), np.full(5, 0.2), 3000, 30, seed=0)
    states = [train(lda(400, 5), rows[:size]) for size in (1000, 3000)]
    assert len(to_bytes(states[0])) == pytest.approx(len(to_bytes(states[1])), abs=200)
    assert len(to_bytes(states[1])) < 400 * 5 * 80 + 8 * (2.5 * 6) ** 3 + 5000


def test_rows_are_counted_over_a_pass_and_not_over_passes() -> None:
    _, rows = grid(1000)
    algorithm = lda(9, 5, mini_batch_size=100)
    state = algorithm.update(algorithm.start(), Batch(rows[:400]))
    assert state.rows == 400
    closed = algorithm.close_pass(state)
    assert (closed.rows, closed.rows_before, closed.gathered_before) == (0, 400, 1)
