"""What the containers of XGBoost, PyTorch and Hugging Face do where a program does not."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tidemill.data.recordio.encode import records
from tidemill.workers.serve.user.frameworks import huggingface, pytorch

ROWS = np.array([[1, 0, 2.5], [0, 3, 0]], np.float32)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/csv", "1,0,2.5\n0,3,0\n"),
        ("text/csv; header=absent", b"1\t0\t2.5\n0\t3\t0"),
        ("text/libsvm", b"1 0:1 2:2.5\n0 1:3 # a comment\n"),
        ("text/x-libsvm", "0:1 2:2.5\nqid:4 1:3"),
        ("application/x-recordio-protobuf", b"".join(records(ROWS, None))),
    ],
)
def test_xgboost_reads_matrices_of_its_own(kind: str, body: Any) -> None:
    xgboost = pytest.importorskip("tidemill.workers.serve.user.frameworks.xgboost")
    matrix = xgboost.decode(body, kind)
    assert (matrix.num_row(), matrix.num_col()) == (2, 3)
    read = np.nan_to_num(matrix.get_data().toarray())
    np.testing.assert_array_equal(read, ROWS)


def test_xgboost_takes_what_is_empty_for_missing() -> None:
    xgboost = pytest.importorskip("tidemill.workers.serve.user.frameworks.xgboost")
    assert xgboost.csv_to_dmatrix("1,,3\n").num_nonmissing() == 2


@pytest.mark.slow
def test_pytorch_loads_torchscript_and_answers_with_lists(tmp_path: Path) -> None:
    torch: Any = pytest.importorskip("torch")
    layer = torch.nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
        layer.bias.zero_()
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.script(layer), tmp_path / "net.pth")
    handlers = pytorch.Handlers()
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        model = handlers.model_fn(str(tmp_path))
    tensor = handlers.input_fn("[[1, 2], [3, 4]]", "application/json")
    found = handlers.predict_fn(tensor, model)
    assert handlers.output_fn(found, "application/json")[0] == "[[5.0], [11.0]]"
    (tmp_path / "other.pt").touch()
    with pytest.raises(ValueError, match="Exactly one .pth or .pt file"):
        handlers.model_fn(str(tmp_path))


def test_hugging_face_asks_a_pipeline_with_inputs_and_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transformers = ModuleType("transformers")
    vars(transformers)["pipeline"] = lambda task, model: lambda inputs, **more: (task, inputs, more)
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    handlers = huggingface.Handlers()
    with pytest.raises(ValueError, match="HF_TASK"):
        handlers.model_fn("/opt/ml/model")
    monkeypatch.setenv("HF_TASK", "text-classification")
    model = handlers.model_fn("/opt/ml/model")
    asked = handlers.input_fn('{"inputs": "good", "parameters": {"top_k": 2}}', "application/json")
    assert handlers.predict_fn(asked, model) == ("text-classification", "good", {"top_k": 2})
    assert handlers.predict_fn({"question": "?"}, model)[1] == {"question": "?"}
    assert handlers.predict_fn(["a"], model)[1] == ["a"]
