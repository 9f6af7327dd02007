"""lda goes on with new documents, and makes other models of what it has seen, without documents."""

from __future__ import annotations

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
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch, Floats
from tidemill.errors import Invalid


def copied(state: Any) -> Any:
    return from_bytes(type(state), to_bytes(state))


def wide(documents: int = 4000, seed: int = 0) -> Floats:
    return written(random_topics(6, 300), np.full(6, 0.15), documents, 60, seed)


def same(left: Any, right: Any, tolerance: float = 1e-4) -> None:
    assert_allclose(left.beta, right.beta, atol=tolerance)
    assert_allclose(left.alpha, right.alpha, atol=tolerance)


@pytest.mark.parametrize("topics", [1, 3, 4])
def test_fewer_topics_of_the_same_moments_are_those_of_a_training_for_so_many(topics: int) -> None:
    _, rows = grid(2000)
    state = train(lda(9, 5, epochs=0), rows)
    fewer = lda(9, topics, epochs=0)
    same(fewer.finalize(fewer.reopen(state)), fewer.finalize(train(fewer, rows)))


def test_another_alpha0_of_the_same_moments_is_that_of_a_training_with_it() -> None:
    _, rows = grid(2000)
    state = train(lda(9, 5, epochs=0), rows)
    other = lda(9, 5, epochs=0, alpha0=4.0)
    same(other.finalize(other.reopen(state)), other.finalize(train(other, rows)))


def test_the_plain_spectral_model_can_still_be_made_once_topics_are_refined() -> None:
    rows = wide()
    plain = lda(300, 6, epochs=0)
    state = train(lda(300, 6, epochs=3), rows)
    same(plain.finalize(plain.reopen(copied(state))), plain.finalize(train(plain, rows)))


def test_refined_topics_most_alike_become_one_where_fewer_are_wanted() -> None:
    rows = wide()
    state = train(lda(300, 6), rows)
    whole = lda(300, 6).finalize(state)
    four = lda(300, 4)
    model = four.finalize(four.reopen(copied(state)))
    assert model.beta.shape == (4, 300)
    assert_allclose(model.alpha @ model.beta, whole.alpha @ whole.beta, atol=1e-4)
    kept = errors(whole.beta.astype(np.float64), model.beta)
    assert (kept < 0.05).sum() >= 2
    assert likelihood(four, four.reopen(copied(state)), rows) < likelihood(
        lda(300, 6), copied(state), rows
    )


def test_a_few_more_topics_come_from_the_moments() -> None:
    rows = wide()
    more = lda(300, 7)
    model = more.finalize(more.reopen(train(lda(300, 6), rows)))
    assert model.beta.shape == (7, 300)
    assert errors(random_topics(6, 300), model.beta).mean() < 0.3


def test_more_topics_than_the_moments_can_show_are_refused() -> None:
    state = train(lda(300, 6), wide(200))
    with pytest.raises(Invalid, match=r"num_topics must be at most 12.*got 13") as told:
        lda(300, 13).reopen(state)
    assert "train anew" in told.value.do
    lda(300, 12).reopen(state)


def test_another_vocabulary_is_refused() -> None:
    state = train(lda(9, 5), grid(100)[1])
    with pytest.raises(Invalid, match=r"feature_dim must be 9.*got 10"):
        lda(10, 5).reopen(state)


@pytest.mark.parametrize("epochs", [0, 2])
def test_going_on_in_a_wide_vocabulary_is_nearly_as_good_as_all_at_once(epochs: int) -> None:
    rows, probe = wide(4000), wide(500, seed=9)
    algorithm = lda(300, 6, epochs=epochs)
    whole = likelihood(algorithm, train(algorithm, rows), probe)
    state = algorithm.reopen(train(algorithm, rows[:2000]))
    parts = likelihood(algorithm, train(algorithm, rows[2000:], state), probe)
    assert parts > whole - 0.03


def test_topics_that_only_the_new_documents_have_are_found() -> None:
    topics = random_topics(6, 300)
    old = written(topics[:3], np.full(3, 0.3), 1500, 60, seed=1)
    new = written(topics, np.full(6, 0.2), 6000, 60, seed=2)
    algorithm = lda(300, 6, epochs=4)
    state = train(algorithm, old)
    before = errors(topics, algorithm.finalize(state).beta)
    after = errors(topics, algorithm.finalize(train(algorithm, new, algorithm.reopen(state))).beta)
    assert before[3:].min() > 1.0
    assert after.mean() < 0.4


def test_old_documents_are_not_forgotten() -> None:
    topics = random_topics(4, 300, seed=4)
    old = written(topics[:2], np.full(2, 0.3), 3000, 60, seed=1)
    new = written(topics[2:], np.full(2, 0.3), 3000, 60, seed=2)
    algorithm = lda(300, 4, epochs=2)
    state = train(algorithm, old)
    alone = likelihood(algorithm, train(algorithm, new), old)
    both = likelihood(algorithm, train(algorithm, new, algorithm.reopen(copied(state))), old)
    assert both > alone + 0.3


@pytest.mark.parametrize("epochs", [0, 2])
def test_a_training_without_new_documents_changes_nothing(epochs: int) -> None:
    algorithm = lda(300, 6, epochs=epochs)
    state = train(algorithm, wide(1000))
    wanted = algorithm.finalize(copied(state))
    again = train(algorithm, np.zeros((0, 300), np.float32), algorithm.reopen(state))
    same(algorithm.finalize(again), wanted)


def test_a_plain_state_is_refined_by_new_documents() -> None:
    rows, probe = wide(4000), wide(500, seed=9)
    plain, refined = lda(300, 6, epochs=0), lda(300, 6, epochs=2)
    state = train(plain, rows[:2000])
    before = likelihood(plain, copied(state), probe)
    after = likelihood(refined, train(refined, rows[2000:], refined.reopen(state)), probe)
    assert after > before


def test_what_never_saw_a_document_starts_anew() -> None:
    algorithm = lda(9, 5)
    again = algorithm.reopen(train(algorithm, np.zeros((0, 9), np.float32)))
    _, rows = grid(500)
    same(
        algorithm.finalize(train(algorithm, rows, again)),
        algorithm.finalize(train(algorithm, rows)),
    )


def test_a_training_that_was_stopped_early_goes_on() -> None:
    rows = wide(2000)
    algorithm = lda(300, 6, epochs=2)
    state = algorithm.close_pass(algorithm.update(algorithm.start(), Batch(rows[:1000])))
    early = algorithm.finalize(copied(state))
    assert early.beta.shape == (6, 300)
    after = train(algorithm, rows[1000:], algorithm.reopen(state))
    assert likelihood(algorithm, after, rows) > -5.0
