"""Every built-in takes rows in every form, and says of each of them the same."""

from __future__ import annotations

import importlib
import io
import json
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.workers.serve.test_answers import ARROW, NPY, NPZ, PARQUET, TABLES, TENSORS, body_of
from tidemill import registry
from tidemill.data.batch import Csr
from tidemill.spec.frame import REQUEST, Frame
from tidemill.workers.serve.answers import Answer, Answers

JSON = "application/json"
VECTORS = sorted(set(registry.BUILT_IN) - {"blazingtext"})


@pytest.fixture(scope="module", params=VECTORS)
def served(request: Any) -> tuple[Answers, list[list[float]]]:
    """A model of each algorithm, behind its declaration, and rows for it."""
    module = importlib.import_module(f"tests.algorithms.cases.{request.param.replace('-', '_')}")
    case = next(iter(module.CASES.values()))()
    probe = case.probe.features
    rows = np.nan_to_num(probe.to_dense() if isinstance(probe, Csr) else probe)[:70]
    return Answers(case.trained(), case.declaration), rows.tolist()


def ask(answers: Answers, body: bytes, kind: str, accept: str = JSON) -> Answer:
    [answer] = answers([Frame(REQUEST, 1, 0, f"{kind}\n{accept}\n".encode(), body)])
    assert answer.status == 200, answer.body
    return answer


def columns_of(answer: Answer, kind: str) -> dict[str, Any]:
    if kind == JSON:
        said = json.loads(answer.body)
        rows = next(iter(said.values())) if isinstance(said, dict) else said
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}
    if kind == TENSORS:
        outputs = json.loads(answer.body)["outputs"]
        return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in outputs}
    file = io.BytesIO(answer.body)
    if kind in (NPY, NPZ):
        found = np.load(file)
        return {name: found[name] for name in (found.dtype.names if kind == NPY else found.files)}
    table = pyarrow.parquet.read_table(file) if kind == PARQUET else None
    table = pyarrow.ipc.open_stream(file).read_all() if kind == ARROW else table
    return {name: np.array(table[name].to_pylist()) for name in table.schema.names}


@pytest.mark.parametrize("kind", [*TABLES, TENSORS])
def test_all_forms_are_answered_alike(served: tuple[Answers, list[list[float]]], kind: str) -> None:
    answers, rows = served
    for some in (rows[:1], rows):
        wanted = columns_of(ask(answers, body_of(some, JSON), JSON), JSON)
        found = columns_of(ask(answers, body_of(some, kind), kind, kind), kind)
        assert list(found) == list(wanted)
        for name, column in wanted.items():
            np.testing.assert_allclose(found[name], column, rtol=1e-5, atol=1e-6)


def test_a_model_tells_what_it_takes_and_answers(
    served: tuple[Answers, list[list[float]]],
) -> None:
    answers, rows = served
    about = json.loads(ask(answers, b"", f"{TENSORS};model=mill;about=1").body)
    assert about["name"] == "mill"
    [taken] = about["inputs"]
    assert taken == {"name": "features", "datatype": "FP32", "shape": [-1, len(rows[0])]}
    found = json.loads(ask(answers, body_of(rows, TENSORS), TENSORS).body)["outputs"]
    for told, said in zip(about["outputs"], found, strict=True):
        assert (told["name"], told["datatype"]) == (said["name"], said["datatype"])
        assert told["shape"][1:] == said["shape"][1:]


@pytest.mark.parametrize("name", ["words", "classes"])
def test_texts_are_asked_about_as_tensors(name: str) -> None:
    cases = importlib.import_module("tests.algorithms.cases.blazingtext").CASES
    models = [(make(), make().trained()) for make in cases.values()]
    case, model = next(one for one in models if getattr(one[1], name) is not None)
    answers = Answers(model, case.declaration)
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["one word", "another"]}
    body = json.dumps({"inputs": [tensor]}).encode()
    outputs = json.loads(ask(answers, body, TENSORS).body)["outputs"]
    assert all(one["shape"][0] == 2 for one in outputs)
    about = json.loads(ask(answers, b"", f"{TENSORS};about=1").body)
    assert about["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    told = [(one["name"], one["datatype"]) for one in about["outputs"]]
    assert told == [(one["name"], one["datatype"]) for one in outputs]
