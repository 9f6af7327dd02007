"""Modules of SageMaker's containers that programs import, where they are not installed.

Handlers often take content types, encoders and responses from them. What is here is what handlers
use; a program that needs more names the package in its requirements.txt, which then holds.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from tidemill.workers.serve.user import bodies, defaults

_TYPES: Mapping[str, Any] = {
    "JSON": bodies.JSON,
    "CSV": bodies.CSV,
    "NPY": bodies.NPY,
    "NPZ": bodies.NPZ,
    "ANY": bodies.ANY,
    "OCTET_STREAM": bodies.OCTETS,
    "UTF8_TYPES": list(bodies.UTF8_TYPES),
}
_CODECS: Mapping[str, Any] = {"decode": bodies.decode, "encode": bodies.encode}


class BaseInferenceToolkitError(Exception):
    """An answer of this status. phrase: of the status line, which InvokeEndpoint does not show"""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        super().__init__(message)
        self.status_code, self.message, self.phrase = status_code, message, phrase


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """The same with what is usual."""

    def __init__(
        self, status_code: int, message: str | None = None, phrase: str | None = None
    ) -> None:
        message = message or "Invalid Request"
        super().__init__(status_code, message, phrase or message)


class Response:
    """``worker.Response``: a body, its content type and its status."""

    def __init__(
        self,
        response: Any = None,
        accept: str | None = None,
        status: int = 200,
        mimetype: str | None = None,
    ) -> None:
        self.response, self.status_code = response, status
        self.mimetype = accept or mimetype or bodies.JSON

    def get_data(self) -> Any:
        return self.response


def default_inference() -> Mapping[str, Any]:
    """The class that programs derive handlers from."""

    class DefaultInferenceHandler:
        """Each handler as a method of the toolkit's name."""

        def __init__(self) -> None:
            mine = defaults.Defaults()
            self.default_model_fn = mine.model_fn
            self.default_input_fn = mine.input_fn
            self.default_predict_fn = mine.predict_fn
            self.default_output_fn = mine.output_fn

    return {"DefaultInferenceHandler": DefaultInferenceHandler}


def _xgboost() -> Mapping[str, Any]:
    found = importlib.import_module("tidemill.workers.serve.user.frameworks.xgboost")
    names = ("decode", "csv_to_dmatrix", "libsvm_to_dmatrix", "recordio_protobuf_to_dmatrix")
    return {name: getattr(found, name) for name in names}


_MODULES: Mapping[str, Any] = {
    "sagemaker_containers": dict,
    "sagemaker_containers.beta": dict,
    "sagemaker_containers.beta.framework": dict,
    "sagemaker_containers.beta.framework.content_types": lambda: _TYPES,
    "sagemaker_containers.beta.framework.encoders": lambda: _CODECS,
    "sagemaker_containers.beta.framework.worker": lambda: {"Response": Response},
    "sagemaker_inference": dict,
    "sagemaker_inference.content_types": lambda: _TYPES,
    "sagemaker_inference.decoder": lambda: {"decode": bodies.decode},
    "sagemaker_inference.default_inference_handler": default_inference,
    "sagemaker_inference.encoder": lambda: {
        "encode": bodies.encode,
        "SUPPORTED_CONTENT_TYPES": [bodies.JSON, bodies.CSV, bodies.NPY],
    },
    "sagemaker_inference.errors": lambda: {
        "BaseInferenceToolkitError": BaseInferenceToolkitError,
        "GenericInferenceToolkitError": GenericInferenceToolkitError,
        "UnsupportedFormatError": bodies.Unsupported,
    },
    "sagemaker_xgboost_container": dict,
    "sagemaker_xgboost_container.encoder": _xgboost,
}


class _Finder(MetaPathFinder, Loader):
    """Asked last: what is installed is found before."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _MODULES:
            return None
        is_package = any(other.startswith(f"{name}.") for other in _MODULES)
        return ModuleSpec(name, self, is_package=is_package)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(_MODULES[module.__name__]())
        for name in _MODULES:
            parent, _, last = name.rpartition(".")
            if parent == module.__name__:
                setattr(module, last, importlib.import_module(name))


def offer() -> None:
    """Let imports in this process find them, after everything else."""
    sys.meta_path.append(_Finder())
