"""Requests, answers, and the artifacts of others."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.algorithms.test_xgboost import given, labels_for, numbers, trained
from tidemill.algorithms.xgboost.declaration import DECLARATION
from tidemill.algorithms.xgboost.dialogue import XGBoostDialogue
from tidemill.algorithms.xgboost.learner import XGBoost
from tidemill.algorithms.xgboost.model import FILE, XGBoostModel, exports, imports
from tidemill.artifact.codec import to_bytes
from tidemill.data.batch import Batch, Csr
from tidemill.data.content_type import ContentType, parse
from tidemill.data.formats import recordio
from tidemill.errors import InvalidData
from tidemill.spec.frame import REQUEST, Frame
from tidemill.workers.serve.answers import Answers

xgb = pytest.importorskip("xgboost")
DIALOGUE = XGBoostDialogue()
SCORES = {"score": np.array([0.71, 0.2], np.float32)}
CHANCES = {"score": np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]], np.float32)}
NOTHING = Batch(np.empty((2, 0), np.float32))


def model_of(objective: str = "reg:squarederror", **text: str) -> XGBoostModel:
    features, scores = numbers()
    hyperparameters = given(objective=objective, **text)
    labels = labels_for(objective, scores)
    return XGBoost(hyperparameters).finalize(trained(hyperparameters, Batch(features, labels)))


@pytest.mark.parametrize(
    ("columns", "accept", "wanted"),
    [
        (SCORES, "text/csv", b"0.71,0.2"),
        (CHANCES, "text/csv", b"[0.1, 0.2, 0.7],[0.5, 0.25, 0.25]"),
        (SCORES, "application/json", b'{"predictions":[{"score":0.71},{"score":0.2}]}'),
        (CHANCES, "application/jsonlines", b'{"score":[0.1,0.2,0.7]}\n{"score":[0.5,0.25,0.25]}\n'),
    ],
)
def test_answers_are_written_as_sagemakers_endpoints_do(
    columns: Any, accept: str, wanted: bytes
) -> None:
    assert DIALOGUE.encode(columns, NOTHING, parse(accept)) == wanted


def test_an_answer_in_recordio_has_the_scores_as_labels() -> None:
    body = DIALOGUE.encode(CHANCES, NOTHING, ContentType("application/x-recordio-protobuf"))
    records = list(recordio.read_records(body))
    assert [r.label["score"].values.tolist() for r in records] == CHANCES["score"].tolist()


def test_the_first_choice_is_csv() -> None:
    assert DIALOGUE.accepts[0] == "text/csv"
    assert DECLARATION.default_content_type == "application/x-libsvm"


@pytest.mark.parametrize("kind", ["text/csv", "text/libsvm", "application/x-recordio-protobuf",
                                  "application/x-npy", "application/jsonlines"])  # fmt: skip
def test_rows_of_every_format_get_the_same_answers(kind: str) -> None:
    import io

    model = model_of()
    rows = np.arange(12, dtype=np.float32).reshape(2, 6) / 7
    npy = io.BytesIO()
    np.save(npy, rows)
    bodies = {
        "text/csv": "\n".join(",".join(map(str, row)) for row in rows).encode(),
        "text/libsvm": "\n".join(
            " ".join(f"{i}:{v}" for i, v in enumerate(row)) for row in rows
        ).encode(),
        "application/x-recordio-protobuf": recordio.encode(rows),
        "application/x-npy": npy.getvalue(),
        "application/jsonlines": b"\n".join(
            json.dumps({"features": row}).encode() for row in rows.tolist()
        ),
    }
    batch = DIALOGUE.decode(bodies[kind], parse(kind))
    wanted = xgb.Booster(model_file=bytearray(model.booster)).predict(xgb.DMatrix(rows))
    np.testing.assert_array_equal(model.predict(batch)["score"], wanted)


def test_what_a_request_leaves_out_is_missing() -> None:
    model, booster = model_of(), None
    booster = xgb.Booster(model_file=bytearray(model.booster))
    rows = np.full((2, 6), np.nan, np.float32)
    rows[0, 1], rows[1, 5] = 0.5, -1
    wanted = booster.predict(xgb.DMatrix(rows))
    for kind, body in (
        ("text/csv", b",0.5,,,,\n,,,nan,,-1"),
        ("text/x-libsvm", b"1:0.5\n0 5:-1"),
    ):
        batch = DIALOGUE.decode(body, parse(kind))
        np.testing.assert_array_equal(model.predict(batch)["score"], wanted)
    narrow = DIALOGUE.decode(b"1:0.5", parse("libsvm"))
    assert isinstance(narrow.features, Csr)
    np.testing.assert_array_equal(model.predict(narrow)["score"], wanted[:1])


def test_rows_of_another_width_are_refused() -> None:
    model = model_of()
    for kind, body in (("text/csv", b"1,2,3,4,5"), ("text/csv", b"1,2,3,4,5,6,7"),
                       ("libsvm", b"6:1")):  # fmt: skip
        with pytest.raises(InvalidData, match="rows must have 6 features"):
            model.predict(DIALOGUE.decode(body, parse(kind)))
    with pytest.raises(InvalidData, match="feature 1: must be a finite number; got inf"):
        DIALOGUE.decode(b"inf,2,3,4,5,6", parse("text/csv"))


def test_an_endpoint_answers_in_csv_whatever_it_is_asked_in() -> None:
    features, _ = numbers()
    model = model_of("binary:logistic")
    answers = Answers(model, DECLARATION)
    rows = np.nan_to_num(features[:3])
    csv = "\n".join(",".join(map(str, row)) for row in rows).encode()
    svm = "\n".join(" ".join(f"{i}:{v}" for i, v in enumerate(r)) for r in rows).encode()
    wanted = ",".join(f"{s:.6f}" for s in model.predict(Batch(rows))["score"])
    asked = [(b"text/csv\n\n", csv), (b"\n\n", svm), (b"text/x-libsvm\n*/*\n", svm)]
    frames = [Frame(REQUEST, i, 0, head, body) for i, (head, body) in enumerate(asked * 2)]
    for answer in answers(frames):
        assert (answer.status, answer.head) == (200, b"text/csv\n")
        assert ",".join(f"{float(s):.6f}" for s in answer.body.split(b",")) == wanted
    refused = {
        b"text/plain\n\n": 415,
        b"text/csv\nimage/png\n": 406,
        b"application/json\n\n": 400,
    }
    for head, status in refused.items():
        assert answers([Frame(REQUEST, 0, 0, head, csv)])[0].status == status


@pytest.mark.parametrize(
    ("objective", "text", "shape"),
    [
        ("multi:softmax", {"num_class": "3"}, (600,)),
        ("multi:softprob", {"num_class": "3"}, (600, 3)),
        ("binary:logistic", {}, (600,)),
        ("reg:squarederror", {"booster": "gblinear"}, (600,)),
        ("reg:squarederror", {"booster": "dart", "rate_drop": "0.2"}, (600,)),
    ],
)
def test_scores_are_the_librarys(
    objective: str, text: dict[str, str], shape: tuple[int, ...]
) -> None:
    features, _ = numbers()
    model = model_of(objective, **text)
    found = model.predict(Batch(features))["score"]
    booster = xgb.Booster(model_file=bytearray(model.booster))
    np.testing.assert_array_equal(found, booster.predict(xgb.DMatrix(features)))
    assert found.shape == shape
    assert model.predict(Batch(features[:0]))["score"].shape == (0, *shape[1:])


def test_the_artifact_has_the_file_that_the_library_loads(tmp_path: Path) -> None:
    features, _ = numbers()
    model = model_of()
    for name, data in exports(model).items():
        (tmp_path / name).write_bytes(data)
    assert [p.name for p in tmp_path.iterdir()] == [FILE]
    booster = xgb.Booster(model_file=str(tmp_path / FILE))
    np.testing.assert_array_equal(
        booster.predict(xgb.DMatrix(features)), model.predict(Batch(features))["score"]
    )
    assert to_bytes(imports(tmp_path)) == to_bytes(model)


@pytest.mark.parametrize("form", ["json", "ubj"])
def test_a_model_from_elsewhere_is_taken_in(tmp_path: Path, form: str) -> None:
    model = model_of("multi:softprob", num_class="3")
    booster = xgb.Booster(model_file=bytearray(model.booster))
    (tmp_path / FILE).write_bytes(bytes(booster.save_raw(form)))
    (tmp_path / "._xgboost-model").write_bytes(b"left by a Mac")
    found = imports(tmp_path)
    assert (found.objective, found.columns, found.classes, found.outputs) == (
        "multi:softprob", 6, 3, 3,
    )  # fmt: skip
    assert to_bytes(found) == to_bytes(model)


def test_pickles_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=f"with the file {FILE}; got \\[\\]"):
        imports(tmp_path)
    (tmp_path / FILE).write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InvalidData, match="got 'a pickle"):
        imports(tmp_path)
    for junk in (b"binf\0\0\0", b"{L\0\0\0", b"", b"{}"):
        (tmp_path / FILE).write_bytes(junk)
        with pytest.raises(Exception, match="xgboost"):
            imports(tmp_path)
