"""Word2Vec and TextClassifier as scikit-learn users know such estimators.

``check_estimator`` does not apply: it trains on rows of numbers, and these are trained on texts, as
their tags say. Those of its checks that need no rows are run.
"""

from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.algorithms.blazingtext_texts import sentences
from tidemill.errors import Invalid

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone, is_classifier  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.utils import estimator_checks, get_tags  # noqa: E402

from tidemill.artifact.codec import to_bytes  # noqa: E402
from tidemill.estimators import TextClassifier, Word2Vec, base  # noqa: E402

CHECKS = (
    "check_parameters_default_constructible",
    "check_no_attributes_set_in_init",
    "check_get_params_invariance",
    "check_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
)
QUICK: dict[str, Any] = {"min_count": 1, "sample": 1e-3, "random_state": 0}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("estimator", [Word2Vec(), TextClassifier()], ids=str)
def test_scikit_learns_checks_that_need_no_rows_pass(estimator: Any, check: str) -> None:
    getattr(estimator_checks, check)(type(estimator).__name__, estimator)


def test_both_say_that_they_are_of_texts() -> None:
    for estimator in (Word2Vec(), TextClassifier()):
        assert get_tags(estimator).input_tags.string
        assert not get_tags(estimator).input_tags.two_d_array
    assert is_classifier(TextClassifier())


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return sentences(1500)


@pytest.fixture(scope="module")
def classed() -> tuple[list[str], list[str]]:
    rows = [line.split(" ", 1) for line in sentences(600, labelled=True)]
    return [text for _, text in rows], [label.removeprefix("__label__") for label, _ in rows]


@pytest.fixture(scope="module")
def vectors(texts: list[str]) -> Word2Vec:
    return Word2Vec(16, epochs=12, **QUICK).fit(texts)


@pytest.fixture(scope="module")
def classifier(classed: Any) -> TextClassifier:
    return TextClassifier(random_state=0).fit(*classed)


def test_similar_words_come_nearest_first(vectors: Word2Vec) -> None:
    found = vectors.most_similar("kettle", 4)
    assert len(found) == 4
    assert {word for word, _ in found} <= {"leaf", "pot", "steep", "brew", "sugar", "cup", "milk"}
    alike = [share for _, share in found]
    assert alike == sorted(alike, reverse=True)
    one, other = vectors.vector("kettle"), vectors.vector(found[0][0])
    assert_allclose(alike[0], one @ other / np.sqrt((one @ one) * (other @ other)), rtol=1e-5)
    assert len(vectors.most_similar("kettle", 999)) == len(vectors.words_) - 1


def test_words_and_their_vectors_and_counts_are_shown(vectors: Word2Vec) -> None:
    assert vectors.vectors_.shape == (len(vectors.words_), 16)
    assert (np.diff(vectors.counts_) <= 0).all()
    assert_array_equal(vectors.vector(vectors.words_[3]), vectors.vectors_[3])


def test_an_unknown_word_is_a_key_error_unless_it_has_known_n_grams(texts: list[str]) -> None:
    plain = Word2Vec(8, epochs=1, **QUICK).fit(texts)
    with pytest.raises(KeyError, match="kettles"):
        plain.vector("kettles")
    of_parts = Word2Vec(8, epochs=5, subwords=True, **QUICK).fit(texts)
    assert of_parts.vector("kettles").any()
    assert of_parts.most_similar("kettles", 1)[0][0] in {"kettle", "pot", "leaf", "steep", "brew"}


@pytest.mark.parametrize("subwords", [False, True])
def test_a_text_is_the_mean_of_its_words(subwords: bool, texts: list[str]) -> None:
    fitted = Word2Vec(8, epochs=1, subwords=subwords, **QUICK).fit(texts)
    found = fitted.transform(["A kettle! a KETTLE and salt", "", "xyzzy", ["salt", "tide"]])
    salt, tide, kettle = (fitted.vector(word) for word in ("salt", "tide", "kettle"))
    if not subwords:
        assert_allclose(found[0], (2 * kettle + salt) / 3, rtol=1e-5)
        assert not found[2].any()
    assert not found[1].any()
    assert_allclose(found[3], (salt + tide) / 2, rtol=1e-5)
    assert fitted.transform([]).shape == (0, 8)


def test_vectors_feed_a_pipeline(classed: Any) -> None:
    pipeline = make_pipeline(
        Word2Vec(12, epochs=8, **QUICK), LogisticRegression(C=100, max_iter=1000)
    )
    assert pipeline.fit(*classed).score(*classed) > 0.95
    names = pipeline[0].get_feature_names_out()
    assert names.tolist()[:2] == ["word2vec0", "word2vec1"]
    assert len(names) == 12


def test_lists_of_words_are_taken_as_they_are_and_iterables_once(texts: list[str]) -> None:
    given = {"epochs": 1, **QUICK}
    lists = Word2Vec(8, **given).fit(text.split() for text in texts)
    strings = Word2Vec(8, **given).fit(iter(texts))
    assert to_bytes(lists.state_) == to_bytes(strings.state_)
    assert "Kettle-s!" in Word2Vec(8, **given).fit([["Kettle-s!", "a"]]).words_
    assert "Kettle-s!" in Word2Vec(8, preprocessor=str, **given).fit(["Kettle-s! a"]).words_
    assert "\u00e9t\u00e9" in Word2Vec(8, **given).fit(["\u00c9T\u00c9, a"]).words_


def test_further_texts_bring_new_words_and_fitting_anew_forgets(texts: list[str]) -> None:
    fitted = Word2Vec(8, epochs=1, **QUICK).partial_fit(texts)
    before = fitted.counts_[fitted.words_.index("kettle")]
    fitted.partial_fit(["kayak kettle"] * 20)
    assert fitted.counts_[fitted.words_.index("kettle")] == before + 20
    assert "kayak" in fitted.words_
    assert "kettle" not in fitted.fit(["kayak paddle"] * 9).words_


def test_rare_words_are_left_out_without_texts(vectors: Word2Vec) -> None:
    often = int(vectors.counts_[4])
    other = vectors.finalize(min_count=often)
    assert other.words_ == [
        w for w, n in zip(vectors.words_, vectors.counts_, strict=True) if n >= often
    ]
    assert_array_equal(other.vector(other.words_[0]), vectors.vector(other.words_[0]))
    with pytest.raises(Invalid, match="vector_dim must be 16"):
        vectors.finalize(vector_size=8)


def test_classes_are_told_with_their_chances(classifier: TextClassifier) -> None:
    assert classifier.classes_.tolist() == ["law", "sea", "tea"]
    asked = ["Salt, wave & tide!", ["kettle", "leaf"], "judge jury"]
    assert classifier.predict(asked).tolist() == ["sea", "tea", "law"]
    chances = classifier.predict_proba(asked)
    assert chances.shape == (3, 3)
    assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)
    assert classifier.predict([]).shape == (0,)
    assert classifier.predict_proba([]).shape == (0, 3)


@pytest.mark.parametrize("kinds", [[7, -3, 12], [2.0, 0.0, 1.0], [True, False, True]], ids=str)
def test_classes_are_what_y_holds(kinds: list[Any], classed: Any) -> None:
    texts, names = classed
    y = np.array([kinds[["tea", "sea", "law"].index(name)] for name in names])
    fitted = TextClassifier(random_state=0).fit(texts, y)
    assert fitted.classes_.tolist() == sorted(set(kinds))
    assert fitted.score(texts, y) > 0.98
    assert fitted.predict(texts).dtype == y.dtype
    best = fitted.predict_proba(texts).argmax(axis=1)
    assert_array_equal(fitted.classes_[best], fitted.predict(texts))


def test_scikit_learns_tools_take_it(classed: Any) -> None:
    assert cross_val_score(TextClassifier(random_state=0), *classed, cv=3).min() > 0.95
    search = GridSearchCV(TextClassifier(random_state=0), {"word_ngrams": [1, 2]}, cv=2)
    assert search.fit(*classed).best_score_ > 0.95
    copy = clone(TextClassifier(epochs=3, learning_rate=0.2))
    assert (copy.epochs, copy.learning_rate) == (3, 0.2)


def test_further_texts_may_be_of_new_classes(classed: Any) -> None:
    fitted = TextClassifier(random_state=0).partial_fit(*classed)
    fitted.partial_fit(["slope snow lift", "salt tide wave"] * 40, ["alp", "sea"] * 40)
    assert fitted.classes_.tolist() == ["alp", "law", "sea", "tea"]
    assert fitted.predict(["snow on the slope", "judge", "kettle leaf"]).tolist() == [
        "alp", "law", "tea",
    ]  # fmt: skip
    fitted.partial_fit(["snow"] * 5, ["alp"] * 5)
    assert fitted.score(*classed) > 0.95


def test_another_min_count_is_made_without_texts(classed: Any) -> None:
    texts, names = classed
    fitted = TextClassifier(random_state=0).fit([*texts, "onlyonce"], [*names, "sea"])
    other = fitted.finalize(min_count=2)
    assert "onlyonce" not in list(other.model_.vocabulary.text)
    assert_array_equal(other.predict(texts), fitted.predict(texts))
    with pytest.raises(Invalid, match="word_ngrams must be 2"):
        fitted.finalize(word_ngrams=3)


def test_a_word_that_looks_like_a_label_is_a_word() -> None:
    texts = [["__label__0", "tea"], ["__label__9", "sea"]] * 20
    fitted = TextClassifier(random_state=0).fit(texts, ["a", "b"] * 20)
    assert fitted.classes_.tolist() == ["a", "b"]
    for asked in ([["tea"], ["sea"]], [["__label__0"], ["__label__9"]]):
        assert fitted.predict(asked).tolist() == ["a", "b"]
    assert "__label__0" in Word2Vec(8, epochs=1, **QUICK).fit(texts).words_


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_cores(
    texts: list[str], classed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def states() -> list[bytes]:
        vectors = Word2Vec(16, epochs=1, **QUICK).fit(texts)
        return [
            to_bytes(vectors.state_),
            to_bytes(TextClassifier(random_state=3).fit(*classed).state_),
        ]

    alone = states()
    monkeypatch.setattr(base, "_LITTLE_WORK", 0.0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert states() == alone
    assert (
        to_bytes(Word2Vec(16, epochs=1, **QUICK | {"random_state": 1}).fit(texts).state_)
        != alone[0]
    )


def test_fitted_estimators_can_be_pickled(vectors: Word2Vec, classifier: TextClassifier) -> None:
    again = pickle.loads(pickle.dumps(vectors))
    assert again.most_similar("salt", 2) == vectors.most_similar("salt", 2)
    other = pickle.loads(pickle.dumps(classifier))
    assert_array_equal(other.predict_proba(["salt tea"]), classifier.predict_proba(["salt tea"]))


def test_before_fit_they_say_so() -> None:
    for use in (
        lambda: Word2Vec().transform(["a"]),
        lambda: Word2Vec().vector("a"),
        lambda: Word2Vec().most_similar("a"),
        lambda: Word2Vec().finalize(min_count=9),
        lambda: TextClassifier().predict(["a"]),
        lambda: TextClassifier().predict_proba(["a"]),
    ):
        with pytest.raises(NotFittedError):
            use()


@pytest.mark.parametrize(
    ("X", "told"),
    [
        ("one text", "texts must be an iterable of texts; got 'one str'"),
        (["a", None], "text 1 must be a string, or a list of words; got 'NoneType'"),
        ([3.5], "text 0 must be a string"),
        ([["a", 3]], "text 0 must be a string"),
        ([b"bytes"], "text 0 must be a string"),
    ],
)
def test_what_is_no_text_is_named(X: Any, told: str) -> None:
    with pytest.raises(ValueError, match=f"Word2Vec: {told}"):
        Word2Vec().fit(X)
    with pytest.raises(ValueError, match=f"TextClassifier: {told}"):
        TextClassifier().fit(X, [0] * len(X))


@pytest.mark.parametrize(
    ("y", "told"),
    [
        ([0], "y must hold a class for each of 2 texts"),
        ([[0], [1]], "y must hold a class for each of 2 texts"),
        ([1, 1], "y must hold at least two classes"),
        ([0.5, 1.25], "[Uu]nknown label type"),
    ],
    ids=str,
)
def test_what_are_no_classes_is_named(y: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TextClassifier().fit(["a", "b"], y)


@pytest.mark.parametrize("epochs", [0, "many", 1.5])
def test_a_parameter_out_of_bounds_is_named(epochs: Any) -> None:
    with pytest.raises(Invalid, match="epochs must be"):
        TextClassifier(epochs=epochs).fit(["a", "b"], [0, 1])
    with pytest.raises(Invalid, match="epochs must be"):
        Word2Vec(epochs=epochs).fit(["a b"] * 9)


def test_texts_without_words_that_come_often_are_told_of() -> None:
    with pytest.raises(Invalid, match="at least min_count = 5 times"):
        Word2Vec().fit(["too few words", ""])


def test_a_refused_part_leaves_the_fitted_classifier_as_it_was(classed: Any) -> None:
    fitted = TextClassifier(random_state=0).fit(*classed)
    before = fitted.predict_proba(["salt tide"])
    fitted.set_params(word_ngrams=3)
    with pytest.raises(Invalid, match="word_ngrams must be 2"):
        fitted.partial_fit(["snow", "slope"], ["alp", "sea"])
    fitted.set_params(word_ngrams=2)
    assert fitted.classes_.tolist() == ["law", "sea", "tea"]
    assert_array_equal(fitted.predict_proba(["salt tide"]), before)
    assert fitted.partial_fit(["snow"] * 9, ["alp"] * 9).predict(["snow"]).tolist() == ["alp"]
