"""The epochs of lda: what is counted, what fades, and what several workers count together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.algorithms.lda_documents import errors, grid, lda, random_topics, train, written
from tidemill.algorithms.lda import counts as counting
from tidemill.algorithms.lda.counts import Counts
from tidemill.algorithms.lda.documents import chunks
from tidemill.algorithms.lda.learner import Lda
from tidemill.algorithms.lda.outcome import share_read
from tidemill.algorithms.lda.spectral import Topics
from tidemill.algorithms.lda.state import LdaState
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch, Floats


def copied(state: Any) -> Any:
    return from_bytes(type(state), to_bytes(state))


def wide(documents: int, seed: int = 0) -> Floats:
    return written(random_topics(6, 300), np.full(6, 0.15), documents, 40, seed)


def shared(algorithm: Lda, parts: Sequence[Floats], starts: Sequence[LdaState]) -> LdaState:
    """The state of workers that each read a part in every pass."""
    while True:
        states = [
            algorithm.update(copied(start), Batch(rows))
            for start, rows in zip(starts, parts, strict=True)
        ]
        state = states[0]
        for other in states[1:]:
            state = algorithm.merge(state, other)
        state = algorithm.close_pass(state)
        if not algorithm.wants_another_pass(state):
            return state
        starts = [state] * len(parts)


def all_of(state: LdaState) -> float:
    """Words that the topics account for."""
    assert state.counts is not None
    return float(counting.whole(state.counts, 1.0).sum())


def some_counts(words: int, topics: int, seed: int = 0) -> Counts:
    draws = np.random.default_rng(seed)
    shares = draws.dirichlet(np.ones(topics))
    found = Topics(draws.dirichlet(np.ones(words), topics).T, shares)
    return counting.begun(found, earlier=40.0, ours=200.0)


def test_a_step_is_one_of_expectation_maximisation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "STEPS", 50)
    monkeypatch.setattr(counting, "TOLERANCE", 0.0)
    rows = written(random_topics(3, 12), np.full(3, 0.4), 60, 25, seed=0)
    counts = some_counts(12, 3)
    ((documents, _),) = chunks(Batch(rows), 12)
    table = counting.whole(counts, 0.5) + 0.1
    fit = counting.learn(counts, documents, None, 0.5, 2.0, 0.1, map)
    prior = 2.0 * table.sum(axis=0) / table.sum()
    chances = table / table.sum(axis=0)
    mixtures = prior + rows.sum(axis=1, keepdims=True) / 3.0
    for _ in range(50):
        mixtures = prior + mixtures * ((rows / (mixtures @ chances.T)) @ chances)
    wanted = chances * ((rows / (mixtures @ chances.T)).T @ mixtures)
    assert_allclose(counts.fresh, wanted, rtol=1e-3, atol=1e-4)
    assert_allclose(counts.totals[2], wanted.sum(axis=0), rtol=1e-4)
    assert_allclose(counts.fresh.sum(), rows.sum(), rtol=1e-5)
    likely = mixtures @ chances.T / mixtures.sum(axis=1, keepdims=True)
    assert_allclose(fit, (rows * np.log(likely)).sum(), rtol=1e-4)


def test_the_past_fades_as_its_documents_are_read_anew() -> None:
    assert [counting.fade_at(share) for share in (0.0, 0.25, 0.5, 1.0, 2.0)] == [1, 0.5, 0, 0, 0]
    counts = some_counts(5, 2)
    counts.fresh[...] = 3.0
    settled = counting.settled(counts, 0.5)
    assert_allclose(settled.past, 0.5 * counts.past + 3.0, rtol=1e-6)
    assert_allclose(settled.base, counts.base)
    assert_allclose(
        settled.totals, [t.sum(axis=0) for t in (settled.base, settled.past)] + [[0, 0]]
    )


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("documents", [500, 5000])
def test_a_pass_counts_every_word_once(documents: int, epochs: int) -> None:
    rows = wide(documents)
    assert_allclose(all_of(train(lda(300, 6, epochs=epochs), rows)), rows.sum(), rtol=1e-4)


@pytest.mark.parametrize("workers", [2, 5])
def test_workers_count_every_word_once_together(workers: int) -> None:
    rows = wide(1000)
    algorithm = lda(300, 6, epochs=2)
    state = shared(
        algorithm, [rows[at::workers] for at in range(workers)], [algorithm.start()] * workers
    )
    assert_allclose(all_of(state), rows.sum(), rtol=1e-4)


def test_what_workers_counted_adds_up() -> None:
    left, right = some_counts(5, 2), some_counts(5, 2)
    for counts, value in ((left, 2.0), (right, 3.0)):
        counts.fresh[...] = value
        counts.totals[2] = counts.fresh.sum(axis=0)
    both = counting.merged(left, right)
    assert_allclose(both.fresh, 5)
    assert_allclose(both.totals[2], 25)
    assert_allclose(both.past, left.past)


def test_a_worker_s_share_is_of_its_part_of_the_rows() -> None:
    before = {"rows_before": 100, "gathered_before": 2}
    assert share_read(LdaState(rows=25, gathered=1, **before)) == 0.5
    assert share_read(LdaState(rows=100, gathered=2, **before)) == 1.0
    assert share_read(LdaState(rows=0, gathered=0, **before)) == 0.0
    assert share_read(LdaState(rows=7, gathered=1)) == 1.0


def test_new_words_add_to_those_of_before_once() -> None:
    old, new = wide(800), wide(700, seed=1)
    algorithm = lda(300, 6, epochs=2)
    state = algorithm.reopen(train(algorithm, old))
    again = train(algorithm, new, state)
    assert_allclose(all_of(again), old.sum() + new.sum(), rtol=1e-4)
    assert again.moments is not None
    assert_allclose(again.moments.ones.sum(), old.sum() + new.sum(), rtol=1e-6)
    assert_allclose(again.moments.mass, old.sum() + new.sum(), rtol=1e-3)


def test_a_plain_state_s_words_are_counted_with_those_that_refine_it() -> None:
    old, new = wide(800), wide(700, seed=1)
    plain, refined = lda(300, 6, epochs=0), lda(300, 6, epochs=1)
    again = train(refined, new, refined.reopen(train(plain, old)))
    assert_allclose(all_of(again), old.sum() + new.sum(), rtol=1e-4)


@pytest.mark.parametrize("epochs", [0, 2])
@pytest.mark.parametrize("busy", [0, 1])
def test_what_was_seen_before_counts_once_whoever_has_the_new_rows(epochs: int, busy: int) -> None:
    old, new = wide(800), wide(700, seed=1)
    algorithm = lda(300, 6, epochs=epochs)
    state = train(algorithm, old)
    starts = [algorithm.reopen(copied(state)), algorithm.reopen(copied(state), leads=False)]
    parts = [new[:0], new[:0]]
    parts[busy] = new
    both = shared(algorithm, parts, starts)
    assert both.moments is not None
    assert_allclose(both.moments.ones, old.sum(axis=0) + new.sum(axis=0), rtol=1e-6)
    if epochs:
        assert_allclose(all_of(both), old.sum() + new.sum(), rtol=1e-4)


def test_topics_that_are_still_written_of_keep_their_places() -> None:
    algorithm = lda(300, 6, epochs=3)
    state = train(algorithm, wide(3000))
    before = algorithm.finalize(copied(state)).beta
    after = algorithm.finalize(train(algorithm, wide(1500, seed=1), algorithm.reopen(state))).beta
    assert np.abs(after - before).sum(axis=1).max() < 0.2


def test_topics_of_new_documents_take_the_places_of_those_most_alike() -> None:
    known = np.array([[0.5, 0.5, 0, 0, 0, 0], [0.45, 0.55, 0, 0, 0, 0]]).T
    counts = counting.begun(Topics(known, np.array([0.6, 0.4])), 1000.0, 0.0)
    fresh = Topics(np.array([[0, 0, 0, 0, 0.5, 0.5]]).T, np.ones(1))
    widened = counting.widened(counts, fresh, 500.0)
    assert_allclose(widened.base[:, 0], [480, 520, 0, 0, 0, 0])
    assert_allclose(widened.base[:, 1], 0)
    assert widened.past[4, 1] == widened.past[5, 1] > 0
    assert widened.past.sum() < 500


def test_one_epoch_more_explains_the_training_documents_better() -> None:
    _, rows = grid(3000)
    fits = []
    for epochs in (1, 2, 5):
        state = train(lda(9, 5, epochs=epochs), rows)
        fits.append(state.pwll)
    assert fits == sorted(fits)
    assert errors(grid(1)[0], lda(9, 5).finalize(state).beta).max() < 0.06
