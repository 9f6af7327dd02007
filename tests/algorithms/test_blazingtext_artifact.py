"""blazingtext: models and states that hold what no training left are refused when they are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.algorithms.blazingtext_texts import batch_of, blazingtext, sentences, train
from tidemill.algorithms.blazingtext import fasttext_file
from tidemill.algorithms.blazingtext.class_model import Seen, TextClasses
from tidemill.algorithms.blazingtext.declaration import exports
from tidemill.algorithms.blazingtext.learner import BlazingTextState
from tidemill.algorithms.blazingtext.model import BlazingTextModel
from tidemill.algorithms.blazingtext.tally import Counter, Tally, empty
from tidemill.algorithms.blazingtext.word_model import WordVectors
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.text import text_of
from tidemill.errors import InvalidData

HUGE = np.empty((0, 2**40), np.float32)
SUBWORDS: dict[str, Any] = {"subwords": True, "buckets": 50}


def states(mode: str, **given: Any) -> BlazingTextState:
    return train(blazingtext(mode, epochs=1, **given), sentences(60, labelled=mode == "supervised"))


@pytest.fixture(scope="module")
def words() -> BlazingTextState:
    return states("cbow", **SUBWORDS)


@pytest.fixture(scope="module")
def classes() -> BlazingTextState:
    return states("supervised", buckets=50)


@pytest.fixture(scope="module")
def vectors(words: BlazingTextState) -> WordVectors:
    found = blazingtext("cbow", **SUBWORDS).finalize(words).words
    assert found is not None
    return found


@pytest.fixture(scope="module")
def classifier(classes: BlazingTextState) -> TextClasses:
    found = blazingtext("supervised", buckets=50).finalize(classes).classes
    assert found is not None
    return found


def test_what_training_leaves_is_read_again(
    words: BlazingTextState, classes: BlazingTextState
) -> None:
    begun = Counter().add(empty(), text_of(["tea and cup"]))
    for state in (words, classes, BlazingTextState(begun), BlazingTextState(empty(7))):
        assert to_bytes(from_bytes(BlazingTextState, to_bytes(state))) == to_bytes(state)


def vocabularies(whole: Any) -> list[Any]:
    """Words of which something is wrong. whole: with its labels, if any, last"""
    last = whole.offsets.copy()
    last[-1] = -(2**63)
    falling = whole.offsets.copy()
    falling[1] = falling[2] + 1
    return [
        replace(whole, offsets=last),
        replace(whole, offsets=falling),
        replace(whole, offsets=whole.offsets[:, None]),
        replace(whole, offsets=whole.offsets[:0]),
        replace(whole, offsets=whole.offsets[1:]),
        replace(whole, bytes=whole.bytes[:-1]),
        replace(whole, bytes=whole.bytes[None]),
        replace(whole, counts=whole.counts[1:]),
        replace(whole, counts=whole.counts - 2**62),
        replace(whole, counts=whole.counts + 2**62),
        replace(whole, labels=-1),
        replace(whole, labels=2**40),
        replace(whole, labels=whole.labels + 1),
    ]


def test_vectors_that_do_not_belong_together_are_refused(vectors: WordVectors) -> None:
    first = vectors.buckets[:1]
    wrong = [replace(vectors, vocabulary=other) for other in vocabularies(vectors.vocabulary)]
    wrong += [
        replace(vectors, vectors=HUGE),
        replace(vectors, grams=HUGE),
        replace(vectors, grams=vectors.grams[:, :-1]),
        replace(vectors, buckets=first, grams=HUGE),
        replace(vectors, buckets=vectors.buckets[::-1].copy()),
        replace(vectors, buckets=vectors.buckets * 0),
        replace(vectors, buckets=vectors.buckets + 50),
        replace(vectors, hashed=2**31),
        replace(vectors, hashed=0),
        replace(vectors, min_char=0),
        replace(vectors, max_char=2**60),
    ]
    for model in wrong:
        with pytest.raises(InvalidData, match="a saved BlazingTextModel"):
            from_bytes(BlazingTextModel, to_bytes(BlazingTextModel(words=model)))


def test_classes_that_do_not_belong_together_are_refused(classifier: TextClasses) -> None:
    other = np.zeros((3, 2), np.float32)
    wrong = [replace(classifier, vocabulary=v) for v in vocabularies(classifier.vocabulary)]
    wrong += [
        replace(classifier, weights=HUGE),
        replace(classifier, weights=classifier.weights[:-1]),
        replace(classifier, weights=classifier.weights[:, :-1]),
        replace(classifier, output=other),
        replace(classifier, output=HUGE),
        replace(classifier, buckets=classifier.buckets[::-1].copy()),
        replace(classifier, hashed=2**31),
        replace(classifier, hashed=2**40),
        replace(classifier, hashed=1),
        replace(classifier, word_ngrams=0),
        replace(classifier, word_ngrams=65),
        replace(classifier, power=2.0),
        replace(classifier, power=float("nan")),
    ]
    for model in wrong:
        with pytest.raises(InvalidData, match="a saved BlazingTextModel"):
            from_bytes(BlazingTextModel, to_bytes(BlazingTextModel(classes=model)))


def test_a_model_is_of_words_or_of_classes(vectors: WordVectors, classifier: TextClasses) -> None:
    for model in (BlazingTextModel(), BlazingTextModel(vectors, classifier)):
        with pytest.raises(InvalidData, match="of words or of classes"):
            from_bytes(BlazingTextModel, to_bytes(model))


def test_states_of_vectors_that_do_not_belong_together_are_refused(words: BlazingTextState) -> None:
    whole = words.vectors
    assert whole is not None
    wrong = [replace(whole, vocabulary=other) for other in vocabularies(whole.vocabulary)]
    wrong += [
        replace(whole, inner=HUGE),
        replace(whole, outer=HUGE),
        replace(whole, outer=whole.outer[:, :8]),
        replace(whole, buckets=whole.buckets[::-1].copy()),
        replace(whole, settings={}),
        replace(whole, settings={**whole.settings, "vector_dim": 2**40}),
        replace(whole, settings={**whole.settings, "subwords": 0}),
        replace(whole, workers=0),
        replace(whole, epoch=-1),
    ]
    for state in wrong:
        with pytest.raises(InvalidData, match="a saved BlazingTextState"):
            from_bytes(BlazingTextState, to_bytes(BlazingTextState(None, vectors=state)))


def test_states_of_classes_that_do_not_belong_together_are_refused(
    classes: BlazingTextState,
) -> None:
    whole = classes.classes
    assert whole is not None
    wrong = [replace(whole, vocabulary=other) for other in vocabularies(whole.vocabulary)]
    wrong += [
        replace(whole, weights=HUGE),
        replace(whole, best_weights=whole.weights[1:]),
        replace(whole, best_weights=whole.weights, best_output=whole.weights[:3]),
        replace(whole, best_output=whole.weights[:3]),
        replace(whole, squares=whole.squares[1:]),
        replace(whole, output_squares=whole.squares),
        replace(whole, buckets=whole.buckets + 50),
        replace(whole, gram_counts=whole.gram_counts[1:]),
        replace(whole, gram_counts=-whole.gram_counts),
        replace(whole, settings={"vector_dim": 16}),
        replace(whole, settings={**whole.settings, "vector_dim": 2}),
        replace(whole, settings={**whole.settings, "word_ngrams": 1}),
        replace(whole, workers=0),
        replace(whole, total=-1),
        replace(whole, seen=Seen(-1)),
        replace(whole, held=Seen(1, 2)),
    ]
    for state in wrong:
        with pytest.raises(InvalidData, match="a saved BlazingTextState"):
            from_bytes(BlazingTextState, to_bytes(BlazingTextState(None, classes=state)))


def test_a_state_is_of_one_kind(words: BlazingTextState, classes: BlazingTextState) -> None:
    for state in (BlazingTextState(None), replace(words, classes=classes.classes)):
        with pytest.raises(InvalidData, match="vectors and classes"):
            from_bytes(BlazingTextState, to_bytes(state))


def test_words_counted_that_do_not_belong_together_are_refused() -> None:
    whole = Counter().add(empty(), text_of(["tea and cup"]))
    falling = whole.offsets.copy()
    falling[1] = -(2**63)
    wrong: list[Tally] = [
        replace(whole, offsets=falling),
        replace(whole, offsets=whole.offsets[:-1]),
        replace(whole, words=2**40),
        replace(whole, words=-1),
        replace(whole, used=whole.used + 1),
        replace(whole, used=2**40),
        replace(whole, counts=-whole.counts),
        replace(whole, grams=whole.grams[None]),
        replace(whole, lines=-1),
    ]
    for tally in wrong:
        with pytest.raises(InvalidData, match="a saved BlazingTextState"):
            from_bytes(BlazingTextState, to_bytes(BlazingTextState(tally)))


def test_few_n_grams_in_very_many_buckets_are_told_in_little_memory(
    classifier: TextClasses,
) -> None:
    many = replace(classifier, hashed=2**31 - 1)
    model = from_bytes(BlazingTextModel, to_bytes(BlazingTextModel(classes=many)))
    assert len(model.predict(batch_of(sentences(3)))["label"]) == 3
    assert exports(model) == {}  # fastText would need a row for each bucket
    with pytest.raises(ValueError, match="a row for each bucket"):
        fasttext_file.write(many)


def test_a_form_that_fasttext_does_not_have_is_not_written(classifier: TextClasses) -> None:
    for other in (replace(classifier, is_distinct=True), replace(classifier, power=0.5)):
        assert exports(BlazingTextModel(classes=other)) == {}
