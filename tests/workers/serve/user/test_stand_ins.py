"""Programs import what SageMaker's containers have, installed here or not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest

from tidemill.workers.serve.user import stand_ins


@pytest.fixture(autouse=True)
def offered() -> Iterator[None]:
    before, known = list(sys.meta_path), set(sys.modules)
    stand_ins.offer()
    yield
    sys.meta_path[:] = before
    for name in set(sys.modules) - known:
        if name.startswith("sagemaker_"):
            del sys.modules[name]


def test_the_older_toolkit_is_there_as_programs_import_it() -> None:
    framework = importlib.import_module("sagemaker_containers.beta.framework")
    rows = framework.encoders.decode("[[1, 2]]", framework.content_types.JSON)
    assert framework.encoders.encode(rows, "text/csv") == "1,2\n"
    made = framework.worker.Response("1,2", mimetype="text/csv")
    assert (made.get_data(), made.mimetype, made.status_code) == ("1,2", "text/csv", 200)


def test_the_inference_toolkit_is_there_too() -> None:
    inference = importlib.import_module("sagemaker_inference")
    names = ("content_types", "decoder", "encoder", "errors", "default_inference_handler")
    assert all(hasattr(inference, name) for name in names)
    assert inference.content_types.NPY == "application/x-npy"
    error = inference.errors.GenericInferenceToolkitError(418)
    assert (error.status_code, error.message, error.phrase) == (418,) + ("Invalid Request",) * 2
    handler = inference.default_inference_handler.DefaultInferenceHandler()
    assert handler.default_input_fn("[1]", "application/json").tolist() == [1]
    with pytest.raises(NotImplementedError):
        handler.default_model_fn("/opt/ml/model")


def test_so_is_the_encoder_of_xgboost() -> None:
    pytest.importorskip("xgboost")
    encoder = importlib.import_module("sagemaker_xgboost_container.encoder")
    assert encoder.libsvm_to_dmatrix("1 0:1 2:2.5").num_col() == 3


def test_what_is_installed_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "sagemaker_inference.py").write_text("HERE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.import_module("sagemaker_inference").HERE == 1


def test_other_names_are_not_made_up() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("sagemaker_inference.torchserve")
