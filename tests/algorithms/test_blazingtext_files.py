"""blazingtext: the files that its jobs leave are those of word2vec and fastText, both ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.algorithms.blazingtext_texts import accuracy, batch_of, sentences, trained, vector
from tidemill.algorithms.blazingtext.declaration import exports, imports
from tidemill.algorithms.blazingtext.model import BlazingTextModel
from tidemill.data.batch import of_text
from tidemill.data.text import text_of
from tidemill.errors import InvalidData

SMALL: dict[str, Any] = {"buckets": 500}


@pytest.fixture(scope="module")
def words() -> BlazingTextModel:
    return trained("skipgram", [*sentences(100), "th\u00e9 king queen"], vector_dim=5)


@pytest.fixture(scope="module")
def classes() -> BlazingTextModel:
    return trained("supervised", sentences(300, labelled=True), **SMALL)


def written(model: BlazingTextModel, into: Path, *names: str) -> Path:
    for name in names:
        (into / name).write_bytes(exports(model)[name])
    return into


def unless_unclean(make: Callable[[], Any]) -> Any:
    """What fastText trained; it begins with memory as it finds it, at times of no numbers."""
    try:
        return make()
    except RuntimeError as failed:
        pytest.skip(f"fastText failed at training: {failed}")


def test_vectors_are_written_as_text_as_bytes_and_as_what_they_are_worth(
    words: BlazingTextModel,
) -> None:
    files = exports(words)
    assert set(files) == {"vectors.txt", "vectors.bin", "eval.json"}
    head, *lines = files["vectors.txt"].decode().splitlines()
    assert words.words is not None
    assert head == f"{len(words.words.vectors)} 5"
    for line in lines:
        word, *numbers = line.split(" ")
        assert_array_equal(np.array(numbers, np.float32), vector(words, word))
    told = orjson.loads(files["eval.json"])
    assert set(told) == {"mean_rho", "EN-WS-353-ALL.txt"}
    assert told["EN-WS-353-ALL.txt"]["total_pairs"] == 353
    assert told["EN-WS-353-ALL.txt"]["not_found"] == 352


def test_no_judgement_is_written_that_was_not_asked_for() -> None:
    assert set(exports(trained("cbow", ["a b"], evaluation=False))) == {
        "vectors.txt",
        "vectors.bin",
    }


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.bin"])
def test_vectors_come_back_from_their_files(
    name: str, words: BlazingTextModel, tmp_path: Path
) -> None:
    again = imports(written(words, tmp_path, name))
    for word in ("kettle", "th\u00e9", "king", "zebra"):
        assert_array_equal(vector(again, word), vector(words, word))


@pytest.mark.parametrize(("name", "binary"), [("vectors.txt", False), ("vectors.bin", True)])
def test_gensim_reads_the_vectors(
    name: str, binary: bool, words: BlazingTextModel, tmp_path: Path
) -> None:
    keyed = pytest.importorskip("gensim.models").KeyedVectors
    path = written(words, tmp_path, name) / name
    found = keyed.load_word2vec_format(str(path), binary=binary)
    for word in ("kettle", "th\u00e9"):
        assert_array_equal(found[word], vector(words, word))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("vectors.txt", b""),
        ("vectors.txt", b"2 3\na 1 2 3\n"),
        ("vectors.txt", b"1 2\na 1 nan\n"),
        ("vectors.txt", b"2 1\na 1\na 2\n"),
        ("vectors.txt", b"1 2\na 1 two\n"),
        ("vectors.txt", b"0 1099511627776\n"),
        ("vectors.txt", b"0 99999999999999999999999\n"),
        ("vectors.bin", b"0 1099511627776\n"),
        ("vectors.bin", b"0 99999999999999999999999\n"),
        ("vectors.bin", b"1 4\na \0\0"),
        ("vectors.bin", b"99999999999 4\na \0\0"),
        ("vectors.bin", b"-1 4\n"),
        ("vectors.bin", b"no head"),
        ("model.bin", b""),
        ("model.bin", b"\xba\x16O/\x0c\0\0\0" + b"\xff" * 80),
    ],
)
def test_damaged_files_are_refused_by_name(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidData, match=rf"{name}: must "):
        imports(tmp_path)


@pytest.mark.parametrize(
    ("place", "wrong", "told"),
    [
        (8 + 20, 65, "word_ngrams must be from 1 to 64"),
        (8 + 20, 0, "sizes that no model has"),
        (8 + 56, 2**31 - 1, "words and labels that do not add up"),
        (8 + 56, -1, "words and labels that do not add up"),
    ],
)
def test_a_number_that_no_model_has_is_refused(
    place: int, wrong: int, told: str, classes: BlazingTextModel, tmp_path: Path
) -> None:
    data = bytearray(exports(classes)["model.bin"])
    data[place : place + 4] = wrong.to_bytes(4, "little", signed=True)
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(InvalidData, match=told):
        imports(tmp_path)


def test_more_words_than_the_file_has_room_for_are_refused(
    classes: BlazingTextModel, tmp_path: Path
) -> None:
    data = bytearray(exports(classes)["model.bin"])
    for at, number in enumerate((2**30, 2**30 - 3, 3)):
        data[64 + 4 * at : 68 + 4 * at] = number.to_bytes(4, "little")
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(InvalidData, match="fewer words"):
        imports(tmp_path)


def test_an_artifact_without_a_model_says_what_it_must_hold(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"")
    with pytest.raises(InvalidData, match=r"one of model.bin, vectors.bin, vectors.txt; got"):
        imports(tmp_path)


def test_classes_come_back_from_model_bin(classes: BlazingTextModel, tmp_path: Path) -> None:
    again = imports(written(classes, tmp_path, "model.bin"))
    asked = of_text(text_of(sentences(30, seed=2)), np.full(30, 3, np.float32))
    one, other = classes.predict(asked), again.predict(asked)
    assert_array_equal(one["label"], other["label"])
    assert_allclose(one["prob"], other["prob"], rtol=1e-5)


@pytest.mark.parametrize("length", [0, 7, 8, 50, 63, 64, 100, 1000, -1])
def test_a_model_bin_cut_anywhere_is_refused(
    length: int, classes: BlazingTextModel, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(exports(classes)["model.bin"][:length])
    with pytest.raises(InvalidData, match="model.bin: must be a model of fastText"):
        imports(tmp_path)


@pytest.mark.parametrize(
    "given", [{}, {"word_ngrams": 1}, {"word_ngrams": 3}, {"vector_dim": 2, "epochs": 20}], ids=str
)
def test_fasttext_says_what_the_model_says(given: Any, tmp_path: Path) -> None:
    fasttext = pytest.importorskip("fasttext")
    model = trained("supervised", sentences(300, labelled=True), **SMALL | given)
    peer = fasttext.load_model(str(written(model, tmp_path, "model.bin") / "model.bin"))
    lines = [*sentences(30, seed=2), "strange salt", "th\u00e9 \u4e2d\u6587 cup", ""]
    found = model.predict(of_text(text_of(lines), np.full(len(lines), 3, np.float32)))
    for line, labels, chances in zip(lines, found["label"], found["prob"], strict=True):
        told = peer.f.predict(line + "\n", 3, 0.0, "strict")
        assert [label for _, label in told] == labels.tolist()
        assert_allclose([chance for chance, _ in told], chances, atol=2e-4)


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_a_model_that_fasttext_trained_says_the_same_here(longest: int, tmp_path: Path) -> None:
    fasttext = pytest.importorskip("fasttext")
    (tmp_path / "text").write_text("\n".join(sentences(300, labelled=True)))
    peer = unless_unclean(
        lambda: fasttext.train_supervised(
            str(tmp_path / "text"), dim=50, wordNgrams=longest, epoch=10, bucket=50_000, thread=1,
            verbose=0, lr=0.5,
        )
    )  # fmt: skip
    peer.save_model(str(tmp_path / "model.bin"))
    model = imports(tmp_path)
    assert accuracy(model, sentences(100, seed=5, labelled=True)) > 0.97
    for line in [*sentences(20, seed=2), "strange salt", "th\u00e9 cup"]:
        told = peer.f.predict(line + "\n", 1, 0.0, "strict")[0]
        found = model.predict(batch_of([line]))
        assert found["label"][0, 0] == told[1]
        assert found["prob"][0, 0] == pytest.approx(min(told[0], 1.0), abs=2e-4)


def test_vectors_that_fasttext_trained_are_the_same_here(tmp_path: Path) -> None:
    fasttext = pytest.importorskip("fasttext")
    (tmp_path / "text").write_text("\n".join(sentences(300)))
    peer = unless_unclean(
        lambda: fasttext.train_unsupervised(
            str(tmp_path / "text"), dim=16, minn=3, maxn=4, epoch=2, bucket=20_000, thread=1,
            verbose=0,
        )
    )  # fmt: skip
    peer.save_model(str(tmp_path / "model.bin"))
    model = imports(tmp_path)
    for word in ("kettle", "tide", "judge"):
        assert_allclose(vector(model, word), peer.get_word_vector(word), rtol=1e-5, atol=1e-6)
    # Of other words fastText counts n-grams in that were never trained, here they are left out.
    assert vector(model, "kettles").any()
