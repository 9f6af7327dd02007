"""The moments of lda are those that counting pairs and triples of words gives; so are its steps."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.algorithms.lda_documents import grid, lda, random_topics, train, written
from tidemill.algorithms.lda import moments as sums
from tidemill.algorithms.lda.documents import chunks
from tidemill.algorithms.lda.fewer import groups_of
from tidemill.algorithms.lda.spectral import topics, white_triples, whitening_of
from tidemill.algorithms.lda.tensor import Cubes, Settings, decompose, upright
from tidemill.data.batch import Batch, Floats

ROWS = np.array(
    [[3, 1, 0, 2], [0, 0, 0, 0], [0, 2, 5, 0], [1, 1, 0, 0], [0, 1, 0, 0], [1, 1, 1, 0]], np.float32
)


def gathered(rows: Floats, basis: Floats) -> sums.Moments:
    found = sums.nothing(basis)
    for documents, weights in chunks(Batch(rows), rows.shape[1]):
        found = sums.add(found, documents, weights, map)
    return found


def words_of(row: Floats) -> list[int]:
    return [word for word, count in enumerate(row) for _ in range(int(count))]


def counted(rows: Floats, order: int) -> Any:
    """The average over documents, by their words, of the chances of so many words in a row."""
    total, mass = np.zeros((rows.shape[1],) * order), 0.0
    for row in rows:
        words = words_of(row)
        if len(words) < 3:
            continue
        tuples = list(itertools.permutations(words, order))
        for found in tuples:
            total[found] += len(words) / len(tuples)
        mass += len(words)
    return total / mass


def test_pairs_and_triples_are_those_of_different_places_in_a_document() -> None:
    found = gathered(ROWS, np.eye(4, dtype=np.float32))
    assert found.mass == 16
    assert_array_equal(found.ones, ROWS.sum(axis=0))
    assert_allclose(found.pairs / found.mass, counted(ROWS, 2), atol=1e-6)
    triples = white_triples(found, np.zeros(4), np.eye(4), 1e-12)
    assert_allclose(triples, counted(ROWS, 3), atol=1e-6)


def test_a_basis_sees_the_same_moments_projected() -> None:
    basis = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    found = gathered(ROWS, basis)
    assert_allclose(found.pairs / found.mass, counted(ROWS, 2) @ basis, atol=1e-5)
    triples = white_triples(found, np.zeros(4), np.eye(3), 1e-12)
    wanted = np.einsum("abc,ai,bj,ck->ijk", counted(ROWS, 3), basis, basis, basis)
    assert_allclose(triples, wanted, atol=1e-5)


def test_the_dirichlet_s_share_is_taken_out_of_both() -> None:
    """Of exact moments of the model, white triples are a sum of orthogonal cubes."""
    _, rows = grid(30_000, seed=1)
    algorithm = lda(9, 5, epochs=0)
    found = train(algorithm, rows).moments
    assert found is not None
    pairs, mean = sums.centred(found, 1.0)
    whitening = whitening_of(found, pairs, 5)
    assert_allclose(whitening.T @ pairs @ whitening, np.eye(whitening.shape[1]), atol=1e-6)
    triples = white_triples(found, mean, whitening, 1.0)
    cubes = decompose(triples, Settings(), np.random.default_rng)
    assert cubes.unexplained < 0.001
    assert_allclose(cubes.vectors.T @ cubes.vectors, np.eye(5), atol=0.1)
    # 2 / (a + 2) * sqrt(a (a + 1) / alpha) of topics of alpha = 0.2.
    assert_allclose(cubes.weights, 2 / 3 * np.sqrt(2 / 0.2), rtol=0.05)


def test_moments_add_up_whatever_the_parts() -> None:
    rows = written(random_topics(4, 30), np.full(4, 0.3), 300, 20, seed=0)
    basis = sums.random_basis(30, 12, seed=1)
    whole = gathered(rows, basis)
    for cut in (0, 1, 177, 300):
        parts = sums.merged(gathered(rows[:cut], basis), gathered(rows[cut:], basis))
        for name in ("mass", "ones", "pairs", "triples", "cubes"):
            assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-4, atol=1e-3)


def test_the_second_basis_holds_the_topics() -> None:
    known = random_topics(5, 400)
    rows = written(known, np.full(5, 0.2), 5000, 100, seed=0)
    state = train(lda(400, 5, epochs=0), rows)
    assert state.moments is not None
    basis = state.moments.basis
    assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-5)
    left = known - known @ basis @ basis.T
    assert (np.linalg.norm(left, axis=1) < 0.15 * np.linalg.norm(known, axis=1)).all()


def test_a_small_vocabulary_is_seen_as_a_whole() -> None:
    assert_array_equal(sums.random_basis(5, 5, seed=0), np.eye(5))
    state = train(lda(9, 5, epochs=0), grid(100)[1])
    assert state.lead_in == 1


@pytest.mark.parametrize("k", [1, 2, 8])
def test_cubes_of_orthogonal_vectors_come_apart(k: int) -> None:
    draws = np.random.default_rng(k)
    vectors, weights = np.linalg.qr(draws.normal(size=(k, k)))[0], draws.uniform(1, 5, k)
    tensor = np.einsum("ir,jr,kr,r->ijk", vectors, vectors, vectors, weights)
    noise = draws.normal(size=(k, k, k)) * 1e-3
    for turn in itertools.permutations(range(3)):
        tensor = tensor + noise.transpose(turn)
    found = decompose(tensor, Settings(), functools.partial(np.random.default_rng))
    order = np.argsort(np.abs(vectors.T @ found.vectors).argmax(axis=1))
    assert sorted(order) == list(range(k))
    assert_allclose(np.sort(found.weights), np.sort(weights), rtol=0.02)
    assert_allclose(np.abs(vectors.T @ found.vectors).max(axis=0), 1, atol=0.01)
    assert found.unexplained < 1e-3


def test_a_cube_turned_round_is_set_upright() -> None:
    found = upright(Cubes(np.eye(2), np.array([-3.0, 2.0]), 0.0))
    assert_array_equal(found.weights, [3, 2])
    assert_array_equal(found.vectors, [[-1, 0], [0, 1]])


def test_more_starts_and_iterations_leave_no_more_unexplained() -> None:
    draws = np.random.default_rng(0)
    tensor = draws.normal(size=(6, 6, 6))
    tensor = sum(tensor.transpose(turn) for turn in itertools.permutations(range(3)))
    left = [
        decompose(tensor, Settings(starts, iterations, 1e-9), np.random.default_rng).unexplained
        for starts, iterations in ((1, 1), (1, 500), (20, 500))
    ]
    assert left == sorted(left, reverse=True)
    assert left[0] > left[-1]


def test_a_tensor_of_nothing_has_no_weights() -> None:
    found = decompose(np.zeros((3, 3, 3)), Settings(2, 3), np.random.default_rng)
    assert_allclose(found.weights, 0)


def test_topics_of_most_mass_come_first() -> None:
    alpha = np.array([0.5, 0.3, 0.15, 0.05])
    rows = written(random_topics(4, 40, seed=2), alpha, 20_000, 60, seed=0)
    algorithm = lda(40, 4, epochs=0)
    state = train(algorithm, rows)
    assert state.moments is not None
    found = topics(state.moments, algorithm.given, seed=0)
    assert_allclose(found.shares, alpha, atol=0.05)
    assert_allclose(found.chances.sum(axis=0), 1)


def test_topics_most_alike_become_one() -> None:
    one, other = np.array([8.0, 2, 0, 0]), np.array([0, 0, 5.0, 5])
    counts = np.stack([one, other, 2 * one, other * [0, 0, 1, 1.2], [0, 0, 0, 0]], axis=1)
    found = [sorted(group) for group in groups_of(counts[:, :4], 2)]
    assert found == [[0, 2], [1, 3]]
    assert groups_of(counts, 5) == [[0], [1], [2], [3], [4]]
    assert len(groups_of(counts, 1)) == 1
