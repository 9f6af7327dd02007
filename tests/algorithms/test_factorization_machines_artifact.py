"""The file that SageMaker's own factorization machines leave, written and read."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.algorithms.machines import BINARY, NUMBERS
from tidemill.algorithms.factorization_machines.artifact import exports, imports
from tidemill.algorithms.factorization_machines.model import FactorizationModel
from tidemill.artifact import ndarrays
from tidemill.data.batch import Batch
from tidemill.errors import InvalidData

OPERATIONS: dict[str, Callable[..., Any]] = {
    "dot": np.dot,
    "broadcast_add": np.add,
    "elemwise_add": np.add,
    "elemwise_sub": np.subtract,
    "square": np.square,
    "sum": lambda a: a.sum(axis=1, keepdims=True),
    "_mul_scalar": lambda a: a * 0.5,
    "LinearRegressionOutput": lambda a, _: a,
    "LogisticRegressionOutput": lambda a, _: 1 / (1 + np.exp(-a)),
}


def model(kind: str) -> FactorizationModel:
    draws = np.random.default_rng(0)
    linear, factors = draws.normal(size=9), draws.normal(size=(9, 3)) * 0.5
    return FactorizationModel(kind, 0.25, linear.astype(np.float32), factors.astype(np.float32))


def written(folder: Path, blob: bytes) -> Path:
    (folder / "model_algo-1").write_bytes(blob)
    return folder


def packed(arrays: dict[str, Any], symbol: bytes = b"{}", params: str = "params") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(params, ndarrays.encode(arrays))
        file.writestr("symbol.json", symbol)
    return out.getvalue()


@pytest.mark.parametrize("kind", [BINARY, NUMBERS])
def test_what_is_written_is_read_again(tmp_path: Path, kind: str) -> None:
    made = model(kind)
    blob = exports(made)["model_algo-1"]
    assert blob == exports(made)["model_algo-1"]
    again = imports(written(tmp_path, blob))
    assert again.predictor_type == kind
    assert again.bias == 0.25
    assert_array_equal(again.linear, made.linear)
    assert_array_equal(again.factors, made.factors)


@pytest.mark.parametrize("kind", [BINARY, NUMBERS])
def test_the_graph_beside_the_arrays_computes_the_scores(kind: str) -> None:
    made, rows = model(kind), np.random.default_rng(1).normal(size=(6, 9)).astype(np.float32)
    with zipfile.ZipFile(io.BytesIO(exports(made)["model_algo-1"])) as file:
        arrays, graph = ndarrays.decode(file.read("params")), json.loads(file.read("symbol.json"))
    given = {name.removeprefix("arg:"): array for name, array in arrays.items()}
    given |= {"data": rows, "out_label": np.zeros((6, 1), np.float32)}
    values: list[Any] = []
    for node in graph["nodes"]:
        inputs = [values[i] for i, _, _ in node["inputs"]]
        is_given = node["op"] == "null"
        values.append(given[node["name"]] if is_given else OPERATIONS[node["op"]](*inputs))
    assert [graph["nodes"][i]["op"] for i in graph["arg_nodes"]] == ["null"] * 5
    (head, _, _), = graph["heads"]  # fmt: skip
    assert_allclose(values[head].ravel(), made.predict(Batch(rows))["score"], rtol=1e-5)


def test_names_without_their_prefix_are_known_too(tmp_path: Path) -> None:
    arrays = {"v": np.ones((4, 2)), "w1_weight": np.ones((4, 1)), "w0_weight": np.ones(1)}
    found = imports(written(tmp_path, packed(arrays, b'{"op": "LogisticRegressionOutput"}')))
    assert (found.predictor_type, found.columns) == (BINARY, 4)


@pytest.mark.parametrize(
    ("blob", "told"),
    [
        (b"no zip at all", "a ZIP with params and symbol.json"),
        (exports(model(BINARY))["model_algo-1"][:-60], "a ZIP with params"),
        (packed({"v": np.ones((4, 2))}), "w1_weight of"),
        (packed({"v": np.ones((4, 2)), "w1_weight": np.ones(3), "w0_weight": np.ones(1)}),
         "w1_weight of"),
        (packed({"v": np.full((4, 2), np.nan), "w1_weight": np.ones(4), "w0_weight": np.ones(1)}),
         "w1_weight of"),
        (packed({}, params="others"), "a ZIP with params"),
    ],
)  # fmt: skip
def test_files_that_are_no_model_are_told_of(tmp_path: Path, blob: bytes, told: str) -> None:
    with pytest.raises(InvalidData, match=told):
        imports(written(tmp_path, blob))


def test_an_artifact_without_the_file_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "something.bin").write_bytes(b"")
    with pytest.raises(InvalidData, match=r"model_algo-1.*something\.bin"):
        imports(tmp_path)
