"""blazingtext: requests and answers have the forms that SageMaker documents."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.algorithms.blazingtext_texts import sentences, trained
from tidemill.algorithms.blazingtext.dialogue import BlazingTextDialogue
from tidemill.algorithms.blazingtext.model import BlazingTextModel
from tidemill.data.content_type import parse
from tidemill.errors import InvalidData, UnsupportedType

JSON, LINES, TEXT = (
    parse(name) for name in ("application/json", "application/jsonlines", "text/plain")
)
DIALOGUE = BlazingTextDialogue()


@pytest.fixture(scope="module")
def words() -> BlazingTextModel:
    return trained("skipgram", ["cat dog cat dog"] * 9, vector_dim=3)


@pytest.fixture(scope="module")
def classes() -> BlazingTextModel:
    return trained("supervised", sentences(200, labelled=True), buckets=100)


def asked(model: BlazingTextModel, body: Any, media: Any = JSON, accept: Any = JSON) -> bytes:
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    batch = DIALOGUE.decode(sent, media)
    return DIALOGUE.encode(model.predict(batch), batch, accept)


def test_words_are_answered_by_a_bare_list_of_vectors(words: BlazingTextModel) -> None:
    said = orjson.loads(asked(words, {"instances": ["cat", "zebra"]}))
    assert [row["word"] for row in said] == ["cat", "zebra"]
    assert len(said[0]["vector"]) == 3
    assert any(said[0]["vector"])
    assert said[1]["vector"] == [0, 0, 0]


def test_texts_are_answered_by_their_likeliest_label(classes: BlazingTextModel) -> None:
    said = orjson.loads(asked(classes, {"instances": ["salt tide wave", "kettle leaf"]}))
    assert [row["label"] for row in said] == [["__label__sea"], ["__label__tea"]]
    assert [len(row["prob"]) for row in said] == [1, 1]


@pytest.mark.parametrize(("k", "labels"), [(1, 1), (2, 2), (3, 3), (4, 3), (1_000_000, 3)])
def test_as_many_labels_as_asked_for_come_and_no_more_than_there_are(
    k: int, labels: int, classes: BlazingTextModel
) -> None:
    body = {"instances": ["salt", "kettle"], "configuration": {"k": k}}
    for row in orjson.loads(asked(classes, body)):
        assert len(row["label"]) == len(row["prob"]) == labels
        assert row["prob"] == sorted(row["prob"], reverse=True)


def test_lines_of_json_are_answered_line_by_line_each_with_its_own_k(
    classes: BlazingTextModel,
) -> None:
    body = b'{"source": "salt tide"}\n\n{"source": "kettle leaf", "k": 2}\n'
    first, second, end = asked(classes, body, LINES, LINES).split(b"\n")
    assert orjson.loads(first)["label"] == ["__label__sea"]
    assert len(orjson.loads(second)["label"]) == 2
    assert end == b""


def test_plain_text_is_a_row_a_line(classes: BlazingTextModel) -> None:
    said = orjson.loads(asked(classes, b"salt tide\nkettle leaf\n", TEXT))
    assert [row["label"] for row in said] == [["__label__sea"], ["__label__tea"]]


@pytest.mark.parametrize(
    ("body", "media", "told"),
    [
        (b"{", JSON, "request body: must be JSON"),
        (b'["cat"]', JSON, "request body: must be an object; got 'list'"),
        (b"{}", JSON, r"\$\.instances must be a list of texts"),
        (b'{"instances": "cat"}', JSON, r"\$\.instances must be a list of texts; got 'str'"),
        (b'{"instances": []}', JSON, "must have a text"),
        (b'{"instances": ["a", 3]}', JSON, r"\$\.instances\[1\] must be a text; got 3"),
        (b'{"instances": ["a"], "configuration": 3}', JSON, "must be a list of texts"),
        (b'{"instances": ["a"], "configuration": {"k": 0}}', JSON, r"k must be .* at least 1"),
        (b'{"instances": ["a"], "configuration": {"k": true}}', JSON, "got True"),
        (b'{"instances": ["a"], "configuration": {"k": 1.5}}', JSON, "got 1.5"),
        (b'{"source": "a"}\nnonsense', LINES, "row 2: must be JSON"),
        (b'{"source": "a"}\n{"text": "b"}', LINES, r"row 2: \$\.source must be a text"),
        (b'{"source": "a", "k": -1}', LINES, r"row 1: \$\.k must be"),
        (b"\n\n", LINES, "must have a text"),
        (b"", JSON, "must be JSON"),
        (b"", TEXT, "must have a text"),
    ],
)
def test_a_request_of_another_form_is_told_of(body: bytes, media: Any, told: str) -> None:
    with pytest.raises(InvalidData, match=told):
        DIALOGUE.decode(body, media)


def test_rows_of_numbers_are_no_texts() -> None:
    with pytest.raises(UnsupportedType, match="requests must be application/json"):
        DIALOGUE.decode(b"1,2", parse("text/csv"))
