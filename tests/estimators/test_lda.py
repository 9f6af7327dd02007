"""LatentDirichletAllocation as scikit-learn users know it: its checks pass, its topics are good."""

from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from tests.algorithms.lda_documents import errors, grid, random_topics, written
from tidemill.artifact.codec import to_bytes
from tidemill.errors import Invalid

sklearn = pytest.importorskip("sklearn")

from sklearn.decomposition import LatentDirichletAllocation as Peer  # noqa: E402
from sklearn.feature_extraction.text import CountVectorizer  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from tidemill.estimators import LatentDirichletAllocation  # noqa: E402

ITERATES_NOT = {
    "check_transformer_n_iter": "max_iter of 0 is the plain spectral method, which has no passes"
}


def expected(estimator: Any) -> dict[str, str]:
    return {} if estimator.max_iter else ITERATES_NOT


@parametrize_with_checks(
    [
        LatentDirichletAllocation(),
        LatentDirichletAllocation(3, max_iter=1),
        LatentDirichletAllocation(2, max_iter=0),
    ],
    expected_failed_checks=expected,
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def documents() -> Any:
    topics = random_topics(8, 400, seed=5)
    return written(topics, np.full(8, 0.12), 3000, 50, seed=6)


def completion(components: Any, rows: Any) -> float:
    """Perplexity of one half of each document's words under the mixture of the other half."""
    chances = components / components.sum(axis=1, keepdims=True)
    halves = np.random.default_rng(0).binomial(rows.astype(int), 0.5)
    mixtures = np.full((len(rows), len(chances)), 1 / len(chances))
    for _ in range(50):
        mixtures = 0.1 + mixtures * ((halves / (mixtures @ chances)) @ chances.T)
        mixtures /= mixtures.sum(axis=1, keepdims=True)
    others = rows - halves
    return float(np.exp(-(others * np.log(mixtures @ chances)).sum() / others.sum()))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["batch", "online"])
def test_held_out_words_are_no_worse_explained_than_by_scikit_learn(
    documents: Any, method: str
) -> None:
    rows, probe = documents[:2500], documents[2500:]
    ours = LatentDirichletAllocation(8, random_state=0).fit(rows)
    peer = Peer(8, learning_method=method, max_iter=5, random_state=0).fit(rows)
    assert completion(ours.components_, probe) < completion(peer.components_, probe) * 1.005


def test_topics_of_the_grid_are_found() -> None:
    topics, rows = grid(4000)
    fitted = LatentDirichletAllocation(5, random_state=0).fit(rows)
    beta = fitted.components_ / fitted.components_.sum(axis=1, keepdims=True)
    assert errors(topics, beta).max() < 0.06
    assert_allclose(fitted.alpha_.sum(), 1, rtol=1e-5)


def test_mixtures_sum_to_one_and_explain_as_the_score_says(documents: Any) -> None:
    fitted = LatentDirichletAllocation(8, random_state=0).fit(documents)
    mixtures = fitted.transform(documents)
    assert mixtures.dtype == np.float32
    assert_allclose(mixtures.sum(axis=1), 1, rtol=1e-5)
    beta = fitted.components_ / fitted.components_.sum(axis=1, keepdims=True)
    score = (documents * np.log(mixtures @ beta)).sum()
    assert_allclose(fitted.score(documents), score, rtol=1e-4)
    assert_allclose(fitted.perplexity(documents), np.exp(-score / documents.sum()), rtol=1e-4)


def test_sparse_rows_are_the_same_rows(documents: Any) -> None:
    dense = LatentDirichletAllocation(8, random_state=0).fit(documents)
    for kind in (sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array):
        fitted = LatentDirichletAllocation(8, random_state=0).fit(kind(documents))
        assert_array_equal(fitted.components_, dense.components_)
        assert_array_equal(fitted.transform(kind(documents)), dense.transform(documents))


def test_the_number_of_cores_changes_no_bit(
    documents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = []
    for cores in (1, 3):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=cores: set(range(n)))
        monkeypatch.setattr("tidemill.estimators.base._LITTLE_WORK", 0)
        fitted = LatentDirichletAllocation(8, random_state=7).fit(documents)
        states.append((to_bytes(fitted.state_), fitted.transform(documents).tobytes()))
    assert states[0] == states[1]


def test_partial_fit_learns_from_batches(documents: Any) -> None:
    whole = LatentDirichletAllocation(8, random_state=0).fit(documents)
    streamed = LatentDirichletAllocation(8, random_state=0)
    for batch in np.array_split(documents, 6):
        streamed.partial_fit(batch)
    assert streamed.perplexity(documents) < whole.perplexity(documents) * 1.1


def test_partial_fit_goes_on_from_fit(documents: Any) -> None:
    fitted = LatentDirichletAllocation(8, random_state=0).fit(documents[:500])
    before = fitted.perplexity(documents)
    assert fitted.partial_fit(documents[500:]).perplexity(documents) < before


@pytest.mark.parametrize("max_iter", [0, 3])
def test_other_models_are_made_without_the_documents(documents: Any, max_iter: int) -> None:
    fitted = LatentDirichletAllocation(8, max_iter=max_iter, random_state=0).fit(documents)
    before = to_bytes(fitted.state_)
    fewer = fitted.finalize(n_components=5, alpha0=2.0)
    assert fewer.transform(documents).shape == (len(documents), 5)
    assert_allclose(fewer.alpha_.sum(), 2, rtol=1e-5)
    fewer.partial_fit(documents[:100])
    assert to_bytes(fitted.state_) == before
    with pytest.raises(Invalid, match="num_topics must be at most"):
        fitted.finalize(n_components=100)


def test_the_plain_spectral_model_is_one_of_them(documents: Any) -> None:
    plain = LatentDirichletAllocation(8, max_iter=0, random_state=0).fit(documents)
    fitted = LatentDirichletAllocation(8, random_state=0).fit(documents)
    assert_allclose(fitted.finalize(max_iter=0).components_, plain.components_, rtol=1e-4)


def test_it_works_in_a_pipeline_and_names_its_columns() -> None:
    texts = ["the cat purrs", "a cat and a kitten", "stocks and bonds", "bonds and rates"] * 10
    pipeline = make_pipeline(CountVectorizer(), LatentDirichletAllocation(2, random_state=0))
    mixtures = pipeline.fit_transform(texts)
    best = mixtures.argmax(axis=1)
    assert best[0] == best[1] != best[2]
    assert best[2] == best[3]
    assert list(pipeline[-1].get_feature_names_out()) == [
        "latentdirichletallocation0",
        "latentdirichletallocation1",
    ]
    again = pickle.loads(pickle.dumps(pipeline))
    assert_array_equal(again.transform(texts), pipeline.transform(texts))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components must be an integer of at least 1; got 0"),
        ({"n_components": 2.5}, "n_components must be an integer"),
        ({"max_iter": -1}, "max_iter must be an integer of at least 0; got -1"),
        ({"max_restarts": 0}, "max_restarts must be an integer of at least 1"),
        ({"alpha0": 0.0}, "alpha0 must be a number above 0; got 0.0"),
        ({"topic_word_prior": "auto"}, "topic_word_prior must be a number above 0"),
    ],
)
def test_bad_parameters_say_what_to_do(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LatentDirichletAllocation(**parameters).fit(np.ones((4, 3)))


def test_negative_counts_are_refused(documents: Any) -> None:
    fitted = LatentDirichletAllocation(2, random_state=0).fit(documents)
    for use in (fitted.fit, fitted.transform, fitted.perplexity):
        with pytest.raises(ValueError, match="Negative values in data.*got -1"):
            use(-documents[:3].clip(0, 1))


def test_documents_without_words_have_no_topics_to_find() -> None:
    with pytest.raises(Invalid, match="documents that have words"):
        LatentDirichletAllocation(2).fit(np.zeros((5, 3)))
