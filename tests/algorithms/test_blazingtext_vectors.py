"""blazingtext: vectors of words that come together are near, whatever the cores, and go on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.algorithms.blazingtext_texts import (
    batch_of,
    blazingtext,
    cosine,
    sentences,
    train,
    trained,
    vector,
)
from tests.algorithms.cases.blazingtext import TOPICS
from tidemill.artifact.codec import to_bytes
from tidemill.data.batch import Batch
from tidemill.errors import Invalid, InvalidData, InvalidHyperparameter

MODES = ("skipgram", "batch_skipgram", "cbow")
SUBWORDS: dict[str, Any] = {"subwords": True, "buckets": 1000}
OWN = {"tea": ("kettle", "leaf", "pot"), "sea": ("wave", "salt", "tide"), "law": ("court", "judge")}


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return sentences(1500)


@pytest.mark.parametrize("more", [{}, SUBWORDS], ids=["words", "subwords"])
@pytest.mark.parametrize("mode", MODES)
def test_words_of_a_topic_are_nearer_to_each_other_than_to_others(
    mode: str, more: Any, lines: list[str]
) -> None:
    model = trained(mode, lines, epochs=12, **more)
    within = [cosine(model, a, b) for own in OWN.values() for a, b in combinations(own, 2)]
    across = [
        cosine(model, a, b) for x, y in combinations(OWN.values(), 2) for a in x for b in y
    ]  # fmt: skip
    assert np.mean(within) > np.mean(across) + 0.4
    assert min(within) > max(across)


@pytest.mark.parametrize("mode", MODES)
def test_neighbours_in_other_lines_are_told_from_words_at_random(
    mode: str, lines: list[str]
) -> None:
    algorithm = blazingtext(mode, epochs=12)
    model = algorithm.finalize(train(algorithm, lines))
    judged = algorithm.evaluate(model, batch_of(sentences(200, seed=9)))
    assert judged is not None
    (measure,) = judged.measures()
    assert measure.value > 0.75


def test_an_unknown_word_is_nothing_but_zeros() -> None:
    model = trained("skipgram", sentences(100))
    assert not vector(model, "zebra").any()
    assert not vector(model, "").any()
    assert not vector(model, "kettle leaf").any()
    assert vector(model, "kettle").shape == (16,)


def test_subwords_make_vectors_of_words_that_never_came(lines: list[str]) -> None:
    model = trained("skipgram", lines, epochs=12, subwords=True)
    assert cosine(model, "kettles", "kettle") > 0.8
    assert cosine(model, "kettles", "leaf") > cosine(model, "kettles", "court") + 0.3
    assert not vector(model, "xyz").any()


def test_a_word_s_vector_is_the_mean_of_its_row_and_its_n_grams() -> None:
    algorithm = blazingtext("skipgram", epochs=1, min_char=3, max_char=3, **SUBWORDS)
    state = train(algorithm, ["ab ab ab"])
    assert state.vectors is not None
    rows = state.vectors.inner[:, :16]  # the word's, and those of <ab and ab>
    assert len(rows) == 3
    assert_allclose(vector(algorithm.finalize(state), "ab"), rows.mean(axis=0), rtol=1e-5)


def test_rare_words_are_left_out() -> None:
    model = trained("cbow", ["often often often", "often rare"], min_count=2)
    assert model.words is not None
    assert list(model.words.vocabulary.text) == ["often"]
    assert model.words.vocabulary.counts.tolist() == [4]


def test_words_are_ordered_by_how_often_they_come_and_then_by_their_bytes() -> None:
    lines = ["b a c", "c", "\u00e9 \u00e9"]
    models = [trained("skipgram", order) for order in (lines, lines[::-1])]
    for model in models:
        assert model.words is not None
        assert list(model.words.vocabulary.text) == ["c", "\u00e9", "a", "b"]


@pytest.mark.parametrize("more", [{}, SUBWORDS], ids=["words", "subwords"])
@pytest.mark.parametrize("mode", MODES)
def test_the_number_of_cores_changes_no_bit(mode: str, more: Any) -> None:
    lines = [f"{a} {b}" for a, b in zip(sentences(4000), sentences(4000, 1), strict=True)]
    alone = train(blazingtext(mode, epochs=1, **more), lines)
    with ThreadPoolExecutor(2) as pool:
        assert to_bytes(train(blazingtext(mode, pool.map, epochs=1, **more), lines)) == to_bytes(
            alone
        )
    assert to_bytes(train(blazingtext(mode, epochs=1, seed=1, **more), lines)) != to_bytes(alone)


def test_new_text_brings_new_words_and_keeps_the_known_ones() -> None:
    algorithm = blazingtext("skipgram", epochs=3, learning_rate=0.01)
    first = train(algorithm, sentences(200))
    before = algorithm.finalize(first)
    later = blazingtext("skipgram", epochs=3, learning_rate=0.01)
    after = later.finalize(train(later, ["kayak paddle kayak paddle"] * 30, earlier=first))
    assert vector(after, "kayak").any()
    assert not vector(before, "kayak").any()
    assert after.words is not None
    assert before.words is not None
    counts = dict(zip(after.words.vocabulary.text, after.words.vocabulary.counts, strict=True))
    known = dict(zip(before.words.vocabulary.text, before.words.vocabulary.counts, strict=True))
    assert counts == known | {"kayak": 60, "paddle": 60}
    for word in known:  # words that the new text has not are only pushed away, as negatives
        assert cosine_of(vector(before, word), vector(after, word)) > 0.9


def cosine_of(one: Any, other: Any) -> float:
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


def test_going_on_moves_what_the_new_text_says(lines: list[str]) -> None:
    algorithm = blazingtext("skipgram", epochs=12)
    first = train(algorithm, lines)
    before = cosine(algorithm.finalize(first), "kettle", "tide")
    again = train(algorithm, ["kettle tide kettle tide kettle tide"] * 300, earlier=first)
    assert cosine(algorithm.finalize(again), "kettle", "tide") > before + 0.2


def test_a_higher_min_count_makes_its_model_without_text() -> None:
    algorithm = blazingtext("cbow", epochs=2, **SUBWORDS)
    state = train(algorithm, [*sentences(100), "rare"])
    stricter = blazingtext("cbow", epochs=2, min_count=2, **SUBWORDS)
    model = stricter.finalize(stricter.reopen(state))
    whole = algorithm.finalize(state)
    assert model.words is not None
    assert whole.words is not None
    assert set(whole.words.vocabulary.text) - set(model.words.vocabulary.text) == {"rare"}
    for word in TOPICS["tea"]:
        assert_array_equal(vector(model, word), vector(whole, word))
    strictest = blazingtext("cbow", min_count=10**6, **SUBWORDS)
    with pytest.raises(InvalidData, match="at least min_count = 1000000 times"):
        strictest.reopen(state)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"vector_dim": 8}, r"vector_dim must be 16.*got 8"),
        ({"subwords": True}, r"subwords must be 0.*got 1"),
        ({"mode": "supervised"}, r"mode must be batch_skipgram, skipgram or cbow"),
    ],
)
def test_what_does_not_go_with_the_earlier_vectors_is_named(changed: Any, told: str) -> None:
    state = train(blazingtext("skipgram", epochs=1), sentences(50))
    with pytest.raises(Invalid, match=told):
        blazingtext(**{"mode": "skipgram"} | changed).reopen(state)


def test_skipgram_goes_on_as_cbow() -> None:
    state = train(blazingtext("skipgram", epochs=1), sentences(50))
    other = blazingtext("cbow", epochs=1)
    assert_array_equal(
        vector(other.finalize(other.reopen(state)), "kettle"),
        vector(blazingtext("skipgram").finalize(state), "kettle"),
    )


@pytest.mark.parametrize("lines", [[], [""], ["  \t ", ""], ["a b c"]], ids=str)
def test_a_text_without_words_that_come_often_enough_is_refused(lines: list[str]) -> None:
    with pytest.raises(InvalidData, match="some word must come at least min_count = 2 times"):
        train(blazingtext("skipgram", min_count=2), lines)


def test_rows_of_numbers_are_refused() -> None:
    algorithm = blazingtext("skipgram")
    with pytest.raises(InvalidData, match="rows must be lines of text"):
        algorithm.update(algorithm.start(), Batch(np.ones((2, 3), np.float32)))


@pytest.mark.parametrize("mode", [*MODES, "supervised"])
def test_bytes_that_are_no_utf_8_are_words_like_others(mode: str) -> None:
    lines = [b"__label__a \xff\xfe tea", b"__label__b \x80 cup"] * 40
    more = {} if mode == "supervised" else SUBWORDS
    model = trained(mode, lines, epochs=2, **more)
    assert len(model.predict(batch_of([b"\xff\xfe"]))) == 2


@pytest.mark.parametrize("mode", ["skipgram", "cbow"])
def test_one_enormous_line_is_learned_like_many(mode: str) -> None:
    line = " ".join(sentences(600))
    model = trained(mode, [line], epochs=12)
    assert cosine(model, "kettle", "leaf") > cosine(model, "kettle", "court")


def test_a_single_word_alone_has_nothing_to_learn_from() -> None:
    model = trained("skipgram", ["tea"] * 10, epochs=2)
    assert np.isfinite(vector(model, "tea")).all()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"subwords": True, "min_char": 5, "max_char": 3}, "min_char must be at most max_char, 3"),
        ({"negative_samples": 1000}, "negative_samples must be at most 128"),
        ({"buckets": 2**31}, "buckets must be at most"),
        ({"word_ngrams": 65}, "word_ngrams must be at most 64"),
    ],
)
def test_hyperparameters_that_cannot_be_done_are_named(given: Any, told: str) -> None:
    with pytest.raises(InvalidHyperparameter, match=told):
        blazingtext("skipgram", **given)


def test_the_log_tells_the_rate_the_progress_and_the_judgement() -> None:
    ticks = iter(range(10**6))
    algorithm = blazingtext("skipgram", epochs=2)
    assert algorithm.lines(algorithm.start()) == ()
    lines = list(algorithm.lines(train(algorithm, ["king queen king queen money cash bank"] * 20)))
    assert lines[0] == "##### Alpha: 0.0000 Progress: 100.00% #####"
    assert lines[1].startswith("#mean_rho: ")
    timed = type(algorithm)(algorithm.given, clock=lambda: float(next(ticks)))
    assert "Million Words/sec: 0.00" in timed.lines(train(timed, ["a b"] * 20))[0]


def test_the_state_grows_with_words_and_not_with_text() -> None:
    sizes = [
        len(to_bytes(train(blazingtext("skipgram", epochs=1), sentences(rows))))
        for rows in (300, 3000)
    ]
    assert sizes[1] == pytest.approx(sizes[0], abs=300)
