"""Handlers of the XGBoost container, and what its encoder reads: bodies as matrices of XGBoost."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tidemill.data.batch import Csr
from tidemill.data.formats import recordio
from tidemill.workers.serve.user.bodies import CSV, Unsupported, media, text_of
from tidemill.workers.serve.user.defaults import Defaults

xgboost: Any = importlib.import_module("xgboost")
csr_matrix: Any = importlib.import_module("scipy.sparse").csr_matrix

LIBSVM = ("text/libsvm", "text/x-libsvm")
RECORDIO_PROTOBUF = "application/x-recordio-protobuf"


class Handlers(Defaults):
    """Works on a DMatrix."""

    def input_fn(self, input_data: Any, content_type: str) -> Any:
        return decode(input_data, content_type)

    def predict_fn(self, data: Any, model: Any) -> Any:
        return model.predict(data, validate_features=False)


def decode(body: Any, content_type: str | None) -> Any:
    """A DMatrix of the body. Raises ``Unsupported``, ValueError."""
    reader = _READERS.get(media(content_type))
    if reader is None:
        raise Unsupported(content_type)
    return reader(body)


def csv_to_dmatrix(body: Any, dtype: Any = None) -> Any:
    """Rows of numbers; what is empty is missing. The first line tells what separates them."""
    lines = text_of(body).rstrip("\n").split("\n")
    between = _between(lines[0])
    rows = [[word.strip() or "nan" for word in line.split(between)] for line in lines]
    return xgboost.DMatrix(np.array(rows).astype(dtype or np.float64))


def libsvm_to_dmatrix(body: Any) -> Any:
    """Rows of ``[label] index:value …``; columns are counted from 0, as XGBoost reads files."""
    values: list[float] = []
    columns: list[int] = []
    ends = [0]
    for line in text_of(body).strip("\n").split("\n"):
        for word in line.split("#", 1)[0].split():
            column, found, value = word.partition(":")
            if found and column != "qid":
                columns.append(int(column))
                values.append(float(value))
        ends.append(len(values))
    shape = (len(ends) - 1, max(columns, default=0) + 1)
    return xgboost.DMatrix(csr_matrix((np.array(values, "f4"), columns, ends), shape=shape))


def recordio_protobuf_to_dmatrix(body: Any) -> Any:
    """Records of SageMaker's protobuf; labels are passed over."""
    features = recordio.decode(bytes(body)).features
    if isinstance(features, Csr):
        stored = (features.values, features.indices, features.indptr)
        return xgboost.DMatrix(csr_matrix(stored, shape=features.shape))
    return xgboost.DMatrix(features)


def _between(line: str) -> str:
    try:
        found = csv.Sniffer().sniff(line[:512]).delimiter
    except csv.Error:  # one column
        return ","
    return "," if found.isalnum() or found in ".-+" else found


_READERS: Mapping[str, Callable[[Any], Any]] = {
    CSV: csv_to_dmatrix,
    **dict.fromkeys(LIBSVM, libsvm_to_dmatrix),
    RECORDIO_PROTOBUF: recordio_protobuf_to_dmatrix,
}
