"""blazingtext: classes of texts are learned, whatever the cores, and go on with new ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.algorithms.blazingtext_texts import (
    accuracy,
    batch_of,
    blazingtext,
    sentences,
    train,
    trained,
)
from tidemill.algorithms.blazingtext.classifier import DISTINCT
from tidemill.algorithms.blazingtext.learner import BlazingText
from tidemill.artifact.codec import to_bytes
from tidemill.data.batch import of_text
from tidemill.data.text import text_of
from tidemill.errors import Invalid, InvalidData

SMALL: dict[str, Any] = {"buckets": 1000}


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return sentences(600, labelled=True)


@pytest.mark.parametrize(
    "given",
    [{}, {"word_ngrams": 1}, {"word_ngrams": 3}, {"vector_dim": 2, "epochs": 20}],
    ids=str,
)
def test_topics_are_told(given: Any, lines: list[str]) -> None:
    model = trained("supervised", lines, **SMALL | given)
    assert accuracy(model, sentences(200, seed=5, labelled=True)) > 0.97


def test_the_order_of_two_words_is_told_by_their_pair_alone(lines: list[str]) -> None:
    both = ["__label__yes good not", "__label__no not good"] * 50
    found = [
        accuracy(trained("supervised", both, word_ngrams=longest, epochs=10, **SMALL), both)
        for longest in (1, 2)
    ]
    assert found == [0.5, 1.0]


def test_chances_of_all_labels_sum_to_one_and_fall(lines: list[str]) -> None:
    model = trained("supervised", lines, **SMALL)
    asked = of_text(text_of(["salt tide", "strange", ""]), np.array([3, 1, 99], np.float32))
    found = model.predict(asked)
    assert found["label"].shape == found["prob"].shape == (3, 3)
    assert_allclose(found["prob"].sum(axis=1), 1, rtol=1e-5)
    assert (np.diff(found["prob"], axis=1) <= 0).all()
    assert found["label"][0, 0] == "__label__sea"


def test_a_line_of_two_labels_teaches_both() -> None:
    lines = ["__label__a __label__b both", "__label__a one", "__label__b other"] * 30
    model = trained("supervised", lines, epochs=20, **SMALL)
    found = model.predict(of_text(text_of(["both"]), np.array([2], np.float32)))
    assert_allclose(found["prob"], 0.5, atol=0.15)


def test_labels_may_stand_anywhere_and_are_no_words() -> None:
    lines = ["tea __label__t cup", "salt sea __label__s"] * 30
    model = trained("supervised", lines, **SMALL)
    assert model.classes is not None
    assert set(model.classes.vocabulary.label_names) == {"__label__t", "__label__s"}
    assert "__label__t" not in list(model.classes.vocabulary.text)[: len(model.classes.vocabulary)]


@pytest.mark.parametrize("longest", [1, 2])
def test_the_number_of_cores_changes_no_bit(longest: int) -> None:
    lines = sentences(8000, labelled=True)
    wanted = to_bytes(train(blazingtext("supervised", word_ngrams=longest, epochs=2), lines))
    with ThreadPoolExecutor(2) as pool:
        other = blazingtext("supervised", pool.map, word_ngrams=longest, epochs=2)
        assert to_bytes(train(other, lines)) == wanted


def test_new_labels_and_words_are_learned_and_old_ones_kept(lines: list[str]) -> None:
    algorithm = blazingtext("supervised", epochs=5, **SMALL)
    first = train(algorithm, lines)
    fresh = ["__label__ski slope snow lift", "__label__sea wave salt tide"] * 60
    model = algorithm.finalize(train(algorithm, fresh, earlier=first))
    assert accuracy(model, fresh) == 1
    assert accuracy(model, sentences(200, seed=5, labelled=True)) > 0.95


def test_labels_that_outgrow_the_columns_take_a_matrix_along(lines: list[str]) -> None:
    algorithm = blazingtext("supervised", epochs=10, vector_dim=3, **SMALL)
    first = train(algorithm, lines)
    assert first.classes is not None
    assert first.classes.output is None
    fresh = ["__label__ski slope snow lift", "__label__sea wave salt tide"] * 60
    again = train(algorithm, fresh, earlier=first)
    assert again.classes is not None
    assert again.classes.output is not None
    assert accuracy(algorithm.finalize(again), fresh) == 1


def test_a_higher_min_count_makes_its_model_without_text(lines: list[str]) -> None:
    algorithm = blazingtext("supervised", **SMALL)
    state = train(algorithm, [*lines, "__label__sea onlyonce"])
    stricter = blazingtext("supervised", min_count=2, **SMALL)
    model = stricter.finalize(stricter.reopen(state))
    assert model.classes is not None
    assert "onlyonce" not in list(model.classes.vocabulary.text)
    asked = batch_of(["salt and wave", "judge jury"])
    assert_array_equal(
        model.predict(asked)["prob"], algorithm.finalize(state).predict(asked)["prob"]
    )


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"word_ngrams": 3}, r"word_ngrams must be 2.*got 3"),
        ({"buckets": 77}, r"buckets must be 1000.*got 77"),
        ({"vector_dim": 2}, r"vector_dim must be 16.*got 2"),
        ({"mode": "cbow"}, "mode must be supervised"),
    ],
)
def test_what_does_not_go_with_the_earlier_classes_is_named(
    changed: Any, told: str, lines: list[str]
) -> None:
    state = train(blazingtext("supervised", epochs=1, **SMALL), lines)
    with pytest.raises(Invalid, match=told):
        blazingtext(**{"mode": "supervised"} | SMALL | changed).reopen(state)


@pytest.mark.parametrize(
    "given", [[], [""], ["tea cup"] * 9, ["__label__a tea", "__label__a cup"]], ids=str
)
def test_lines_without_two_different_labels_are_refused(given: list[str]) -> None:
    with pytest.raises(InvalidData, match="at least two different labels, __label__x; got"):
        train(blazingtext("supervised"), given)


def test_lines_without_a_label_are_passed_over(lines: list[str]) -> None:
    algorithm = blazingtext("supervised", word_ngrams=1)
    one = train(algorithm, lines)
    other = train(algorithm, [part for line in lines for part in (line, "not labelled")])
    assert one.classes is not None
    assert other.classes is not None
    asked = batch_of(sentences(100, seed=3))
    assert_array_equal(
        algorithm.finalize(one).predict(asked)["label"],
        algorithm.finalize(other).predict(asked)["label"],
    )


def test_one_enormous_line_and_its_label_are_learned() -> None:
    long = "__label__long " + " ".join(f"w{i % 997}" for i in range(60_000))
    model = trained("supervised", [long, "__label__short tea"] * 3, epochs=20, **SMALL)
    assert accuracy(model, ["__label__long w3 w4 w5", "__label__short tea"]) == 1


def test_training_ends_where_validation_no_longer_gains(lines: list[str]) -> None:
    held = [
        line.replace("__label__law", "__label__tea") for line in sentences(90, 4, labelled=True)
    ]
    algorithm = blazingtext(
        "supervised", epochs=50, early_stopping=True, min_epochs=2, patience=3, **SMALL
    )
    state = train(algorithm, lines, held)
    assert state.classes is not None
    assert 4 <= state.classes.epoch < 50
    assert state.classes.best is not None
    judged = algorithm.evaluate(algorithm.finalize(state), batch_of(held))
    assert judged is not None
    assert judged.measures()[0].value == pytest.approx(state.classes.best)
    assert algorithm.lines(state)[1].startswith("#validation_accuracy: ")


def test_early_stopping_needs_a_validation_channel(lines: list[str]) -> None:
    with pytest.raises(Invalid, match="early_stopping needs labelled lines"):
        train(blazingtext("supervised", early_stopping=True), lines)


def test_both_forms_of_a_score_tell_topics(lines: list[str]) -> None:
    given = blazingtext("supervised", **SMALL).given
    algorithm = BlazingText(given, form=DISTINCT)
    model = algorithm.finalize(train(algorithm, lines))
    assert accuracy(model, sentences(200, seed=5, labelled=True)) > 0.97
    twice = model.predict(batch_of(["salt salt salt tide"]))["prob"]
    assert twice.shape == (1, 1)
